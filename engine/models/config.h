/* config.h - what config.json of a Hugging Face directory says about a model, checked. */
#ifndef ENGINE_MODELS_CONFIG_H
#define ENGINE_MODELS_CONFIG_H

#include "engine/backend/backend.h"
#include "engine/checkpoint/quant_config.h"
#include "parallel/shard.h"

enum { MODEL_MAX_EOS = 1024, MODEL_MAX_NOTES = 6, MODEL_MAX_LAYERS = 1024, MODEL_MAX_PAIRS = 512 };

enum positions {
	POSITIONS_ROTARY,
	POSITIONS_ALIBI,  /* a head's slope times the distance, added to its scores (arXiv:2108.12409) */
	POSITIONS_LEARNED /* a table, whose row is added to the embedding */
};
/* Parts that only some models of a family have: bits. */
enum model_part {
	PART_QKV_BIAS = 1 << 0,
	PART_O_BIAS = 1 << 1,
	PART_FFN_BIAS = 1 << 2,
	PART_HEAD_BIAS = 1 << 3,
	PART_HEAD_NORM = 1 << 4,  /* norms of queries and keys */
	PART_SHARED = 1 << 5,     /* experts that all tokens share */
	PART_SHARED_GATE = 1 << 6 /* a weight of theirs for each token */
};

enum rope_scaling { ROPE_NONE, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, ROPE_DYNAMIC, ROPE_LONGROPE };

struct model_config {
	char architecture[64]; /* "XverseForCausalLM": names the family (family.h) */
	int hidden, ffn, layers, heads, kv_heads, head_dim, vocab, max_pos;
	unsigned parts; /* enum model_part */
	enum norm_kind norm;
	enum activation act;
	enum positions positions;
	int n_rot;               /* dimensions of a head that are rotated; 0: all */
	bool rotates_neighbours; /* in the files dimension 2i is rotated with 2i+1, here with the one n_rot/2 further */
	bool parallel;           /* attention and FFN read the same residual stream */
	bool unit_head;          /* the head's rows are scaled to length 1 as they are loaded */
	bool routed[MODEL_MAX_LAYERS];  /* layers whose FFN is a mixture of experts */
	int experts, experts_per_token; /* of such a layer; 0: there is none */
	int expert_ffn, shared_ffn;     /* inner numbers of one expert; of those that all tokens share */
	bool norm_top;                  /* the weights of a token's experts sum to 1 */
	int window;                     /* keys that a token attends to in layers that have a window; 0: all */
	bool windowed[MODEL_MAX_LAYERS];
	float norm_eps;
	double rope_theta;
	enum rope_scaling scaling;
	double rope_factor, rope_low, rope_high,
		rope_original;             /* linear, dynamic: factor; llama3, yarn: all; longrope: original. In
					      yarn low and high are the turns of beta_slow and beta_fast */
	double rope_attention;             /* yarn, longrope: cos and sin are multiplied by it */
	bool rope_truncate;                /* yarn: the blended dimensions are bounded by whole numbers */
	float rope_short[MODEL_MAX_PAIRS]; /* longrope: what the wave of each pair of dimensions is stretched by */
	float rope_long[MODEL_MAX_PAIRS];  /* the same in a context beyond rope_original */
	bool tied;                         /* the head is the embedding */
	enum dtype torch_dtype;            /* DT_COUNT where the file does not say */
	int bos, pad, n_eos, eos[MODEL_MAX_EOS]; /* -1: none */
	bool eos_assumed;                        /* the file names none: they are the class's */
	char note[MODEL_MAX_NOTES][240]; /* how contradictions in the file, or between its readers, were resolved */
	int n_notes;
	struct quant_config quant; /* for plans without files: the tensors of files say themselves what they are */
};

/* ERR_IO, ERR_FORMAT or ERR_UNSUPPORTED, naming the file, the key, what was found and what it must be. */
int model_config_read(struct model_config *c, const char *dir, struct why *why);
/* The same with a JSON object whose members replace those of the file, or NULL. */
int model_config_read_over(struct model_config *c, const char *dir, const char *over, struct why *why);
/* What the network needs of a backend (enum backend_need) for sequences of up to max_context tokens. */
unsigned model_needs(const struct model_config *c, int max_context);
/* Equal configs have equal hashes, in later versions, too (notes aside). */
uint64_t model_config_hash(const struct model_config *c);
/* How many numbers the model's tensors hold; of those, how many a token is multiplied with: of experts, those it takes.
 */
uint64_t model_parameters(const struct model_config *c);
uint64_t model_active_parameters(const struct model_config *c);

/* Dimensions of a head that are rotated. */
static inline int model_n_rot(const struct model_config *c)
{
	return c->positions != POSITIONS_ROTARY ? 0 : c->n_rot ? c->n_rot : c->head_dim;
}

/* Whether the rotation depends on the longest context, so that this must be said. */
static inline bool model_rope_follows_length(const struct model_config *c)
{
	return c->scaling == ROPE_DYNAMIC || c->scaling == ROPE_LONGROPE;
}

static inline struct shard_shape model_shard_shape(const struct model_config *c)
{
	return (struct shard_shape){.hidden = c->hidden,
				    .heads = c->heads,
				    .kv_heads = c->kv_heads,
				    .head_dim = c->head_dim,
				    .ffn = c->ffn,
				    .vocab = c->vocab,
				    .expert_ffn = c->expert_ffn,
				    .shared_ffn = c->shared_ffn};
}

#endif
