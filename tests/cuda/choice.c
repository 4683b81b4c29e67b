/* Which kernel does the attention of prompts: the one by wgmma only on compute capability 9.0, where asked for, and where a check at
 * start finds it right. Here it is a stand-in that can be wrong. */
#include "engine/cuda/cuda.h"
#include "engine/plugin.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

const struct plugin *xversed_plugin(void);

static int wrong, launched;
static char told[512];

cudaError_t k_attention_wgmma_init(void)
{
	return cudaSuccess;
}
cudaError_t k_attention_prefill_wgmma(cudaStream_t stream, enum k_type type, struct attn_args a, const struct attn_tile *tiles, int n)
{
	const size_t last = (size_t)(235 * a.heads * a.cache.dim - 1) * 2;
	cudaError_t e = cudaSuccess;

	launched++;
	if (wrong != 1) /* 1: nothing is written */
		e = k_attention_prefill(stream, type, a, tiles, n);
	if (!e && wrong == 2) /* one number */
		e = cudaMemsetAsync((char *)a.out + last, 0x31, 2, stream);
	return e;
}

static void keep(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	if (strstr(line, "attention of prompts"))
		snprintf(told, sizeof told, "%s", line);
}

static bool chosen(const char *capability, bool wgmma, bool fixed, enum dtype type)
{
	struct cuda_options how = {.compute = type, .limits = {.max_seqs = 2, .max_tokens = 64, .max_blocks = 8, .rows = 2}, .max_context = 128,
				   .heads = 2, .kv_heads = 2, .head_dim = 64, .wgmma = wgmma, .fixed = fixed};
	struct why why;
	struct backend *b;
	bool is;

	setenv("FAKEGPU_CC", capability, 1);
	launched = 0, told[0] = 0;
	log_sink(keep, NULL);
	CHECK(!xversed_plugin()->backend_create(&b, &how, &why));
	is = cuda_of(b)->wgmma;
	backend_destroy(b);
	return is;
}

TEST(where_it_is_right)
{
	wrong = 0;
	CHECK(chosen("90", true, false, DT_BF16) && launched && strstr(told, "is by wgmma"));
	CHECK(chosen("90", true, false, DT_F16));
	CHECK(!chosen("90", false, false, DT_BF16) && !launched && !told[0]);
	CHECK(!chosen("90", true, true, DT_BF16) && !launched);
	CHECK(!chosen("80", true, false, DT_BF16) && !launched);
	CHECK(!chosen("100", true, false, DT_BF16) && !launched);
}

TEST(not_where_it_is_wrong)
{
	for (wrong = 1; wrong <= 2; wrong++)
		CHECK(!chosen("90", true, false, DT_F16) && launched && strstr(told, "mma.sync does it"));
}

CHECK_MAIN()
