/* cpu.h - the CPU backend's state, its weights and its operations (contracts: engine/backend/backend.h). Private to
 * engine/cpu. */
#ifndef ENGINE_CPU_CPU_H
#define ENGINE_CPU_CPU_H

#include "engine/cpu/isa/kernels.h"
#include "engine/cpu/pool.h"
#include "engine/backend/lora.h"
#include "engine/backend/weight.h"

struct attn_scratch;

/* Of backend_experts(): rows of T tokens. */
struct experts_scratch {
	char *in;               /* (T, in_row) what a product reads: gathered rows of x, then inner numbers */
	float *out, *acc;       /* (T, out_row) what it makes: gate and up, then each leaf's outputs; their sums */
	size_t in_row, out_row; /* bytes */
};

enum { CHUNK = 4096 /* elements that are worth waking a worker for */ };

struct cpu {
	struct backend base;
	struct pool *pool;
	const struct cpu_kernels *k;
	struct cpu_options how;
	struct attn_scratch *attn;
	struct cpu_kernels own; /* what k points to: some functions may come from a faster instruction set */
	bool dot;               /* bf16 products use their own instruction; else f32 ones, with the same bits */
	char *x;                /* packed activations of the largest step */
	size_t x_row;           /* bytes of one row of x */
	char *scratch;          /* (threads, linear_scratch()) */
	struct experts_scratch experts;
	struct lora_block *blocks; /* (max_tokens) */
};

/* Rows of one step that go through low-rank matrices together. */
struct lora_block {
	int first, rows, slot;
};

static inline struct cpu *cpu_of(struct backend *b)
{
	return (struct cpu *)b;
}

/* Rows of a weight that are packed in one form. */
struct band {
	int first; /* panel */
	enum pack pack;
	size_t at, panel_bytes;
};

struct cpu_weight {
	struct weight base;
	enum pack pack; /* with bands, that of the first one */
	enum x_form form;
	int n_parts, n_seg, units; /* of all segments: pairs of columns, or groups */
	int blocks;                /* of all segments: blocks of 256 columns, those at their ends included */
	size_t panel_bytes;        /* the same */
	char *panels;              /* of each band (div_up(rows, 32), panel_bytes) */
	size_t packed;             /* bytes of all panels */
	struct band band[WEIGHT_BANDS];
	int n_bands;         /* at least 1 */
	struct segment *seg; /* (n_seg) */
	int32_t *order;      /* (cols) the column of x for each of the weight's; NULL: the same */
};

/* Zeros and subnormals become +0. */
static inline float plus_zero(float f)
{
	return f32_bits(f) & 0x7f800000 ? f : 0;
}

static inline const struct band *cpu_band(const struct cpu_weight *w, int panel)
{
	const struct band *b = w->band;

	while (b + 1 < w->band + w->n_bands && panel >= b[1].first)
		b++;
	return b;
}
static inline char *cpu_panel(const struct cpu_weight *w, const struct band *b, int panel)
{
	return w->panels + b->at + (size_t)(panel - b->first) * b->panel_bytes;
}

/* What the weight's integers have too much: pack_job.offset. Bands without an offset ignore that of the others. */
static inline int cpu_x_offset(const struct cpu_weight *w)
{
	int most = pack_has_zero(w->pack);

	for (int i = 0; i < w->n_bands; i++)
		most = max_int(most, pack_offset(w->band[i].pack));
	return most;
}

/* pack_job.halves */
static inline bool cpu_x_halves(const struct cpu_weight *w)
{
	bool any = false;

	for (int i = 0; i < w->n_bands; i++)
		any = any || pack_has_halves(w->band[i].pack);
	return any;
}

/* Allocates zeroed pages. The workers touch them in the order in which pool_each() hands out `units` equal pieces, so
 * that each piece lies near its worker. Dies when there is no memory. */
void *cpu_pages(struct pool *pool, size_t bytes, int units);
/* The same in two steps: reserve addresses, then put fresh zeroed pages there in place of whatever they hold. */
void *cpu_pages_reserve(size_t bytes);
void cpu_pages_touch(struct pool *pool, void *p, size_t bytes, int units);
/* Maps pages of a file there, read-only. False: its file system cannot be mapped. */
bool cpu_pages_map(void *p, size_t bytes, int fd, int64_t at);
void cpu_pages_free(void *p, size_t bytes);
size_t cpu_pages_bytes(size_t bytes); /* what `bytes` really take */
op_alloc cpu_alloc;
op_free cpu_free;
op_upload cpu_copy; /* op_download, too */

op_weight_create cpu_weight_create;
op_weight_rows cpu_weight_rows;
op_weight_codes cpu_weight_codes;
op_weight_bands cpu_weight_bands;
op_weight_blocks cpu_weight_blocks;
op_weight_order cpu_weight_order;
op_weight_touch cpu_weight_touch;
op_weight_map cpu_weight_map;
op_weight_packed cpu_weight_packed;
op_weight_stack cpu_weight_stack;
op_weight_destroy cpu_weight_destroy;
/* The same of a class of blocks. */
void cpu_block_row(const struct cpu_weight *w, int row, float *out);
/* Writes row `row` as f32 to out (cols). Subnormals of f32 and bf16, and -0, become +0. */
void cpu_weight_row(const struct cpu_weight *w, int row, float *out);

/* The segments of the owned part of a K axis, in units of columns (pairs: 2); returns how many, at most cols / SEGMENT
 * + leaves. aligned: groups end at multiples of 32 of the whole axis. each: every leaf is a part. */
int cpu_segments(const struct split *k, int unit, bool aligned, bool each, struct segment *seg, int *n_parts);
/* Rows of activations that a product's kernel takes at a time. */
int cpu_tile_rows(const struct cpu_weight *w);

op_embed cpu_embed;
op_add_norm cpu_add_norm;
op_add cpu_add;
op_head_norm cpu_head_norm;
op_linear cpu_linear;
op_silu_mul cpu_silu_mul;
op_activate cpu_activate;
op_rows cpu_rows;
op_route cpu_route;
op_experts cpu_experts;
/* Makes room for the products of a stacked weight; frees it. */
void cpu_experts_reserve(struct cpu *c, const struct cpu_weight *w);
void cpu_experts_free(struct cpu *c);
op_lora_down cpu_lora_down;
op_lora_up cpu_lora_up;

/* Where the K/V heads lie inside a block: first all K, (head_dim, block_size) a head, then all V, (block_size, head_dim
 * rounded up to 16) a head, so that vectors never leave the block. All in bytes. */
struct kv_layout {
	size_t k_head, v_head, v_at, bytes, elem;
	size_t scales; /* bytes of scales after each head's numbers: (block_size) f32 where they are int8, else 0 */
};
struct kv_layout cpu_kv_layout(const struct kv_shape *shape);
op_kv_check cpu_kv_check;
op_kv_bytes cpu_kv_bytes;
op_rope_store cpu_rope_store;

struct attn_scratch *cpu_attn_create(const struct cpu_options *how, struct pool *pool);
void cpu_attn_destroy(struct attn_scratch *a);
op_attention cpu_attention;

#endif
