/* device.h - what a rank computes on: the CPU, or a GPU through the plug-in. */
#ifndef DAEMON_RANK_DEVICE_H
#define DAEMON_RANK_DEVICE_H

#include "daemon/rank/rank.h"

/* Sets self->device by the options, the model and this machine. Collective, unless it is a plan: all ranks compute on
 * GPUs, or none does. `auto` falls back to the CPU with one log line; `cuda` is refused with the reason (ERR_UNKNOWN:
 * no device or plug-in). */
int device_choose(struct rank *self, struct why *why);

#endif
