/* loader.h - private to engine/models: what a start must read, and from where. */
#ifndef ENGINE_MODELS_LOADER_H
#define ENGINE_MODELS_LOADER_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/models/rows.h"

#include <pthread.h>
#include <stdatomic.h>

/* A block of a tensor of the whole model that this rank needs. */
struct piece {
	char name[TENSOR_NAME];
	const struct ck_tensor *t; /* NULL: dummy */
	struct ck_tensor view;     /* what t points to where a tensor of the files holds all experts: this one's rows */
	int64_t rows, width;       /* of the whole tensor as the model needs it */
	bool fused;                /* t holds the other pieces, too */
	struct span row, col;      /* this rank's part of it */
	float mean, std;           /* dummy */
};

/* One matrix or vector of the model, or a matrix of a stack, made of pieces below each other. */
struct target {
	struct slot slot;
	int at;            /* where its rows begin in the weight: below those of the experts before */
	enum dtype stored; /* of the rows that are handed to the backend */
	struct piece piece[3];
	int n_pieces;
	bool codes; /* its integers or blocks go to the backend as the files hold them */
};

struct loader {
	struct model *m;
	struct checkpoint *ck; /* NULL: dummy weights */
	struct load_progress *progress;
	struct target *target; /* [n_targets] */
	int n_targets;
	bool *used;            /* [tensors of the checkpoint] */
	_Atomic int next, err; /* for the threads: the next target; the first error, described by `why` */
	pthread_mutex_t lock;  /* of `why` */
	struct why *why;
};

/* bind.c: lists the targets and finds their tensors. ERR_FORMAT or ERR_UNSUPPORTED, naming the file, the tensor and
 * both shapes. */
int loader_bind(struct loader *l);
/* Logs tensors of the checkpoint that no target uses. */
void loader_report_unused(const struct loader *l);
/* load_codes.c: the rows of a piece, which begins at row `at` of the target, as integers. */
int load_codes(struct loader *l, const struct target *t, const struct piece *p, int at, struct why *why);
/* load_blocks.c: the same of blocks. */
int load_blocks(struct loader *l, const struct target *t, const struct piece *p, int at, struct why *why);
/* load.c: reads all targets in slices, by a few threads. */
int loader_read(struct loader *l);
/* weights_pack.c: all targets from a pack file, where there is a good one; or to one. */
bool loader_unpack(struct loader *l);
void loader_keep(struct loader *l);

#endif
