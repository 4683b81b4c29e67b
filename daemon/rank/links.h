/* links.h - in words, how the GPUs of the ranks reach each other. */
#ifndef DAEMON_RANK_LINKS_H
#define DAEMON_RANK_LINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/backend/cuda_plugin.h"

/* link (n, n): how the GPU of each rank says that it reaches that of each other; of two that differ the worse counts.
 * Writes "all pairs by NVLink", or "0-1, 2-3 by NVLink; all other pairs by host memory", and "" for one rank. */
void links_text(const enum gpu_link *link, int n, char *out, size_t size);
/* Writes the pairs of one kind: "all", or "0-1, 2-3". False: there are none. */
bool links_pairs(const enum gpu_link *link, int n, enum gpu_link kind, char *out, size_t size);

#endif
