/* model.h - a network: its shape, this rank's part of its weights, its forward pass. */
#ifndef ENGINE_MODELS_MODEL_H
#define ENGINE_MODELS_MODEL_H

#include "engine/backend/backend.h"
#include "engine/backend/kv.h"
#include "engine/step.h"
#include "parallel/comm.h"

enum { MODEL_MAX_EOS = 1024, MODEL_MAX_NOTES = 4 };

enum rope_scaling { ROPE_NONE, ROPE_LINEAR, ROPE_LLAMA3 };

/* config.json of a Hugging Face directory, checked. */
struct model_config {
	char architecture[64]; /* "XverseForCausalLM" */
	int hidden, ffn, layers, heads, kv_heads, head_dim, vocab, max_pos;
	float norm_eps;
	double rope_theta;
	enum rope_scaling scaling;
	double rope_factor, rope_low, rope_high, rope_original; /* linear: factor; llama3: all */
	bool tied;
	enum dtype torch_dtype;                  /* DT_COUNT where the file does not say */
	int bos, pad, n_eos, eos[MODEL_MAX_EOS]; /* -1: none */
	char note[MODEL_MAX_NOTES][240]; /* what was taken where the file says two things, or readers of it differ */
	int n_notes;
};

/* ERR_IO, ERR_FORMAT or ERR_UNSUPPORTED with file, key, what was found and what is wanted. */
int model_config_read(struct model_config *c, const char *dir, struct why *why);
struct shard_shape model_shard_shape(const struct model_config *c);
uint64_t model_parameters(const struct model_config *c);

struct checkpoint;
struct load_progress { /* written by the loader, read by any thread */
	_Atomic uint64_t bytes, total;
};

struct model_options {
	struct step_limits limits;
	int max_context;
	int rank, size;
	const char *pack_cache;       /* folder of packed weights, or NULL */
	enum quant quant, quant_head; /* of matrices; of embedding and head */
	uint64_t dummy_seed;          /* for --load-format dummy */
	bool debug_nan;               /* rank 0 looks at every layer's output: model_nan() */
	bool dry;                     /* names and shapes are checked, nothing is read or filled: with a dry backend */
};

struct model;

/* Weights of this rank: each from its slices of the checkpoint, or (checkpoint NULL) random by dummy_seed. Tensors
 * missing or misshapen are refused with file, tensor, found and wanted shape. */
int model_create(struct model **out, const struct model_config *c, struct checkpoint *ck, struct backend *b,
		 struct comm *comm, const struct model_options *how, struct load_progress *progress, struct why *why);
void model_destroy(struct model *m);
const struct model_config *model_config(const struct model *m);
const struct shard *model_shard(const struct model *m);
/* K/V shape of this rank for a cache of `type`. */
struct kv_shape model_kv_shape(const struct model *m, int block_size, enum dtype type);
size_t model_weight_bytes(const struct model *m); /* packed, held by this rank */
struct comm_limits model_comm_limits(const struct model_config *c, const struct step_limits *lim, int size);

/* All ranks. Enqueues the pass of one step; hidden states of its wanted rows stay inside. */
void model_forward(struct model *m, struct kv *kv, const struct step *s);
/* All ranks, after model_forward: logits of wanted rows [first, first + count), count <= limits.rows; rank 0 gets
 * (count, vocab) f32 in `rows`, memory of the host or of the backend; the others pass NULL. Enqueues: there after
 * backend_sync(). */
void model_logits(struct model *m, int first, int count, float *rows);
/* The same, and waits. */
void model_rows(struct model *m, int first, int count, float *rows);

/* debug_nan, rank 0: where numbers of sequence `seq` (its stable index) were first not finite; 0: in no layer's output.
 */
int model_nan(const struct model *m, int seq);
enum { MODEL_NAN_TEXT = 64 };
const char *model_nan_text(int origin, char out[MODEL_NAN_TEXT]); /* "the attention of layer 3" */

#endif
