/* lt.cpp - cublasLtMatmul on the fake GPU: column-major, bf16/f16/f32 and e4m3, strict about layouts, workspace and
 * alignment. e4m3 as NVIDIA's documentation has it (cublasLtMatmul(), "FP8"): from compute capability 8.9 on, A turned
 * and B not, 16 bytes everywhere; vectors of scales on 9.0 alone, unless FAKELT_SCALES=0 (an older library). */
#include "inside.h"
#include <cublasLt.h>
#include <cuda_fp16.h>
#include "base/fp8.h"
#include <vector>

struct Desc {
	cublasComputeType_t compute;
	cudaDataType_t scale;
	int32_t ta, tb;
	uint32_t epilogue;
	const void *bias;
	int32_t mode;
	const void *by[2]; /* of A and B: a number, or by `vector` one for each row of the result, and each column */
	int32_t vector[2];
	int8_t fast;
};
struct Layout {
	cudaDataType_t type;
	uint64_t rows, cols;
	int64_t ld;
	int32_t batch;
	int64_t stride;
	int32_t order;
};
struct Pref {
	uint64_t workspace;
};
struct Algo {
	uint64_t magic, shape, workspace;
};
static_assert(sizeof(Algo) <= sizeof(cublasLtMatmulAlgo_t), "");
enum { MAGIC = 0x4c54 };

static int width(cudaDataType_t t)
{
	return t == CUDA_R_32F ? 4 : t == CUDA_R_16BF || t == CUDA_R_16F ? 2 : t == CUDA_R_8F_E4M3 ? 1 : 0;
}
static uint64_t extent(const Layout &l)
{
	return ((uint64_t)l.ld * (l.cols - 1) + l.rows + (uint64_t)(l.batch - 1) * l.stride) * width(l.type);
}
static uint64_t shape_of(const Desc &d, const Layout &a, const Layout &b, const Layout &c)
{
	uint64_t h = 14695981039346656037ull;
	for (uint64_t v :
	     {(uint64_t)d.ta, (uint64_t)d.tb, (uint64_t)d.epilogue, a.rows, a.cols, (uint64_t)a.ld, b.rows, b.cols,
	      (uint64_t)b.ld, c.rows, c.cols, (uint64_t)c.ld, (uint64_t)a.type, (uint64_t)b.type, (uint64_t)c.type})
		h = (h ^ v) * 1099511628211ull;
	return h;
}
static cublasStatus_t check_fp8(const Desc &d, const Layout &a, const Layout &b, const Layout &o)
{
	long capability = fake::env_long("FAKEGPU_CC", 90);
	if (capability < 89 || !d.ta || d.tb || a.ld % 16 || b.ld % 16 || a.rows % 16 || o.rows % 16 ||
	    o.ld * width(o.type) % 16)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (d.vector[0] != d.vector[1] || (d.vector[0] && d.vector[0] != 3 /* OUTER_VEC_32F */) ||
	    (d.vector[0] && (capability != 90 || !fake::env_long("FAKELT_SCALES", 1))))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	return d.vector[0] && !(d.by[0] && d.by[1]) ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}
