/* cuda.h - inside the CUDA backend: plain C over the runtime, cuBLASLt and the kernels (kernels.h). Contracts of
 * operations: engine/backend/backend.h. Private to engine/cuda. */
#ifndef ENGINE_CUDA_CUDA_H
#define ENGINE_CUDA_CUDA_H

#include "engine/cuda/kernels.h"
#include "engine/sample/sample.h"
#include "engine/backend/cuda_plugin.h"
#include "engine/backend/lora.h"
#include "engine/backend/weight.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	STEPS = 2 /* steps in flight */,
	STAGES = 16,
	STAGE_BYTES = 2 << 20 /* what loaders copy at a time, or more */,
	SKINNY_ROWS = 32 /* rows up to which products use our own kernel */,
	SKINNY_ROWS_PARTS =
		128 /* reading 8 bits four times costs less than writing them as 16-bit numbers and reading those */
};

/* plan.c: a step's attention, cut into work for blocks. */
struct attn_plan {
	struct attn_item *items;
	struct attn_join *joins;
	struct attn_tile *tiles;
	int n_items, n_joins, n_tiles;
};

struct cuda_graph {
	cudaGraphExec_t exec;
	uint64_t key;
};
enum { N_BUCKETS = 11, MAX_GRAPHS = N_BUCKETS * STEPS * 4 };

/* What one copy brings to the device: the step's arrays and the work lists of attention. */
struct cuda_step {
	char *host, *device; /* pinned and device, `room` bytes each */
	cudaEvent_t copied;
	struct step_head head;
	struct step step;  /* its head is the one above; token, pos, slot, row and blocks are in `device`; the other
			      arrays are NULL */
	int graph;         /* which graph runs it; -1: none */
	bool adapters;     /* some sequence has one */
	struct cuda_work { /* of decode attention: over all keys; over those of the window */
		const struct attn_item *items; /* device */
		const struct attn_join *joins;
		int n;
	} work[2];
	const struct attn_tile *tiles;
	int n_tiles;
};

/* Pinned memory on the way to the device: one thread fills it while copies from other stages are under way. */
struct cuda_stage {
	pthread_mutex_t lock;
	char *memory; /* (STAGE_BYTES) */
	cudaEvent_t sent;
};

/* What the kernels do beyond Llama's first shape: bits of enum backend_need. */
enum { CUDA_COVERS = NEED_ALL };

struct cuda_weight;
struct cuda_sampler;
struct gemm; /* cuBLASLt and the algorithms chosen for it */

struct cuda {
	struct backend base;
	struct cuda_options how;
	enum k_type type;
	cudaStream_t stream;
	cudaEvent_t done;
	int sms;
	struct cuda_step steps[STEPS];
	int turn;                        /* index into `steps` */
	int32_t *sampled;                /* device (max_tokens) base.sampled, or what it would be */
	uint64_t marked_ns;              /* when `done` was recorded after the last step; 0: not yet */
	struct cuda_step *now;           /* the last one made */
	struct attn_plan plan, windowed; /* windowed: only where some layers have a window */
	bool wgmma;                      /* prefill attention over a 16-bit cache uses wgmma */
	bool graphs;                     /* small steps are padded, captured as CUDA graphs and replayed */
	struct cuda_graph graph[MAX_GRAPHS];
	bool ran[N_BUCKETS][2]; /* whether a step of this size, without and with adapters, has run, so that everything
				   it needs is set up */
	bool warming;           /* warm-up: graphs are captured but not launched */
	size_t nodes;           /* of a graph, while cuda_plan() counts them */
	size_t room;
	/* attention */
	float *partial;    /* (max_parts, heads, head_dim + 2) */
	uint32_t *tickets; /* (max_parts, heads): tokens of two parts or more have one */
	int max_parts, n_runs, group;
	const int32_t *known_heads;   /* the host table that `runs` was made from */
	struct attn_run *runs;        /* device (heads) */
	int32_t *kv_of_head;          /* device (heads) */
	float *slopes;                /* device (heads) */
	struct cuda_sampler *sampler; /* on rank 0; else NULL */
	struct comm *peers;           /* the communicator whose sums are on the stream; NULL: none */
	struct gemm *gemm;
	size_t parts_room; /* bytes of weights that are expanded to 16-bit numbers for cuBLASLt at a time, at most */
	size_t fp8_room;   /* bytes of sums of e4m3 numbers that wait for their scales at a time, about */
	struct cuda_weight **weights; /* [n_weights] all weights */
	int n_weights;
	void *ordered; /* (max_tokens, cols) x in the order of a weight's columns; NULL: no weight has one of its own */
	size_t ordered_bytes;
	char *experts;                      /* rows of a routed FFN's tokens; NULL: no layer has one */
	size_t experts_bytes, experts_room; /* held; to be held, about */
	/* loading */
	struct cuda_stage stage[STAGES];
	_Atomic unsigned stage_turn;
};

