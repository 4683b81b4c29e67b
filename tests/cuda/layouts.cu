/* layouts.cu - the matrix layouts of gpu_wgmma.h against a table written by hand from the canonical layouts of the PTX
 * ISA (K-major and MN-major, 128-byte swizzle), on the emulated GPU and on a real one of compute capability 9.0. The
 * emulated one must also refuse what the ISA leaves undefined. */
#include "engine/cuda/gpu_wgmma.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef __CUDACC__
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { IMAGE = 48 * 1024, B_AT = 16 * 1024, PANELS = 16 * 1024, ONE = 0x3c00 /* f16 */ };
enum wrong {
	RIGHT,
	NO_FENCE,
	NO_PROXY_FENCE,
	WRITTEN_LATE,
	READ_EARLY,
	WARPS_DIFFER,
	WARP_MISSING,
	UNALIGNED,
	STRIDE,
	SWIZZLE,
	OUT_OF_ROW,
	STORED,
	REFILLED
};

struct place {
	int row /* of A or B^T; k for MN-major */, at /* k; column */, byte;
};
/* Eight rows of 128 bytes are a pattern; unit u of 16 bytes of its row r lies at place u ^ r. */
static const struct place k_major[] = {{0, 0, 0},     {0, 1, 2},      {0, 8, 16},   {1, 0, 144},
				       {1, 8, 128},   {7, 0, 1008},   {7, 8, 992},  {8, 0, 1024},
				       {9, 15, 1166}, {37, 12, 4808}, {63, 7, 8190}};
static const struct place k_major_from_96[] = {
	{0, 0, 96}, {1, 0, 128 + 112}, {1, 8, 128 + 96}, {3, 9, 450}, {6, 0, 768}};
static const struct place mn_major[] = {{0, 0, 0},
					{0, 9, 18},
					{1, 0, 144},
					{1, 8, 128},
					{7, 63, 910},
					{8, 0, 1024},
					{13, 20, 1784},
					{0, 64, PANELS},
					{2, 100, PANELS + 360},
					{15, 127, PANELS + 1934}};

GPU void load(char *to, const char *image)
{
	for (int i = threadIdx.x; i < IMAGE / 16; i += 128)
		gpu_copy16(to + 16 * i, image + 16 * i, true);
	gpu_copy_commit();
	gpu_copy_wait<0>();
}

/* out (64, 128) = A (64, 16) B^T (128, 16), which begin `from` bytes into their images. */
__global__ void __launch_bounds__(128) scores(float *out, const char *image, int from, int wrong)
{
	BOUNDS(128);
#ifdef GPU_HAS_WGMMA
#ifdef __CUDACC__
	wrong = RIGHT; /* a real GPU refuses nothing */
#endif
	SMEM_PATTERN(char, at);
	float d[64];
	uint64_t a = gpu_matrix(at + from, 0), b = gpu_matrix(at + B_AT + from, 0);

	load(at, image);
	if (wrong == STORED && !threadIdx.x)
		at[0] = 1;
	if (wrong != NO_PROXY_FENCE)
		gpu_products_may_read();
	__syncthreads();
	if (wrong == UNALIGNED)
		b = gpu_matrix(at + B_AT + from + 8, 0);
	if (wrong == STRIDE)
		b += 1ull << 32;
	if (wrong == SWIZZLE)
		b ^= 3ull << 62;
	if (wrong == OUT_OF_ROW)
		b += 7;
	if (wrong == WARPS_DIFFER)
		b += threadIdx.x / 64 * 2;
	for (int i = 0; i < 64; i++)
		d[i] = 0;
	if (wrong != NO_FENCE)
		gpu_products_begin();
	if (wrong == WRITTEN_LATE) {
		gpu_product_scores<F16>(d, a, b, true);
		gpu_products_commit();
		gpu_products_wait<0>(d);
		gpu_products_begin();
		d[1] = 5;
	}
	if (wrong != WARP_MISSING || threadIdx.x < 96) {
		gpu_product_scores<F16>(d, a, b, true);
		gpu_products_commit();
		if (wrong == READ_EARLY)
			out[threadIdx.x] = d[0];
		if (wrong == REFILLED)
			gpu_copy16(at + B_AT + 16 * threadIdx.x, image, true), gpu_copy_commit();
		gpu_products_wait<0>(d);
		gpu_copy_wait<0>();
	}
	if (wrong == READ_EARLY)
		return;
	for (int i = 0; i < 64; i++)
		out[(threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8) * 128 + i / 4 * 8 +
		    threadIdx.x % 4 * 2 + i % 2] = d[i];
#endif
}

