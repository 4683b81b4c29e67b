/* device.h - what a rank computes on: the CPU, or a GPU through the plug-in. */
#ifndef DAEMON_RANK_DEVICE_H
#define DAEMON_RANK_DEVICE_H

#include "daemon/rank/rank.h"

/* Sets n->cuda (NULL: CPU), n->device, n->sharing and n->gpu by the options, the model and what this machine has.
 * Collective, but for a plan: all ranks compute on GPUs, or none. `auto` falls back to the CPU with one line; `cuda` is
 * refused with the reason (ERR_UNKNOWN: no device or plug-in). */
int device_choose(struct node *n, struct why *why);
/* For people: "NVIDIA H100 80GB HBM3" or the CPU's instruction set. */
const char *device_name(const struct node *n);
/* The part of the numerics class that names the device. */
void device_class(const struct node *n, char *out, size_t size);
/* Backend and communicator of n->cuda. */
int device_backend(struct node *n, bool dry, struct why *why);
int device_comm(struct node *n, const struct comm_limits *lim, struct why *why);
/* Collective in effect: whether weights and workspace of this rank fit its device. ERR_LIMIT with the bytes. */
int device_fits(const struct node *n, struct why *why);
/* Bytes that a rank may still take for its cache of `percent` of the device. For plans: when it holds `held`, with its
 * graphs. */
uint64_t device_room(const struct node *n, uint64_t held, int percent);
/* Bytes that the driver's context takes on a device, about. */
enum { DEVICE_CONTEXT = 512 << 20 };

#endif