static cublasStatus_t check(const Desc &d, const Layout &a, const Layout &b, const Layout &c, const Layout &o)
{
	for (const Layout *l : {&a, &b, &c, &o}) {
		if (!width(l->type) || l->order != CUBLASLT_ORDER_COL)
			return CUBLAS_STATUS_NOT_SUPPORTED;
		if (!l->rows || !l->cols || l->ld < (int64_t)l->rows || l->batch < 1)
			return CUBLAS_STATUS_INVALID_VALUE;
	}
	uint64_t m = d.ta ? a.cols : a.rows, k = d.ta ? a.rows : a.cols, kb = d.tb ? b.cols : b.rows,
		 n = d.tb ? b.rows : b.cols;
	if (k != kb || m != o.rows || n != o.cols || c.rows != o.rows || c.cols != o.cols)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (a.batch != b.batch || a.batch != o.batch)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (d.compute != CUBLAS_COMPUTE_32F || d.scale != CUDA_R_32F)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (a.type != b.type || c.type != o.type)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (a.type == CUDA_R_8F_E4M3) {
		if (cublasStatus_t e = check_fp8(d, a, b, o))
			return e;
	} else if ((o.type != CUDA_R_32F && o.type != a.type) || d.vector[0] || d.vector[1]) {
		return CUBLAS_STATUS_NOT_SUPPORTED;
	}
	if (!width(o.type) || o.type == CUDA_R_8F_E4M3)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (d.epilogue != CUBLASLT_EPILOGUE_DEFAULT && d.epilogue != CUBLASLT_EPILOGUE_BIAS)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	return CUBLAS_STATUS_SUCCESS;
}
static float load(const void *p, cudaDataType_t t, size_t i)
{
	if (t == CUDA_R_8F_E4M3) {
		uint32_t b = ((const uint8_t *)p)[i];
		if ((b & 0x7f) == 0x7f)
			return NAN;
		return fp8_float_of((b & 0x80) << 24 | (b & 0x7f) << 20) * 0x1p120f;
	}
	if (t == CUDA_R_32F)
		return ((const float *)p)[i];
	if (t == CUDA_R_16BF) {
		uint32_t u = (uint32_t)((const uint16_t *)p)[i] << 16;
		float f;
		memcpy(&f, &u, 4);
		return f;
	}
	return __half2float(((const __half *)p)[i]);
}
static void store(void *p, cudaDataType_t t, size_t i, float v)
{
	if (t == CUDA_R_32F)
		((float *)p)[i] = v;
	else if (t == CUDA_R_16BF)
		((__nv_bfloat16 *)p)[i] = __float2bfloat16_rn(v);
	else
		((__half *)p)[i] = __float2half_rn(v);
}
static void pack(std::vector<float> &out, const char *p, const Layout &l, bool contiguous_rows)
{ /* one row of the result = the k values of one output row */
	uint64_t outer = contiguous_rows ? l.cols : l.rows, inner = contiguous_rows ? l.rows : l.cols;
	out.resize(outer * inner);
	for (uint64_t i = 0; i < outer; i++)
		for (uint64_t j = 0; j < inner; j++)
			out[i * inner + j] = load(p, l.type, contiguous_rows ? i * l.ld + j : j * l.ld + i);
}
/* the number of partial sums depends on n, so results differ between batch sizes in the last bits, as on
 * hardware */
