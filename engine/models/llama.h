/* llama.h - private to engine/models: this rank's part of a Llama-shaped network. */
#ifndef ENGINE_MODELS_LLAMA_H
#define ENGINE_MODELS_LLAMA_H

#include "engine/models/model.h"
#include "engine/backend/weight.h"

/* q, k, v rows of this rank under each other, and gate over up: one product each. */
struct layer {
	float *norm_att, *norm_ffn; /* (hidden) */
	struct weight *qkv;         /* ((heads + 2*kv_heads)*head_dim, hidden)  split by rows */
	struct weight *o;           /* (hidden, heads*head_dim)                 split by columns: needs a sum */
	struct weight *gate_up;     /* (2*ffn, hidden)                          split by rows; NULL: an empty share */
	struct weight *down;        /* (hidden, ffn)                            split by columns: needs a sum */
};

/* Activations, sized once for the largest step; T = limits.max_tokens. */
struct work {
	float *x, *delta;           /* (T, hidden) residual stream; last sum, not yet added to it */
	float *x_rows, *delta_rows; /* (T, hidden) the wanted rows of both, last layer */
	void *act;                  /* (T, widest input of a linear) of type b->act */
	void *qkv;                  /* (T, (heads + 2*kv_heads)*head_dim) */
	void *gate_up;              /* (T, 2*ffn); both of type b->mid */
	size_t bytes[7];
};

struct model {
	struct model_config cfg;
	struct model_options how;
	struct shard shard;
	struct backend *b;           /* borrowed */
	struct comm *comm;           /* borrowed */
	struct weight *embed, *head; /* (vocab of this rank, hidden); tied: the same; NULL: an empty share */
	float *norm_out;             /* (hidden) */
	struct layer *layer;         /* [cfg.layers] */
	float *cos, *sin;            /* (max_context, head_dim/2) */
	struct rope rope;
	struct attn_shape attn;
	int32_t *kv_of_head;   /* (heads of this rank) */
	int32_t *cols_of_rank; /* (size) words of each rank */
	struct work work;
	int act_cols;
	struct nan_watch *nan; /* NULL: nothing is looked at */
};

/* nan.c: what a layer left, looked at on the host. Origins are 1 for the embedding, then two a layer. */
enum { NAN_EMBED = 1, NAN_ATTENTION = 2, NAN_FFN = 3 };
struct nan_watch *nan_create(const struct model *m);
void nan_destroy(struct nan_watch *w);
void nan_begin(struct model *m, const struct step *s); /* s: of the host, until nan_end() */
/* (n_tokens, hidden) of the backend, or (n_rows, hidden) of the step's rows. */
void nan_look(struct model *m, const float *data, bool rows, int origin);
void nan_end(struct model *m);

/* weights.c */
struct checkpoint;
int weights_load(struct model *m, struct checkpoint *ck, struct load_progress *progress, struct why *why);
void weights_free(struct model *m);
/* weights_pack.c: from and to a pack file, where one is asked for. */
bool weights_unpack(struct model *m, struct checkpoint *ck, struct load_progress *progress);
void weights_keep(struct model *m, struct checkpoint *ck);

#endif
