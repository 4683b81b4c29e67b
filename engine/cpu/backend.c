/* backend.c - the CPU backend's table and its creation. */
#include "engine/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

static const char *const isa_names[] = {"auto", "portable", "avx2", "avx512", "avx512_bf16"};

const char *cpu_isa_name(enum cpu_isa isa)
{
	return isa_names[isa];
}

int cpu_isa_parse(const char *name, enum cpu_isa *out)
{
	for (int i = CPU_AUTO; i <= CPU_AVX512_BF16; i++)
		if (!strcmp(name, isa_names[i])) {
			*out = (enum cpu_isa)i;
			return 0;
		}
	return ERR_INVALID;
}

#ifdef __x86_64__
static bool has_f16c(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

static bool isa_here(enum cpu_isa isa)
{
#ifdef __x86_64__
	bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
	bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");

	if (isa == CPU_AVX512_BF16)
		return avx512 && __builtin_cpu_supports("avx512bf16");
	if (isa == CPU_AVX512)
		return avx512;
	if (isa == CPU_AVX2)
		return avx2;
#endif
	return isa == CPU_PORTABLE;
}

enum cpu_isa cpu_isa_best(void)
{
	enum cpu_isa isa = CPU_AVX512_BF16;

	while (!isa_here(isa))
		isa--;
	return isa;
}

const struct cpu_kernels *cpu_kernels_of(enum cpu_isa isa)
{
	if (isa == CPU_AUTO)
		isa = cpu_isa_best();
	if (!isa_here(isa))
		return NULL;
#ifdef __x86_64__
	if (isa == CPU_AVX512_BF16)
		return &cpu_kernels_avx512_bf16;
	if (isa == CPU_AVX512)
		return &cpu_kernels_avx512;
	if (isa == CPU_AVX2)
		return &cpu_kernels_avx2;
#endif
	return &cpu_kernels_portable;
}

static void destroy(struct backend *b)
{
	struct cpu *c = cpu_of(b);

	pool_destroy(c->pool);
	cpu_experts_free(c);
	cpu_attn_destroy(c->attn);
	cpu_pages_free(c->x, c->x_row * (size_t)c->how.max_tokens);
	cpu_pages_free(c->scratch, linear_scratch() * (size_t)c->how.threads);
	free(c->blocks);
	free(c);
}

static void sync(struct backend *b)
{
	(void)b; /* every operation is done when it returns */
}

static const struct step *step(struct backend *b, const struct step *s)
{
	(void)b;
	return s;
}

static void run(struct backend *b, uint64_t key, void (*fn)(void *arg), void *arg)
{
	(void)b, (void)key;
	fn(arg);
}

/* The CPU has no warm-up steps. The calling thread will run all steps as worker 0, so it is pinned here. */
static bool warm(struct backend *b, int i, struct step *s)
{
	(void)i, (void)s;
	pool_pin_caller(cpu_of(b)->pool);
	return false;
}

static const struct backend_ops cpu_ops = {
	.name = "cpu",
	.covers = NEED_ALL,
	.warm = warm,
	.destroy = destroy,
	.alloc = cpu_alloc,
	.free = cpu_free,
	.upload = cpu_copy,
	.download = cpu_copy,
	.sync = sync,
	.step = step,
	.run = run,
	.weight_create = cpu_weight_create,
	.weight_rows = cpu_weight_rows,
	.weight_codes = cpu_weight_codes,
	.weight_bands = cpu_weight_bands,
	.weight_blocks = cpu_weight_blocks,
	.codes = CPU_CODES,
	.weight_order = cpu_weight_order,
	.weight_destroy = cpu_weight_destroy,
	.weight_touch = cpu_weight_touch,
	.weight_packed = cpu_weight_packed,
	.weight_map = cpu_weight_map,
	.weight_stack = cpu_weight_stack,
	.layout = "cpu 32 3",
	.embed = cpu_embed,
	.add_norm = cpu_add_norm,
	.add = cpu_add,
	.head_norm = cpu_head_norm,
	.linear = cpu_linear,
	.kv_check = cpu_kv_check,
	.kv_bytes = cpu_kv_bytes,
	.rope_store = cpu_rope_store,
	.attention = cpu_attention,
	.silu_mul = cpu_silu_mul,
	.activate = cpu_activate,
	.route = cpu_route,
	.experts = cpu_experts,
	.rows = cpu_rows,
	.lora_down = cpu_lora_down,
	.lora_up = cpu_lora_up,
};

static bool has_vnni(void)
{
#ifdef __x86_64__
	return __builtin_cpu_supports("avx512vnni");
#else
	return false;
#endif
}

/* Early machines with AVX-512 lack its byte products (VNNI): those of AVX2 are used instead. */
static void choose_int(struct cpu *c)
{
#ifdef __x86_64__
	if (c->k->tile_rows[PACK_INT8] == cpu_kernels_avx2.tile_rows[PACK_INT8] || has_vnni())
		return;
	for (int i = PACK_INT8; i < PACK_COUNT; i++) {
		c->own.linear[i] = cpu_kernels_avx2.linear[i];
		c->own.tile_rows[i] = cpu_kernels_avx2.tile_rows[i];
	}
#endif
}

enum { TRY_ROWS = 12 };

struct
try {
	kernel_linear *linear;
	struct linear_job job;
	uint64_t best;
};

static void try_linear(void *arg, int unit, int worker)
{
	struct try *t = arg;
	uint64_t start = now_ns(), time;

	(void)unit, (void)worker;
	t->linear(&t->job);
	time = now_ns() - start;
	t->best = time < t->best ? time : t->best;
}

/* On some machines a bf16 product takes twice as long as two f32 ones. Both give the same bits, so the faster one by
 * measurement is used. */
static bool dot_is_fast(struct cpu *c)
{
	static const struct segment seg = {.cols = SEGMENT, .units = SEGMENT / 2};
	size_t panel = w_unit(PACK_BF16) * SEGMENT / 2, x = (size_t)TRY_ROWS * SEGMENT * sizeof(float);
	char *data = cpu_pages(c->pool, panel + 2 * x, 1);
	float out[TRY_ROWS * PANEL];
	struct try dot = {.linear = c->k->linear_dot, .best = UINT64_MAX}, f32 = dot;

	f32.linear = c->k->linear[PACK_BF16];
	dot.job = (struct linear_job){.seg = &seg,
				      .n_seg = 1,
				      .panel = data,
				      .x = data + panel,
				      .tiles = tiles_of(TRY_ROWS, c->k->dot_rows),
				      .end = div_up(TRY_ROWS, c->k->dot_rows),
				      .out = out,
				      .out_stride = PANEL,
				      .cols = PANEL,
				      .scratch = c->scratch};
	f32.job = dot.job;
	for (int i = 0; i < 8; i++) {
		pool_each(c->pool, 1, try_linear, &dot);
		pool_each(c->pool, 1, try_linear, &f32);
	}
	cpu_pages_free(data, panel + 2 * x);
	return dot.best < f32.best;
}

static void choose_kernels(struct cpu *c)
{
	c->own = *c->k;
	choose_int(c);
	c->k = &c->own;
	c->dot = c->base.act == DT_BF16 && c->k->linear_dot;
	if (c->dot && c->how.isa == CPU_AUTO && c->pool)
		c->dot = dot_is_fast(c);
}

int backend_cpu_create(struct backend **out, const struct cpu_options *how, struct why *why)
{
	const struct cpu_kernels *k = cpu_kernels_of(how->isa);
	struct cpu *c;

	*out = NULL;
	if (!k)
		return fail(why, ERR_UNSUPPORTED, "this machine lacks %s; its best instruction set is %s",
			    cpu_isa_name(how->isa), cpu_isa_name(cpu_isa_best()));
	if (how->compute != DT_F32 && how->compute != DT_BF16)
		return fail(why, ERR_UNSUPPORTED, "compute class %s is not supported on the CPU; f32 and bf16 are",
			    dtype_name(how->compute));
	if (how->threads < 1)
		return fail(why, ERR_INVALID, "threads must be at least 1, not %d", how->threads);
	REQUIRE(how->max_tokens >= 0 && how->max_context >= 0 && how->max_heads >= 0 && how->max_head_dim >= 0);
	c = xalloc(1, sizeof *c);
	c->base.ops = &cpu_ops;
	c->base.act = how->compute;
	c->how = *how;
	c->k = k;
	c->pool = how->dry ? NULL : pool_create(how->threads, how->cpu);
	c->attn = cpu_attn_create(how, c->pool);
	c->scratch = cpu_pages(c->pool, linear_scratch() * (size_t)how->threads, how->threads);
	c->blocks = xalloc((size_t)how->max_tokens + 1, sizeof *c->blocks);
	choose_kernels(c);
	*out = &c->base;
	return 0;
}
