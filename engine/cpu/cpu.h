/* cpu.h - the CPU backend's own view: its state, its weights, one function an operation. Private to
 * engine/cpu. */
#ifndef ENGINE_CPU_CPU_H
#define ENGINE_CPU_CPU_H

#include "engine/cpu/isa/kernels.h"
#include "engine/cpu/pool.h"
#include "engine/backend/weight.h"

struct attn_scratch;

enum { CHUNK = 4096 /* elements worth a worker's waking */ };

struct cpu {
	struct backend base;
	struct pool *pool;
	const struct cpu_kernels *k;
	struct cpu_options how;
	struct attn_scratch *attn;
	struct cpu_kernels own; /* what k points to, where a faster function of another set is in its place */
	bool dot;               /* bf16 products by their own instruction; else by f32 ones, which give the same bits */
	char *x;                /* packed activations of the largest step */
	size_t x_row;           /* bytes of a row there */
	char *scratch;          /* (threads, linear_scratch()) */
};

static inline struct cpu *cpu_of(struct backend *b)
{
	return (struct cpu *)b;
}

struct cpu_weight {
	struct weight base;
	enum pack pack;
	enum x_form form;
	int n_parts, n_seg, units; /* pairs or groups of all segments */
	size_t panel_bytes;
	char *panels;        /* (div_up(rows, 32), panel_bytes) */
	struct segment *seg; /* (n_seg) */
};

/* Pages of zeros, touched by the workers in the order in which pool_each() hands out `units` equal pieces.
 * Dies when there are none. */
void *cpu_pages(struct pool *pool, size_t bytes, int units);
/* The same in two steps: addresses, then pages there, instead of what lies there. */
void *cpu_pages_reserve(size_t bytes);
void cpu_pages_touch(struct pool *pool, void *p, size_t bytes, int units);
/* A file's pages there, read-only. False: its file system has no such thing. */
bool cpu_pages_map(void *p, size_t bytes, int fd, int64_t at);
void cpu_pages_free(void *p, size_t bytes);
size_t cpu_pages_bytes(size_t bytes); /* what is really held */
op_alloc cpu_alloc;
op_free cpu_free;
op_upload cpu_copy; /* op_download, too */

op_weight_create cpu_weight_create;
op_weight_rows cpu_weight_rows;
op_weight_touch cpu_weight_touch;
op_weight_map cpu_weight_map;
op_weight_packed cpu_weight_packed;
op_weight_destroy cpu_weight_destroy;
/* Row `row` as f32: subnormals of f32 and bf16 and any zero become +0. */
void cpu_weight_row(const struct cpu_weight *w, int row, float *out);

/* Rows that a product takes at a time. */
int cpu_tile_rows(const struct cpu_weight *w);

op_embed cpu_embed;
op_add_norm cpu_add_norm;
op_linear cpu_linear;
op_silu_mul cpu_silu_mul;
op_rows cpu_rows;

/* Where one K/V head lies inside a block: all K first, (head_dim, block_size) a head, then all V,
 * (block_size, head_dim rounded up to 16) a head, so that vectors never leave the block. */
struct kv_layout {
	size_t k_head, v_head, v_at, bytes, elem;
	size_t scales; /* bytes behind each head's numbers: (block_size) f32 where they are int8 */
};
struct kv_layout cpu_kv_layout(const struct kv_shape *shape);
op_kv_check cpu_kv_check;
op_kv_bytes cpu_kv_bytes;
op_rope_store cpu_rope_store;

struct attn_scratch *cpu_attn_create(const struct cpu_options *how, struct pool *pool);
void cpu_attn_destroy(struct attn_scratch *a);
op_attention cpu_attention;

#endif
