/* folder.h - the launcher's own folder, 0700: the private socket, and what mpirun would leave behind where it is
 * killed. */
#ifndef LAUNCH_FOLDER_H
#define LAUNCH_FOLDER_H

#include "base/base.h"

struct folder {
	char path[96]; /* "": none */
	int lock_fd;   /* flock on a file in it, for as long as the launcher lives */
};

/* In $XDG_RUNTIME_DIR, $TMPDIR, /tmp, beside `socket` or in /dev/shm: the first that can be written. Folders there that
 * a killed launcher of this user left behind are removed. */
int folder_make(struct folder *f, const char *socket, struct why *why);
void folder_remove(struct folder *f); /* with all that is in it */

#endif
