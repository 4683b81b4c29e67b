/* systemd.h - the launcher as a service of systemd, or of any other supervisor that speaks as it does: a socket that
 * was opened before (sd_listen_fds(3)), and a word about what the job does (sd_notify(3)). Both are found by the
 * environment; without it nothing happens. The variables are removed, since neither mpirun nor a rank may answer in our
 * place.
 *
 *   READY=1       once calls are taken; with MAINPID, since after a takeover another process is the service
 *   STATUS=       what a start does and how far that is, or what is served
 *   WATCHDOG=1    once a second while the job is well. None comes while a step runs and no operation of it ends, while
 *                 the front of rank 0 says nothing, and from a launcher that hangs.
 *   STOPPING=1    the job drains
 *
 * A launcher that was taken over from says nothing any more. */
#ifndef LAUNCH_SYSTEMD_H
#define LAUNCH_SYSTEMD_H

#include "base/base.h"
#include "rpc/manager.h"

struct launcher;

struct notify {
	struct manager manager;
	bool ready, stopping; /* said */
	char status[200];     /* said last */
	uint64_t n_well;      /* beats of the job when WATCHDOG=1 was said last */
	uint64_t pinged_ns;   /* by launcher.awake_ns */
};

void notify_look(struct launcher *l);  /* says what has changed */
void notify_again(struct launcher *l); /* what was said may not be what another launcher said meanwhile */

/* The one socket that was passed to this process, or -1: none was. `path` (size bytes) gets its path. ERR_INVALID: more
 * than one, or no listening Unix socket with a path. */
int activation_take(int *fd, char *path, size_t size, struct why *why);

#endif
