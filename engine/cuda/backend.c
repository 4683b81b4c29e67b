/* backend.c - the CUDA backend's table and its creation. */
#include "engine/cuda/experts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static void ready(struct backend *b)
{
	struct cuda *c = cuda_of(b);

	if (c->gemm && c->how.tune)
		gemm_tune(c);
	cuda_drain(c);
}

static void destroy(struct backend *b)
{
	struct cuda *c = cuda_of(b);

	if (!c->how.dry)
		cuda_drain(c);
	cuda_drop_graphs(c);
	gemm_destroy(c->gemm, c);
	cuda_sample_close(c);
	cuda_step_destroy(c);
	cuda_give(c, c->partial,
		  (size_t)c->max_parts * (size_t)c->how.heads * (size_t)(c->how.head_dim + 2) * sizeof(float));
	cuda_give(c, c->tickets, (size_t)c->max_parts * (size_t)c->how.heads * sizeof *c->tickets);
	cuda_give(c, c->runs, (size_t)c->how.heads * sizeof *c->runs);
	cuda_give(c, c->kv_of_head, (size_t)c->how.heads * sizeof *c->kv_of_head);
	cuda_give(c, c->slopes, (size_t)c->how.heads * sizeof *c->slopes);
	cuda_give(c, c->ordered, c->ordered_bytes);
	cuda_give(c, c->experts, c->experts_bytes);
	if (!c->how.dry) {
		cuda_stages_destroy(c);
		cudaEventDestroy(c->done);
		cudaStreamDestroy(c->stream);
	}
	free(c->weights);
	free(c);
}

static const struct backend_ops cuda_ops = {
	.name = "cuda",
	.covers = CUDA_COVERS,
	.destroy = destroy,
	.alloc = cuda_alloc,
	.free = cuda_free,
	.host_alloc = cuda_host_alloc,
	.host_free = cuda_host_free,
	.ready = ready,
	.upload = cuda_upload,
	.download = cuda_download,
	.sync = cuda_sync,
	.busy = cuda_busy,
	.step = cuda_step,
	.plan = cuda_plan,
	.warm = cuda_warm,
	.run = cuda_run,
	.weight_create = cuda_weight_create,
	.weight_rows = cuda_weight_rows,
	.weight_codes = cuda_weight_codes,
	.codes = CUDA_CODES,
	.weight_order = cuda_weight_order,
	.weight_stack = cuda_weight_stack,
	.weight_destroy = cuda_weight_destroy,
	.embed = cuda_embed,
	.add_norm = cuda_add_norm,
	.add = cuda_add,
	.linear = cuda_linear,
	.linear_mid = cuda_linear_mid,
	.kv_check = cuda_kv_check,
	.kv_bytes = cuda_kv_bytes,
	.rope_store = cuda_rope_store,
	.attention = cuda_attention,
	.linear_silu_mul = cuda_linear_silu_mul,
	.silu_mul = cuda_silu_mul,
	.lora_down = cuda_lora_down,
	.lora_up = cuda_lora_up,
	.paired_columns = true,
	.activate = cuda_activate,
	.head_norm = cuda_head_norm,
	.route = cuda_route,
	.experts = cuda_experts,
	.rows = cuda_rows,
	.sample_open = cuda_sample_open,
	.sample = cuda_sample,
	.sampled = cuda_sampled,
};

static int check_shape(const struct cuda_options *how, struct why *why)
{
	REQUIRE(how->sum == DT_F32 || (how->sum == DT_BF16 && how->compute == DT_BF16 && !how->fixed));
	if (how->compute != DT_BF16 && how->compute != DT_F16)
		return fail(why, ERR_UNSUPPORTED, "compute class %s is not supported on CUDA yet; bf16 and f16 are",
			    dtype_name(how->compute));
	if (cuda_lacks_heads(how->head_dim, how->fixed))
		return fail(why, ERR_UNSUPPORTED, "%s: the model's have %d",
			    cuda_lacks_heads(how->head_dim, how->fixed), how->head_dim);
	return 0;
}

static int open_device(struct cuda *c, struct why *why)
{
	cudaError_t e = cudaSetDevice(c->how.device);
	const char *why_not;
	int major = 0;

	if (!e)
		e = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, c->how.device);
	if (!e)
		e = cudaDeviceGetAttribute(&c->sms, cudaDevAttrMultiProcessorCount, c->how.device);
	if (e)
		return fail(why, ERR_UNKNOWN, "CUDA device %d: %s", c->how.device, cudaGetErrorString(e));
	if (major < 8)
		return fail(why, ERR_UNSUPPORTED,
			    "CUDA device %d has compute capability %d.x; at least 8.0 is required", c->how.device,
			    major);
	cuda_check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "a stream");
	cuda_check(cudaEventCreateWithFlags(&c->done, cudaEventDisableTiming), "an event");
	cuda_stages_create(c);
	prctl(PR_SET_TIMERSLACK, 1000L); /* naps of 20 us while waiting would take 70 by default */
	/* An SM changes how it splits L1 from shared memory only when idle. All kernels ask for the same split, so that
	 * the next one may start early. */
	cuda_check(cudaDeviceSetCacheConfig(cudaFuncCachePreferShared), "the cache");
	why_not = c->how.overlap ? k_no_overlap(c->how.device) : "off: --no-overlap";
	k_overlap(!why_not);
	c->base.kernel_overlap = why_not ? why_not : "on";
	cuda_check(k_linear_init(), "kernels");
	cuda_check(k_attention_init(), "kernels");
	cuda_check(k_experts_init(), "kernels");
	c->base.prompt_attention = cuda_prompt_attention(c);
	c->wgmma = !strcmp(c->base.prompt_attention, CUDA_BY_WGMMA);
	return 0;
}

int cuda_create(struct backend **out, const struct cuda_options *how, struct why *why)
{
	enum { DRY_SMS = 132 };
	struct cuda *c;
	size_t heads = (size_t)how->heads;
	int err = check_shape(how, why);

	*out = NULL;
	if (err)
		return err;
	c = xalloc(1, sizeof *c);
	c->base.ops = &cuda_ops;
	c->base.act = c->base.mid = how->compute;
	c->base.sum = how->sum;
	c->base.fixed = how->fixed;
	c->how = *how;
	c->type = how->compute == DT_F16 ? K_F16 : K_BF16;
	c->sms = DRY_SMS;
	c->parts_room = 128 << 20, c->fp8_room = 32 << 20, c->experts_room = 256 << 20;
	err = how->dry ? 0 : open_device(c, why);
	if (err) {
		free(c);
		return err;
	}
	c->max_parts = 8 * c->sms / max_int(1, how->kv_heads) + DECODE_TOKENS * how->limits.max_seqs;
	if (how->fixed)
		c->max_parts = max_int(c->max_parts, div_up(how->max_context, FIXED_RANGE) + how->limits.max_seqs);
	c->partial = cuda_take(c, (size_t)c->max_parts * heads * (size_t)(how->head_dim + 2) * sizeof(float));
	c->tickets = cuda_alloc(&c->base, (size_t)c->max_parts * heads * sizeof *c->tickets);
	c->runs = cuda_take(c, heads * sizeof *c->runs);
	c->kv_of_head = cuda_take(c, heads * sizeof *c->kv_of_head);
	c->slopes = cuda_take(c, heads * sizeof *c->slopes);
	cuda_step_create(c);
	if (!how->fixed)
		c->gemm = gemm_create(c);
	c->base.stream = c->stream;
	c->base.sampled = c->sampled;
	c->graphs = how->graphs && !how->dry;
	*out = &c->base;
	return 0;
}
