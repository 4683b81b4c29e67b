/* manager.h - words to the service manager that started this program, as sd_notify(3) says them: systemd, or any other
 * that speaks as it does. The environment names its socket; without it nothing is sent. */
#ifndef RPC_MANAGER_H
#define RPC_MANAGER_H

#include "base/base.h"

struct manager {
	char socket[108]; /* of NOTIFY_SOCKET */
	int fd;           /* -1: there is no manager */
};

/* Removes the variable, since no program that this one starts may answer in its place. */
void manager_open(struct manager *m);
/* Lines such as "READY=1\n". Never waits: a manager that is gone or full is no reason to stop serving. */
void manager_say(const struct manager *m, const char *lines);

#endif
