/* inside.h - private to engine/models: this rank's part of a model. */
#ifndef ENGINE_MODELS_INSIDE_H
#define ENGINE_MODELS_INSIDE_H

#include "engine/backend/kv.h"
#include "engine/backend/weight.h"
#include "engine/models/family.h"
#include "engine/models/options.h"
#include "parallel/comm.h"

struct model_lora;

/* The rows of q, k and v lie below each other, and gate above up: one product each. A pointer to what the model does
 * not have is NULL. */
struct layer {
	float *norm_att, *norm_ffn; /* (hidden); norm_ffn NULL: one norm for both (parallel) */
	float *norm_att_bias, *norm_ffn_bias;
	struct weight *qkv;     /* ((heads + 2*kv_heads)*head_dim, hidden)  split by rows */
	struct weight *o;       /* (hidden, heads*head_dim)                 split by columns: needs a sum */
	struct weight *gate_up; /* (2*ffn, hidden), without a gate (ffn, hidden): split by rows; NULL: an empty share */
	struct weight *down;    /* (hidden, ffn)                            split by columns: needs a sum */
	struct weight *router;  /* (experts, hidden); NULL: the FFN is not routed */
	struct weight *shared_gate; /* (1, hidden) */
	struct weight *expert_gate_up,
		*expert_down; /* stacks of `experts`: (2*expert_ffn, hidden), (hidden, expert_ffn) */
	struct weight *shared_gate_up, *shared_down; /* the same of the shared experts, stacks of one */
	float *qkv_bias, *gate_up_bias;              /* of this rank's rows */
	float *o_bias, *down_bias;                   /* (hidden) added once, behind the sum */
	float *q_norm, *k_norm;                      /* (head_dim) */
};

/* Activations, sized once for the largest step; T = limits.max_tokens. */
struct work {
	float *x, *x_rows;        /* (T, hidden) residual stream; the step's rows of it, last layer */
	void *delta, *delta_rows; /* (T, hidden; type b->sum) last sum, not yet added to x; the step's rows of it */
	void *act;                /* (T, widest input of a linear) of type b->act */
	void *qkv;                /* (T, (heads + 2*kv_heads)*head_dim) of type b->mid */
	void *gate_up;            /* (T, 2*ffn) of type b->mid */
	float *router, *shared;   /* (T, experts), (T): logits of the choice */
	int32_t *expert;          /* struct routing */
	float *expert_weight;
	size_t bytes[11]; /* of each of the above; 0: the communicator's memory */
};

struct model {
	struct model_config cfg;
	const struct family *family;
	struct model_options how;
	struct shard shard;
	struct backend *b;               /* borrowed */
	struct comm *comm;               /* borrowed; NULL in a dry run */
	struct weight *embed, *head;     /* (vocab of this rank, hidden); tied: the same */
	struct weight *positions;        /* (max_pos, hidden), or NULL */
	float *norm_out, *norm_out_bias; /* (hidden); bias or NULL */
	float *head_bias;                /* (vocab of this rank) or NULL */
	struct layer *layer;             /* [cfg.layers] */
	float *cos, *sin;                /* (max_context, rope.n_rot/2), or NULL */
	struct rope rope;
	struct attn_shape attn;
	int32_t *kv_of_head;   /* (heads of this rank) */
	float *slopes;         /* (heads of this rank) or NULL */
	int32_t *cols_of_rank; /* (size) tokens of the vocabulary that each rank owns */
	struct work work;
	int act_cols;
	struct model_lora *lora; /* slots of adapters; NULL: none */
	struct nan_watch *nan;   /* NULL: layers' outputs are not checked */
};

#endif
