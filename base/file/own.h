/* own.h - files that we write. In a folder that others may write to, a name may wait that is theirs: a link to a file
 * of ours, or a file that they read. Files are made anew under a name that nobody can guess, or taken only where no
 * stranger made them. */
#ifndef BASE_FILE_OWN_H
#define BASE_FILE_OWN_H

#include <sys/types.h>

#include "base/base.h"

/* Makes a file beside `path` that was not there before, to be renamed over it when it is whole. Returns the descriptor
 * and its name in *aside (malloced), or -1 with errno. `mode` is taken as it is, whatever the umask adds to it is left
 * out. */
int file_create_aside(const char *path, mode_t mode, char **aside);
/* Opens a file for lines at its end, makes it with mode 0640. Returns the descriptor, or -1 with errno: ELOOP where the
 * name is a link, and EPERM where it is a file, of a stranger in a folder such as /tmp (world-writable and sticky). A
 * pipe without a reader is ENXIO. Calls nothing that a signal handler may not. */
int file_append(const char *path);
/* Whose file this is: ours or root's, and nobody else may write to it. */
bool file_trusted(int fd);

#endif
