/* own.h - files that this program writes. In a folder that other users may write to, another user may have placed a
 * link to one of our files, or a file that they can read, under the name. So files are created under unguessable names,
 * or opened only if no other user made them. */
#ifndef BASE_FILE_OWN_H
#define BASE_FILE_OWN_H

#include <sys/types.h>

#include "base/base.h"

/* Creates a new file beside `path`, to be renamed over it once it is complete. Returns the descriptor and its name in
 * *aside (malloced), or -1 with errno. The umask applies to `mode`. */
int file_create_aside(const char *path, mode_t mode, char **aside);
/* Removes what file_create_aside() made for `path` in a process that was killed since. The caller knows that no other
 * process writes there now. */
void file_remove_asides(const char *path);
/* The name of the file that is to be replaced where the user said `path`, malloced: what a link stands for, there or
 * not yet, so that the link stays. A link that another user placed in a folder such as /tmp is not followed. */
char *file_behind(const char *path);
/* 0 where a file of this name can be made or replaced, else an errno: the folder is missing, or takes no files. */
int file_place_error(const char *path);
/* What an errno of writing means: ERR_LIMIT where there is no room, else ERR_IO. */
int file_write_error(int error);
/* Opens a file for appending, and creates it with mode 0640. Returns the descriptor, or -1 with errno: in a folder such
 * as /tmp (world-writable and sticky) ELOOP for another user's link and EPERM for another user's file; ENXIO for a pipe
 * without a reader. Safe in a signal handler. */
int file_append(const char *path);
/* What errno file_append(), and file_create_aside(), would meet; 0: none. */
int file_append_check(const char *path);
int file_folder_check(const char *path);
/* Whether the file belongs to this user or root and no other user may write to it. */
bool file_trusted(int fd);

#endif
