/* family.h - private to engine/models: a model family is one table of its matrices, a reader of its config.json and a
 * forward pass, which families of one shape share. Loading, freeing, pack files, dummy weights, dry runs and the counts
 * of bytes and parameters all walk the table, so a family's tensors are named in no other place. */
#ifndef ENGINE_MODELS_FAMILY_H
#define ENGINE_MODELS_FAMILY_H

#include "engine/models/config.h"

struct config_reader;
struct kv;
struct model;
struct step;

/* An axis of a checkpoint's tensor: its length, and how the ranks share it. */
enum axis {
	AXIS_ONE,        /* 1: the second axis of a vector */
	AXIS_HIDDEN,     /* hidden; whole on every rank */
	AXIS_Q,          /* heads * head_dim; by the leaves of o */
	AXIS_KV,         /* kv_heads * head_dim; the K/V heads that the rank's q heads use */
	AXIS_FFN,        /* ffn; by the leaves of down */
	AXIS_VOCAB,      /* vocab; by groups of 64 tokens */
	AXIS_HEAD,       /* head_dim; whole on every rank */
	AXIS_POSITIONS,  /* max_pos; whole on every rank */
	AXIS_EXPERTS,    /* the number of experts; whole on every rank */
	AXIS_EXPERT_FFN, /* expert_ffn; by the leaves of an expert's down */
	AXIS_SHARED_FFN  /* shared_ffn; by the same leaves */
};

/* In which layers a row is. */
enum row_layers { LAYERS_ALL, LAYERS_DENSE, LAYERS_ROUTED };
/* Of one stack (weight_stack()): of the layer's experts, or of the shared ones, which are one. */
enum row_stack { STACK_NONE, STACK_EXPERTS, STACK_SHARED };

enum weight_kind {
	WEIGHT_MATRIX,    /* struct weight *, as --quantization says */
	WEIGHT_TABLE,     /* struct weight *: the embedding, as --quantization-head says */
	WEIGHT_HEAD,      /* the same for the head; a tied model has none: its head is the embedding */
	WEIGHT_POSITIONS, /* struct weight *: a table of positions, as stored */
	WEIGHT_ROUTER,    /* struct weight *: what experts are chosen by, as stored: a rounded one chooses others */
	WEIGHT_GAIN,      /* float *: a vector that a norm multiplies by */
	WEIGHT_BIAS       /* float *: a vector that is added */
};

/* How the rows of q, k and v lie in the one tensor that holds them. */
enum qkv_order {
	QKV_THIRDS,   /* all of q, then k, then v; the same for gate and up */
	QKV_BY_HEAD,  /* K/V head by K/V head: its q heads, its k and its v (GPT-NeoX, InternLM 2) */
	QKV_BY_BLOCK4 /* four blocks of heads, each with its q, v and k, in this order (CodeGen, MOSS) */
};

/* One matrix or vector of the model, or a stack of the matrices of experts. It is made of tensors below each other:
 * pieces that share their columns. Where the columns are AXIS_Q or AXIS_FFN, a rank owns a part of the K axis, and its
 * product is a partial that must be summed. Of experts each is made so, '#' in a name stands for the expert's number,
 * and one tensor may hold all experts, one after the other. A row whose pieces have an FFN's inner axis as rows stays
 * NULL on a rank that owns no part of the FFN. */
struct weight_row {
	size_t place; /* offset of the pointer: in struct layer, or without `per_layer` in struct model */
	bool per_layer;
	enum weight_kind kind;
	enum axis cols;
	struct {
		const char *name; /* of the tensor; per_layer: what follows "model.layers.N." */
		enum axis rows;
		const char *all; /* of experts: another name, under which one tensor holds the piece of all */
	} piece[3];              /* ends with a NULL name */
	const char *fused[2];    /* other names, under which one tensor holds all pieces */
	bool paired;             /* gate above up: weight_pair() */
	unsigned part;           /* enum model_part: only models that have it have this row; 0: all */
	enum row_layers layers;
	enum row_stack stack;
	bool heads;           /* the pieces are q, k and v: rotated as the config says (rotates_neighbours) */
	enum qkv_order order; /* of the tensor that holds all pieces */
	int skip;             /* rows of the tensor before the first that is used (OPT's positions) */
};

struct family {
	const char *architecture, *alias; /* "architectures" of config.json; alias: an older spelling, or NULL */
	const char *model_type;
	/* Fills the rest of the config; reports refusals to the reader (fields.h). */
	void (*read_config)(struct config_reader *r, struct model_config *c);
	const char *layer;             /* what stands before the number of a layer: "model.layers." */
	const char *prefix;            /* what files may leave out at the start of a name: "model.", or NULL */
	const struct weight_row *rows; /* in the order of a pack file; ends with a row without pieces */
	const int *eos; /* what the class takes where config.json has no "eos_token_id"; ends with -1; NULL: none */
	/* Prefixes of tensors outside the layers that would act on every token: one that is in no row is refused. Ends
	 * with NULL. */
	const char *const *acting;
	/* Enqueues embedding and layers; leaves the residual stream of the step's rows in m->work. */
	void (*pass)(struct model *m, struct kv *kv, const struct step *s);
};

/* The NULL-terminated list, in the order of preference where only a model_type is given. */
extern const struct family *const families[];
/* By architecture or alias; NULL: unknown. */
const struct family *family_find(const char *architecture);
/* Dies where it is unknown, which model_config_read() refuses. */
const struct family *family_of(const struct model_config *c);

#endif
