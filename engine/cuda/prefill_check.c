/* prefill_check.c - chooses the kernel of prefill attention: wgmma where the device has it and gives the same numbers
 * as mma.sync on a small problem made here. wgmma relies on layouts that only the device can confirm; if they are wrong
 * we lose speed, never correctness. */
#include "engine/cuda/cuda.h"

#include <math.h>
#include <stdlib.h>

enum { HEADS = 2, SEQS = 3, BLOCKS = 17, ALL_TILES = 4 };
/* New tokens after a cached beginning that is long enough to fill every key buffer twice; more than a tile; less than a
 * tile. */
static const int length[SEQS] = {300, 130, 33}, fresh[SEQS] = {72, 130, 33};
enum { TOKENS = 72 + 130 + 33 };

struct problem {
	struct attn_args a; /* device */
	struct attn_tile *tiles;
	size_t out_bytes;
	uint16_t *out[2]; /* host: of mma.sync, of wgmma */
};

/* Makes n numbers in [-range, range) on the device. */
static void *numbers(struct cuda *c, size_t n, float range)
{
	uint16_t *host = xalloc(n, sizeof *host);
	uint64_t r = n;
	void *p = NULL;

	for (size_t i = 0; i < n; i++) {
		float f;
		r = r * 6364136223846793005u + 1442695040888963407u;
		f = (float)(int32_t)(r >> 32) * 0x1p-31f * range;
		host[i] = c->type == K_F16 ? f16_from_f32(f) : bf16_from_f32(f);
	}
	cuda_check(cudaMalloc(&p, n * sizeof *host), "memory for a check");
	backend_upload(&c->base, p, host, n * sizeof *host);
	free(host);
	return p;
}

static void *given(struct cuda *c, const void *host, size_t bytes)
{
	void *p = NULL;

	cuda_check(cudaMalloc(&p, bytes), "memory for a check");
	backend_upload(&c->base, p, host, bytes);
	return p;
}

static void open_problem(struct cuda *c, struct problem *p)
{
	static const int32_t kv_of_head[HEADS] = {1, 0};
	struct attn_tile tiles[ALL_TILES];
	int32_t blocks[BLOCKS];
	int dim = c->how.head_dim, n = 0, token = 0, block = 0;

	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = (i * 5 + 3) % BLOCKS;
	for (int q = 0; q < SEQS; q++) {
		for (int i = 0; i < fresh[q]; i += ATTN_TILE)
			tiles[n++] = (struct attn_tile){token + i, min_int(ATTN_TILE, fresh[q] - i),
							length[q] - fresh[q] + i, block};
		token += fresh[q], block += div_up(length[q], KV_BLOCK);
	}
	REQUIRE(n == ALL_TILES && token == TOKENS && block == BLOCKS);
	p->out_bytes = (size_t)(TOKENS * HEADS * dim) * 2;
	p->tiles = given(c, tiles, sizeof tiles);
	p->a = (struct attn_args){
		.qkv = numbers(c, (size_t)(TOKENS * 3 * HEADS * dim), 3),
		.blocks = given(c, blocks, sizeof blocks),
		.kv_of_head = given(c, kv_of_head, sizeof kv_of_head),
		.cache = {numbers(c, (size_t)(BLOCKS * 2 * HEADS * KV_BLOCK * dim), 1), HEADS, dim, K_KV_16, 0},
		.heads = HEADS,
		.scale = 1 / sqrtf((float)dim)};
	cuda_check(cudaMalloc(&p->a.out, p->out_bytes), "memory for a check");
}

static void close_problem(struct problem *p)
{
	cudaFree((void *)(uintptr_t)p->a.qkv), cudaFree((void *)(uintptr_t)p->a.blocks),
		cudaFree((void *)(uintptr_t)p->a.kv_of_head);
	cudaFree(p->a.cache.pool), cudaFree(p->a.out), cudaFree(p->tiles);
	free(p->out[0]), free(p->out[1]);
}

/* A kernel that faults ends the process, since the device does nothing any more. */
static const char trial[] = "the trial of wgmma, which --no-wgmma leaves out";

static uint16_t *result(struct cuda *c, struct problem *p, bool wgmma)
{
	uint16_t *out = xalloc(1, p->out_bytes);

	cuda_check(cudaMemsetAsync(p->a.out, 0xff, p->out_bytes, c->stream), "clearing memory"); /* NaN */
	cuda_check((wgmma ? k_attention_prefill_wgmma : k_attention_prefill)(c->stream, c->type, p->a, p->tiles,
									     ALL_TILES),
		   wgmma ? trial : "prefill attention");
	cuda_check(cudaEventRecord(c->done, c->stream), "an event");
	cuda_wait(c, c->done, wgmma ? trial : "prefill attention");
	backend_download(&c->base, out, p->a.out, p->out_bytes);
	return out;
}

/* Returns the largest difference; NaN counts as 9. */
static float apart(const struct cuda *c, const struct problem *p)
{
	float (*up)(uint16_t) = c->type == K_F16 ? f32_from_f16 : f32_from_bf16, worst = 0;

	for (size_t i = 0; i < p->out_bytes / 2; i++) {
		float d = fabsf(up(p->out[0][i]) - up(p->out[1][i]));
		worst = fmaxf(worst, d == d ? d : 9);
	}
	return worst;
}

/* Runs both kernels on one problem. */
static bool wgmma_is_right(struct cuda *c)
{
	/* For numbers up to 1 each kernel may err by half a unit in the last place of bf16 or f16 in its weights, and
	 * once more in what it writes. */
	const float bound = (c->type == K_F16 ? 0x1p-11f : 0x1p-8f) * 4.2f;
	struct problem p = {.tiles = NULL};
	float worst;

	cuda_check(k_attention_wgmma_init(), trial);
	open_problem(c, &p);
	for (int i = 0; i < 2; i++)
		p.out[i] = result(c, &p, i);
	worst = apart(c, &p);
	close_problem(&p);
	if (worst <= bound)
		log_event(LOG_INFO, "prefill attention uses wgmma", " apart=%.5f bound=%.5f", (double)worst,
			  (double)bound);
	else
		log_event(LOG_WARN, "prefill attention by wgmma is wrong on this device; using mma.sync",
			  " apart=%.5f bound=%.5f", (double)worst, (double)bound);
	return worst <= bound;
}

const char *cuda_prompt_attention(struct cuda *c)
{
	int major = 0, minor = 0;

	cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, c->how.device), "the device");
	cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, c->how.device), "the device");
	if (c->how.fixed)
		return "token by token: --enable-deterministic-inference";
	if (!c->how.wgmma)
		return "mma.sync: --no-wgmma";
	if (major != 9 || minor)
		return "mma.sync: wgmma needs compute capability 9.0";
	if (c->how.head_dim != 64 && c->how.head_dim != 128)
		return "mma.sync: wgmma needs heads of 64 or 128";
	return wgmma_is_right(c) ? CUDA_BY_WGMMA : "mma.sync: wgmma is wrong on this device";
}