static inline struct cuda *cuda_of(struct backend *b)
{
	return (struct cuda *)b;
}

struct cuda_weight {
	struct weight base;
	char *data; /* device (rows, pitch bytes): ld numbers of 16 bits, or as K_INT8_ROW and the like, or ld e4m3
		       numbers. The rows of a pair are neighbours */
	int ld;     /* numbers of a row; zeros from cols on */
	size_t pitch;
	float *scale;               /* device (rows), of e4m3 numbers; else NULL */
	int32_t *order;             /* device (cols): the column of x that each belongs to; NULL: the same */
	struct k_segment *segments; /* device; deterministic mode only */
	int n_segments, n_parts;
};

/* Whether its rows lie in parts with scales among their numbers. */
static inline bool cuda_in_parts(const struct cuda_weight *w)
{
	return w->base.quant != QUANT_NONE && w->base.quant != QUANT_FP8;
}

/* w from a row on, as kernels take it. */
static inline struct k_matrix cuda_matrix(const struct cuda_weight *w, int row)
{
	static const enum k_class class_of[] = {
		[QUANT_NONE] = K_CLASS_16,  [QUANT_INT8] = K_CLASS_INT8,   [QUANT_INT4] = K_CLASS_INT4,
		[QUANT_FP8] = K_CLASS_FP8,  [QUANT_UINT8] = K_CLASS_UINT8, [QUANT_UINT4] = K_CLASS_UINT4,
		[QUANT_E4M3] = K_CLASS_E4M3};

	return (struct k_matrix){.data = w->data + (size_t)row * w->pitch,
				 .scale = w->scale ? w->scale + row : NULL,
				 .ld = w->ld,
				 .first = split_columns(&w->base.k).first % K_E4M3_GROUP,
				 .class_ = class_of[w->base.quant]};
}

/* Dies with the runtime's reason and `what`. */
void cuda_check(cudaError_t e, const char *what);
/* Waits for an event: spins briefly, then naps. Dies past the deadline or on a fault of the device. */
void cuda_wait(struct cuda *c, cudaEvent_t event, const char *what);
void cuda_drain(struct cuda *c); /* waits for all that was enqueued */
op_busy cuda_busy;
/* Returns the next stage once its last copy has left. The calling thread, which may be any, owns it until
 * cuda_stage_sent(), and has its device set: threads that load call this before any other CUDA function. */
struct cuda_stage *cuda_stage(struct cuda *c);
void cuda_stage_sent(struct cuda *c, struct cuda_stage *s);
void cuda_stages_create(struct cuda *c);
void cuda_stages_destroy(struct cuda *c);
void *cuda_take(struct cuda *c,
		size_t bytes); /* allocates uncleared device memory and counts it in `held`; dies when there is none */
void cuda_give(struct cuda *c, void *p, size_t bytes);
op_alloc cuda_alloc;
op_free cuda_free;
op_host_alloc cuda_host_alloc;
op_host_free cuda_host_free;
op_upload cuda_upload;
op_download cuda_download;
op_sync cuda_sync;

struct plan_limits {
	int sms, runs; /* runs: blocks of decode that a key range gets, one a run */
	int max_parts;
	bool fixed;
	int max_items; /* room in `items` */
	int window;    /* keys that a token attends to; 0: all */
};
enum {
	DECODE_TOKENS = 4 /* new tokens of a sequence up to which they are decoded one by one */,
	LEAST_KEYS = 64 /* of a block of decode, where they are cut by load */,
	FIXED_RANGE = 256 /* where they are cut by position, for the same bits */
};
void plan_attention(struct attn_plan *p, const struct step *s, const struct plan_limits *lim);
int plan_max_items(const struct step_limits *lim, bool fixed, int max_parts);

