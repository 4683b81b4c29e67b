/* config.h - what config.json of a Hugging Face directory says about a model, checked. */
#ifndef ENGINE_MODELS_CONFIG_H
#define ENGINE_MODELS_CONFIG_H

#include "base/base.h"
#include "parallel/shard.h"

enum { MODEL_MAX_EOS = 1024, MODEL_MAX_NOTES = 4 };

enum rope_scaling { ROPE_NONE, ROPE_LINEAR, ROPE_LLAMA3 };

struct model_config {
	char architecture[64]; /* "XverseForCausalLM": names the family (family.h) */
	int hidden, ffn, layers, heads, kv_heads, head_dim, vocab, max_pos;
	float norm_eps;
	double rope_theta;
	enum rope_scaling scaling;
	double rope_factor, rope_low, rope_high, rope_original; /* linear: factor; llama3: all */
	bool tied;                                              /* the head is the embedding */
	enum dtype torch_dtype;                                 /* DT_COUNT where the file does not say */
	int bos, pad, n_eos, eos[MODEL_MAX_EOS];                /* -1: none */
	char note[MODEL_MAX_NOTES][240]; /* how contradictions in the file, or between its readers, were resolved */
	int n_notes;
};

/* ERR_IO, ERR_FORMAT or ERR_UNSUPPORTED, naming the file, the key, what was found and what it must be. */
int model_config_read(struct model_config *c, const char *dir, struct why *why);
/* How many numbers the model's tensors hold. */
uint64_t model_parameters(const struct model_config *c);

static inline struct shard_shape model_shard_shape(const struct model_config *c)
{
	return (struct shard_shape){.hidden = c->hidden,
				    .heads = c->heads,
				    .kv_heads = c->kv_heads,
				    .head_dim = c->head_dim,
				    .ffn = c->ffn,
				    .vocab = c->vocab};
}

#endif
