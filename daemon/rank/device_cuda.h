/* device_cuda.h - ranks that compute on a GPU, through the plug-in (engine/backend/cuda_plugin.h). */
#ifndef DAEMON_RANK_DEVICE_CUDA_H
#define DAEMON_RANK_DEVICE_CUDA_H

#include "daemon/rank/rank.h"

bool device_cuda_worth_trying(void); /* a driver is installed, or a plug-in is named */
/* Opens the plug-in and chooses this rank's GPU. Sets self->device. */
int device_cuda_use(struct rank *self, struct why *why);
/* Collective, after every rank has a GPU: counts the ranks that share this one's. */
void device_cuda_count_sharers(struct rank *self);

#endif