op_step cuda_step;
op_warm cuda_warm;
op_run cuda_run;
void cuda_drop_graphs(struct cuda *c);
/* Tokens that small steps of size i are padded to; 0: there are no more sizes. */
int cuda_step_size(const struct cuda *c, int i);
op_plan cuda_plan;
void cuda_step_create(struct cuda *c);
void cuda_step_destroy(struct cuda *c);

op_weight_create cuda_weight_create;
op_weight_rows cuda_weight_rows;
op_weight_codes cuda_weight_codes;
op_weight_order cuda_weight_order;
op_weight_stack cuda_weight_stack;
op_weight_destroy cuda_weight_destroy;
/* Writes row `row` of what a file holds as a row of w. */
void cuda_put_codes(char *out, const struct cuda_weight *w, const struct weight_codes *codes, int row);
/* x, or its columns in w's order. */
struct tensor cuda_ordered(struct cuda *c, const struct tensor *x, const struct cuda_weight *w);

op_linear cuda_linear;
op_linear_mid cuda_linear_mid;
op_linear_silu_mul cuda_linear_silu_mul;

/* Times the algorithms that cuBLASLt proposes for each shape of the weights, with weights that are not in L2. */
void gemm_tune(struct cuda *c);
struct gemm *gemm_create(struct cuda *c);
void gemm_destroy(struct gemm *g, struct cuda *c);
/* Makes room for what products with w, of 8 or 4 bits, need beside it; counted in `held`. */
void gemm_room(struct cuda *c, const struct cuda_weight *w);
/* out (m, rows of w), f32 or of the compute type, = x (m, cols of w) * w^T; cols is a multiple of 8. Where w is e4m3,
 * the rows of x are, too, each with a scale over the columns at hand. False, and nothing written: cuBLASLt has no
 * product of e4m3 numbers of this shape. */
bool gemm_run(struct cuda *c, void *out, bool narrow, const void *x, const struct cuda_weight *w, int m);

op_silu_mul cuda_silu_mul; /* of products of a pair, whose columns alternate */
op_lora_down cuda_lora_down;
op_lora_up cuda_lora_up;

op_embed cuda_embed;
op_add_norm cuda_add_norm;
op_add cuda_add;
op_activate cuda_activate;
op_head_norm cuda_head_norm;
op_rows cuda_rows;
op_kv_check cuda_kv_check;
op_kv_bytes cuda_kv_bytes;
op_rope_store cuda_rope_store;
struct k_cache cuda_cache_of(const void *pool, const struct kv_shape *s);
/* Chooses the kernel of prefill attention and returns its name: CUDA_BY_WGMMA after a successful trial, else what runs
 * and why not wgmma. */
#define CUDA_BY_WGMMA "wgmma"
const char *cuda_prompt_attention(struct cuda *c);
op_attention cuda_attention;

/* The device keeps the histories of calls with penalties, one for each sequence that may run. This is the host's record
 * of them. */
struct sample_book {
	struct sample_kept {
		uint64_t call; /* the call it belongs to: the slot's next call has another number */
		int64_t step;  /* the step in which it was last extended */
		int n;         /* tokens that the device has */
	} * kept;              /* (seqs) */
	int seqs, max_history;
	int64_t step; /* the current step, from 1 on */
	int vocab;
};
/* sample_pack.c. Writes a row and, at ids + at, its lists and the new tokens of its history. Returns how many ids they
 * take. The host must sample the row (skip) where they do not fit into `room`, where a late mask came with it, or where
 * nothing is to be computed for a given token. */
int sample_pack(struct sample_row *r, int32_t *ids, int at, int room, const struct sample *what,
		struct sample_book *book);
struct sample_needs sample_needs_of(const struct sample_row *row, int n);
void sample_unpack(struct sampled *out, const struct sample_result *r, int n_top);
op_sample_open cuda_sample_open;
op_sample cuda_sample;
op_sampled cuda_sampled;
void cuda_sample_close(struct cuda *c);

int cuda_create(struct backend **out, const struct cuda_options *how, struct why *why);

#endif