/* out (64, 128): of every row the sum over k of (k + 1) B (16, 128). */
__global__ void __launch_bounds__(128) values(float *out, const char *image)
{
	BOUNDS(128);
#ifdef GPU_HAS_WGMMA
	SMEM_PATTERN(char, at);
	const int k = threadIdx.x % 4 * 2 + 1;
	uint32_t a[4] = {F16::pack(k, k + 1), F16::pack(k, k + 1), F16::pack(k + 8, k + 9), F16::pack(k + 8, k + 9)};
	float d[64];

	load(at, image);
	gpu_products_may_read();
	__syncthreads();
	for (int i = 0; i < 64; i++)
		d[i] = 0;
	gpu_products_begin();
	gpu_product_values<F16>(d, a, gpu_matrix(at + B_AT, PANELS));
	gpu_products_commit();
	gpu_products_wait<0>(d);
	for (int i = 0; i < 64; i++)
		out[(threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8) * 128 + i / 4 * 8 +
		    threadIdx.x % 4 * 2 + i % 2] = d[i];
#endif
}

static char *image, *device_image;
static float *out, *device_out;
static int failed, passed;

static void must(cudaError_t e)
{
	if (e) {
		fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(e));
		exit(1);
	}
}
static void open_device()
{
	image = (char *)calloc(1, IMAGE), out = (float *)calloc(64 * 128, 4);
	must(cudaMalloc((void **)&device_image, IMAGE));
	must(cudaMalloc((void **)&device_out, 64 * 128 * 4));
	must(cudaFuncSetAttribute((const void *)scores, cudaFuncAttributeMaxDynamicSharedMemorySize, IMAGE));
	must(cudaFuncSetAttribute((const void *)values, cudaFuncAttributeMaxDynamicSharedMemorySize, IMAGE));
}
static void put(int byte)
{
	*(uint16_t *)(image + byte) = ONE;
}
static void run(bool mn, int from, int wrong)
{
	must(cudaMemcpy(device_image, image, IMAGE, cudaMemcpyHostToDevice));
	must(mn ? gpu_launch(values, dim3(1), dim3(128), IMAGE, NULL, device_out, device_image)
		: gpu_launch(scores, dim3(1), dim3(128), IMAGE, NULL, device_out, device_image, from, wrong));
	must(cudaDeviceSynchronize());
	must(cudaMemcpy(out, device_out, 64 * 128 * 4, cudaMemcpyDeviceToHost));
	memset(image, 0, IMAGE);
}
/* out: `v` at (row, col), row -1: in all rows; else 0. */
static void expect(const char *what, int row, int col, float v)
{
	for (int r = 0; r < 64; r++)
		for (int c = 0; c < 128; c++)
			if (out[r * 128 + c] != ((row < 0 || r == row) && c == col ? v : 0)) {
				fprintf(stderr, "FAILED %s: (%d, %d) is %g\n", what, r, c, out[r * 128 + c]);
				failed++;
				return;
			}
	passed++;
}
/* A number of A and one of B, wherever they are by the table: they meet where their k is the same. */
static void pairs(const struct place *p, int n, int from)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			put(p[i].byte), put(B_AT + p[j].byte);
			run(false, from, RIGHT);
			expect("K-major", p[i].row, p[j].row, p[i].at == p[j].at);
		}
}

#ifndef __CUDACC__
static void refused(enum wrong wrong)
{
	static const char *const why[] = {"0",
					  "without wgmma.fence",
					  "without a proxy fence",
					  "written behind wgmma.fence",
					  "nan",
					  "ask for different products",
					  "threads that never come",
					  "not at a multiple of 16",
					  "patterns that begin elsewhere",
					  "only the 128-byte swizzle",
					  "leave their row",
					  "no copy brought",
					  "a copy is overwriting"};
	int both[2];
	char told[512] = "";
	pid_t child = pipe(both) ? -1 : fork();

	if (!child) {
		dup2(both[1], 2);
		open_device();
		run(false, 0, wrong);
		fprintf(stderr, "%g", fabs(out[0]));
		_exit(0);
	}
	close(both[1]);
	if (read(both[0], told, sizeof told - 1) > 0 && strstr(told, why[wrong]))
		passed++;
	else
		fprintf(stderr, "FAILED wrong use %d: %s\n", wrong, told), failed++;
	close(both[0]);
	waitpid(child, NULL, 0);
}
#endif

int main()
{
	int major = 0, minor = 0;
#ifndef __CUDACC__
	for (int w = RIGHT; w <= REFILLED; w++)
		refused((enum wrong)w);
#endif
	must(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
	must(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
	if (major != 9 || minor) {
		printf("0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	open_device();
	pairs(k_major, sizeof k_major / sizeof *k_major, 0);
	pairs(k_major_from_96, sizeof k_major_from_96 / sizeof *k_major_from_96, 96);
	for (size_t i = 0; i < sizeof mn_major / sizeof *mn_major; i++) {
		put(B_AT + mn_major[i].byte);
		run(true, 0, RIGHT);
		expect("MN-major", -1, mn_major[i].at, (float)mn_major[i].row + 1);
	}
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed > 0;
}
