/* folder.h - the launcher's own folder, mode 0700: the private socket, and the files of an mpirun that may be
 * killed. */
#ifndef LAUNCH_FOLDER_H
#define LAUNCH_FOLDER_H

#include "base/base.h"

struct folder {
	char path[96]; /* "": there is none */
	int lock_fd;   /* holds an flock on a file in it while the launcher lives */
};

/* Makes the folder in $XDG_RUNTIME_DIR, $TMPDIR, /tmp, beside `socket` or in /dev/shm, whichever is writable first.
 * Removes folders there that a killed launcher of this user left behind. */
int folder_make(struct folder *f, const char *socket, struct why *why);
void folder_remove(struct folder *f); /* with everything in it */

#endif