template <int LANES> static float dot(const float *x, const float *y, size_t k)
{
	float acc[LANES] = {}, s = 0;
	size_t i = 0;
	for (; i + LANES <= k; i += LANES)
		for (int l = 0; l < LANES; l++)
			acc[l] += x[i + l] * y[i + l];
	for (; i < k; i++)
		s += x[i] * y[i];
	for (int l = 0; l < LANES; l++)
		s += acc[l];
	return s;
}
static void gemm(const Desc &d, float alpha, const char *a, const Layout &la, const char *b, const Layout &lb,
		 float beta, const char *c, const Layout &lc, char *o, const Layout &lo, const void *bias,
		 const float *const scale[2])
{
	static std::vector<float> pa, pb; /* only the device thread comes here */
	for (int64_t z = 0; z < la.batch; z++) {
		pack(pa, a + z * la.stride * width(la.type), la, d.ta);
		pack(pb, b + z * lb.stride * width(lb.type), lb, !d.tb);
		size_t k = d.ta ? la.rows : la.cols;
		for (uint64_t j = 0; j < lo.cols; j++)
			for (uint64_t i = 0; i < lo.rows; i++) {
				float s = alpha * (lo.cols <= 8 ? dot<32> : dot<16>)(&pa[i * k], &pb[j * k], k);
				for (int q = 0; q < 2; q++)
					s *= scale[q] ? scale[q][!d.vector[q] ? 0 : q ? j : i] : 1;
				if (beta != 0)
					s += beta * load(c + z * lc.stride * width(lc.type), lc.type, j * lc.ld + i);
				if (bias)
					s += load(bias, lo.type, i);
				store(o + z * lo.stride * width(lo.type), lo.type, j * lo.ld + i, s);
			}
	}
}
#define FAIL(api) \
	do { \
		int c_; \
		if (fake::inject_locked(#api, &c_)) \
			return (cublasStatus_t)c_; \
	} while (0)
#define ATTR(tag, field) \
	case tag: \
		if (n != sizeof(field)) \
			return CUBLAS_STATUS_INVALID_VALUE; \
		memcpy(&(field), v, n); \
		return CUBLAS_STATUS_SUCCESS

extern "C" {
cublasStatus_t cublasLtCreate(cublasLtHandle_t *h)
{
	FAIL(cublasLtCreate);
	*h = (cublasLtHandle_t)malloc(1);
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
	free(h);
	return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion(void)
{
	return 130000;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *d, cublasComputeType_t c, cudaDataType_t s)
{
	FAIL(cublasLtMatmulDescCreate);
	*d = (cublasLtMatmulDesc_t) new Desc{c, s, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, nullptr, 0, {}, {}, 0};
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
	delete (Desc *)d;
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t x, cublasLtMatmulDescAttributes_t a, const void *v,
					      size_t n)
{
	Desc &d = *(Desc *)x;
	switch (a) {
		ATTR(CUBLASLT_MATMUL_DESC_TRANSA, d.ta);
		ATTR(CUBLASLT_MATMUL_DESC_TRANSB, d.tb);
		ATTR(CUBLASLT_MATMUL_DESC_EPILOGUE, d.epilogue);
		ATTR(CUBLASLT_MATMUL_DESC_BIAS_POINTER, d.bias);
		ATTR(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, d.by[0]);
		ATTR(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, d.by[1]);
		ATTR(CUBLASLT_MATMUL_DESC_FAST_ACCUM, d.fast);
#if CUBLAS_VERSION >= 120900
		ATTR(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, d.vector[0]);
		ATTR(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, d.vector[1]);
#endif
	default:
		return CUBLAS_STATUS_NOT_SUPPORTED;
	}
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType t, uint64_t r, uint64_t c, int64_t ld)
{
	FAIL(cublasLtMatrixLayoutCreate);
	*l = (cublasLtMatrixLayout_t) new Layout{t, r, c, ld, 1, 0, CUBLASLT_ORDER_COL};
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
	delete (Layout *)l;
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t x, cublasLtMatrixLayoutAttribute_t a,
						const void *v, size_t n)
{
	Layout &l = *(Layout *)x;
	switch (a) {
		ATTR(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, l.batch);
		ATTR(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, l.stride);
		ATTR(CUBLASLT_MATRIX_LAYOUT_ORDER, l.order);
		ATTR(CUBLASLT_MATRIX_LAYOUT_ROWS, l.rows);
		ATTR(CUBLASLT_MATRIX_LAYOUT_COLS, l.cols);
		ATTR(CUBLASLT_MATRIX_LAYOUT_LD, l.ld);
	default:
		return CUBLAS_STATUS_NOT_SUPPORTED;
	}
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
	*p = (cublasLtMatmulPreference_t) new Pref{0};
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
	delete (Pref *)p;
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t x,
						    cublasLtMatmulPreferenceAttributes_t a, const void *v, size_t n)
{
	Pref &p = *(Pref *)x;
	switch (a) {
		ATTR(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, p.workspace);
	default:
		return CUBLAS_STATUS_SUCCESS;
	}
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a,
					      cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
					      cublasLtMatrixLayout_t o, cublasLtMatmulPreference_t p, int want,
					      cublasLtMatmulHeuristicResult_t *r, int *got)
{
	FAIL(cublasLtMatmulAlgoGetHeuristic);
	*got = 0;
	cublasStatus_t e = check(*(Desc *)d, *(Layout *)a, *(Layout *)b, *(Layout *)c, *(Layout *)o);
	if (e)
		return e;
	uint64_t room = p ? ((Pref *)p)->workspace : 0;
	for (uint64_t w : {(uint64_t)4 << 20, (uint64_t)1 << 20, (uint64_t)0}) /* the best ones want a workspace */
		if (w <= room && *got < want) {
			memset(&r[*got], 0, sizeof *r);
			Algo al{MAGIC, shape_of(*(Desc *)d, *(Layout *)a, *(Layout *)b, *(Layout *)o), w};
			memcpy(&r[*got].algo, &al, sizeof al);
			r[*got].workspaceSize = w;
			r[*got].state = CUBLAS_STATUS_SUCCESS;
			++*got;
		}
	return *got ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a,
				       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t o,
				       const cublasLtMatmulAlgo_t *al, cublasLtMatmulHeuristicResult_t *r)
{
	FAIL(cublasLtMatmulAlgoCheck);
	Algo algo;
	memcpy(&algo, al, sizeof algo);
	if (algo.magic != MAGIC || algo.shape != shape_of(*(Desc *)d, *(Layout *)a, *(Layout *)b, *(Layout *)o))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	memset(r, 0, sizeof *r);
	r->algo = *al;
	r->workspaceSize = algo.workspace;
	return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t dd, const void *alpha, const void *A,
			      cublasLtMatrixLayout_t la, const void *B, cublasLtMatrixLayout_t lb, const void *beta,
			      const void *C, cublasLtMatrixLayout_t lc, void *D, cublasLtMatrixLayout_t ld,
			      const cublasLtMatmulAlgo_t *al, void *ws, size_t wn, cudaStream_t s)
{
	FAIL(cublasLtMatmul);
	Desc d = *(Desc *)dd; /* everything is copied: the caller may free descriptors at once */
	Layout a = *(Layout *)la, b = *(Layout *)lb, c = *(Layout *)lc, o = *(Layout *)ld;
	cublasStatus_t e = check(d, a, b, c, o);
	if (e)
		return e;
	Algo algo{};
	if (al) {
		memcpy(&algo, al, sizeof algo);
		if (algo.magic != MAGIC || algo.shape != shape_of(d, a, b, o))
			return CUBLAS_STATUS_NOT_SUPPORTED; /* an algo chosen for another problem */
		if (algo.workspace > wn)
			return CUBLAS_STATUS_INVALID_VALUE;
	}
	for (const void *p : {A, B, C, (const void *)D})
		if ((uintptr_t)p % 16)
			return CUBLAS_STATUS_NOT_SUPPORTED;
	float al1 = *(const float *)alpha, be1 = *(const float *)beta;
	uint64_t need = algo.workspace;
	auto product = [=] {
		const char *ra, *rb, *rc = nullptr, *bias = nullptr;
		char *ro;
		ra = (const char *)fake::reach(A, extent(a), "matmul A");
		rb = (const char *)fake::reach(B, extent(b), "matmul B");
		if (be1 != 0)
			rc = (const char *)fake::reach(C, extent(c), "matmul C");
		ro = (char *)fake::reach(D, extent(o), "matmul D");
		if (d.epilogue == CUBLASLT_EPILOGUE_BIAS)
			bias = (const char *)fake::reach(d.bias, o.rows * width(o.type), "matmul bias");
		const float *scale[2] = {};
		for (int q = 0; q < 2; q++)
			if (d.by[q])
				scale[q] = (const float *)fake::reach(d.by[q],
								      4 * (!d.vector[q] ? 1
									   : q          ? o.cols
											: o.rows),
								      "matmul scales");
		gemm(d, al1, ra, a, rb, b, be1, rc, c, ro, o, bias, scale);
	};
	/* With a workspace k is split: another kernel sums. What is scribbled there shows where two streams share it.
	 */
	bool failed = need && fake::enqueue(s, "cublasLtMatmul, split",
					    [=] { memset(fake::reach(ws, need, "matmul workspace"), 0xFF, need); });
	return failed || fake::enqueue(s, "cublasLtMatmul", product) ? CUBLAS_STATUS_EXECUTION_FAILED
								     : CUBLAS_STATUS_SUCCESS;
}
}
