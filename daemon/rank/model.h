/* model.h - a rank's model: loaded, or planned to learn what it will need. */
#ifndef DAEMON_RANK_MODEL_H
#define DAEMON_RANK_MODEL_H

#include "daemon/rank/rank.h"

/* Collective. Communicator and weights; on rank 0 also the sampling of tokens. self->backend exists. */
int rank_load_model(struct rank *self, struct load_progress *progress, struct why *why);

/* Bytes on the device. */
struct rank_need {
	uint64_t weights;
	uint64_t work;   /* of backend, model and sampling */
	uint64_t loras;  /* slots of adapters */
	uint64_t comm;   /* of the communicator */
	uint64_t graphs; /* CUDA graphs */
	uint64_t block;  /* a KV block over all layers */
};
/* What self will need before it is loaded. Makes backend and model once on a backend that counts memory and takes none,
 * and reads no weights. */
int rank_need(const struct rank *self, struct rank_need *need, struct why *why);

#endif
