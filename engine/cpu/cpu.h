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

struct weight *cpu_weight_create(struct backend *b, int rows, int cols, enum dtype stored, const struct split *k);
struct weight *cpu_weight_create_quant(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
				       const struct split *k);
void cpu_weight_rows(struct weight *w, int first, int count, const void *src, size_t ld);
void cpu_weight_touch(struct weight *w);
bool cpu_weight_map(struct weight *w, int fd, int64_t at);
void *cpu_weight_packed(struct weight *w, size_t *bytes);
void cpu_weight_destroy(struct weight *w);
/* Row `row` as f32: subnormals of f32 and bf16 and any zero become +0. */
void cpu_weight_row(const struct cpu_weight *w, int row, float *out);

/* Rows that a product takes at a time. */
int cpu_tile_rows(const struct cpu_weight *w);

void cpu_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id);
void cpu_add_norm(struct backend *b, struct tensor *out, struct tensor *x, const float *delta, const float *w,
		  const float *bias, enum norm_kind kind, float eps);
void cpu_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *w, const float *bias);
void cpu_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up);
void cpu_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row);

/* Where one K/V head lies inside a block: all K first, (head_dim, block_size) a head, then all V,
 * (block_size, head_dim rounded up to 16) a head, so that vectors never leave the block. */
struct kv_layout {
	size_t k_head, v_head, v_at, bytes, elem;
	size_t scales; /* bytes behind each head's numbers: (block_size) f32 where they are int8 */
};
struct kv_layout cpu_kv_layout(const struct kv_shape *shape);
int cpu_kv_check(struct backend *b, const struct kv_shape *shape, struct why *why);
size_t cpu_kv_bytes(struct backend *b, const struct kv_shape *shape);
void cpu_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const struct rope *rope,
		    void *pool, const struct kv_shape *kv, const struct step *s);
struct attn_scratch *cpu_attn_create(const struct cpu_options *how, struct pool *pool);
void cpu_attn_destroy(struct attn_scratch *a);
void cpu_attention(struct backend *b, struct tensor *out, const struct tensor *qkv, const struct attn_shape *shape,
		   const void *pool, const struct kv_shape *kv, const struct step *s);

#endif
