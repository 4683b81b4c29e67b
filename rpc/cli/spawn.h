/* spawn.h - a daemon of a command's own: started where none runs, restarted when a rank is lost, ended with the
 * command, however that ends. While it runs, signals are counted (interrupt.h). */
#ifndef RPC_CLI_SPAWN_H
#define RPC_CLI_SPAWN_H

#include "base/base.h"

struct spawn;

/* Starts xverse-launch --restart -n RANKS MODEL OPTIONS (ends with NULL), or xversed where that is not installed and
 * one rank is enough. socket: where it listens; NULL: in a folder of its own. Returns when it listens: the model may
 * still load. Errors have the last lines of its log; ERR_INVALID: options, model or machine do not fit. */
int spawn_start(struct spawn **out, const char *model, int ranks, const char *const *options, const char *socket,
		struct why *why);
const char *spawn_socket(const struct spawn *s);
/* Waits until the model is loaded. */
int spawn_ready(const struct spawn *s, struct why *why);
void spawn_stop(struct spawn *s); /* drains and waits; NULL is fine */

#endif
