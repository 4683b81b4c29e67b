/* Which kernel does prefill attention: wgmma only on compute capability 9.0, where asked for, and where the check at
 * start finds it right (here a stand-in that can be wrong). Also whether kernels overlap, and what the backend reports
 * of both. */
#include "engine/cuda/cuda.h"
#include "engine/backend/cuda_plugin.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

const struct plugin *xversed_plugin(void);

static int wrong, launched;
static char told[512];

cudaError_t k_attention_wgmma_init(void)
{
	return cudaSuccess;
}
cudaError_t k_attention_prefill_wgmma(cudaStream_t stream, enum k_type type, struct attn_args a,
				      const struct attn_tile *tiles, int n)
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
	if (strstr(line, "prefill attention"))
		snprintf(told, sizeof told, "%s", line);
}

/* What the backend reports. */
static const char *chosen(const char *capability, bool wgmma, bool fixed, enum dtype type)
{
	struct cuda_options how = {.compute = type,
				   .limits = {.max_seqs = 2, .max_tokens = 64, .max_blocks = 8, .rows = 2},
				   .max_context = 128,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .wgmma = wgmma,
				   .fixed = fixed};
	struct why why;
	struct backend *b;
	const char *said;

	setenv("FAKEGPU_CC", capability, 1);
	launched = 0, told[0] = 0;
	log_sink(keep, NULL);
	CHECK(!xversed_plugin()->backend_create(&b, &how, &why));
	said = b->prompt_attention;
	CHECK_EQ(cuda_of(b)->wgmma, !strcmp(said, "wgmma"));
	backend_destroy(b);
	return said;
}

TEST(where_it_is_right)
{
	wrong = 0;
	CHECK_STR(chosen("90", true, false, DT_BF16), "wgmma");
	CHECK(launched && strstr(told, "uses wgmma"));
	CHECK_STR(chosen("90", true, false, DT_F16), "wgmma");
	CHECK_STR(chosen("90", false, false, DT_BF16), "mma.sync: --no-wgmma");
	CHECK(!launched && !told[0]);
	CHECK_STR(chosen("90", true, true, DT_BF16), "token by token: --enable-deterministic-inference");
	CHECK(!launched);
	CHECK_STR(chosen("80", true, false, DT_BF16), "mma.sync: wgmma needs compute capability 9.0");
	CHECK_STR(chosen("100", true, false, DT_BF16), "mma.sync: wgmma needs compute capability 9.0");
	CHECK(!launched);
}

static const char *overlaps(const char *capability, const char *driver, bool overlap)
{
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = {.max_seqs = 2, .max_tokens = 64, .max_blocks = 8, .rows = 2},
				   .max_context = 128,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .overlap = overlap};
	struct why why;
	struct backend *b;
	const char *said;

	setenv("FAKEGPU_CC", capability, 1);
	setenv("FAKEGPU_DRIVER", driver, 1);
	CHECK(!xversed_plugin()->backend_create(&b, &how, &why));
	said = b->kernel_overlap;
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 1000);
	backend_destroy(b);
	return said;
}

TEST(where_kernels_overlap)
{
	CHECK_STR(overlaps("90", "12030", true), "on");
	CHECK_STR(overlaps("100", "13000", true), "on");
	CHECK_STR(overlaps("90", "12030", false), "off: --no-overlap");
	CHECK_STR(overlaps("90", "12020", true), "off: needs a driver of CUDA 12.3");
	CHECK_STR(overlaps("89", "13000", true), "off: needs compute capability 9.0");
}

TEST(not_where_it_is_wrong)
{
	for (wrong = 1; wrong <= 2; wrong++) {
		CHECK_STR(chosen("90", true, false, DT_F16), "mma.sync: wgmma is wrong on this device");
		CHECK(launched && strstr(told, "using mma.sync"));
	}
}

CHECK_MAIN()
