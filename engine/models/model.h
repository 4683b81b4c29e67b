/* model.h - one rank's part of a network: its weights and its forward pass. */
#ifndef ENGINE_MODELS_MODEL_H
#define ENGINE_MODELS_MODEL_H

#include "engine/backend/backend.h"
#include "engine/backend/kv.h"
#include "engine/models/config.h"
#include "engine/models/options.h"
#include "engine/step.h"
#include "parallel/comm.h"

struct checkpoint;
struct model;

/* This rank's weights: its slices of the checkpoint's tensors or (checkpoint NULL) random ones by dummy_seed. Backend
 * and communicator are borrowed; comm may be NULL in a dry run. Missing or misshapen tensors are refused with file,
 * tensor and both shapes. */
int model_create(struct model **out, const struct model_config *c, struct checkpoint *ck, struct backend *b,
		 struct comm *comm, const struct model_options *how, struct load_progress *progress, struct why *why);
void model_destroy(struct model *m); /* NULL is fine */
const struct model_config *model_config(const struct model *m);
/* This rank's K/V heads, for a cache of `type`. */
struct kv_shape model_kv_shape(const struct model *m, int block_size, enum dtype type);
size_t model_weight_bytes(const struct model *m); /* of this rank's matrices, as packed */
/* The largest sums and gathers that a model needs on `size` ranks. */
struct comm_limits model_comm_limits(const struct model_config *c, const struct step_limits *lim, int size);

/* All ranks. Enqueues the pass of one step; the hidden states of its rows stay inside. */
void model_forward(struct model *m, struct kv *kv, const struct step *s);
/* All ranks, after model_forward(): logits of the step's rows [first, first + count), count <= limits.rows. Rank 0
 * receives (count, vocab) f32 in `rows`, memory of the host or of the backend; the others pass NULL. Enqueues: they are
 * valid after backend_sync(). */
void model_logits(struct model *m, int first, int count, float *rows);
/* The same, and waits. */
void model_rows(struct model *m, int first, int count, float *rows);

/* debug_nan, rank 0: which output of sequence `seq` (its stable index) first had a number that is not finite; 0: no
 * layer's. */
int model_nan(const struct model *m, int seq);
enum { MODEL_NAN_TEXT = 64 };
const char *model_nan_text(int origin, char out[MODEL_NAN_TEXT]); /* "the attention of layer 3" */

#endif
