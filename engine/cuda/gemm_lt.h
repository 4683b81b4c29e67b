/* gemm_lt.h - cuBLASLt: what it is asked for, what it proposed, and one product. Private to the files that multiply by
 * it. */
#ifndef ENGINE_CUDA_GEMM_LT_H
#define ENGINE_CUDA_GEMM_LT_H

#include "engine/cuda/cuda.h"

#include <cublasLt.h>

enum {
	WORKSPACE = 32 << 20,
	KNOWN = 1024 /* shapes; a power of two */,
	GEMM_PART = 128 /* rows; or a multiple of it */
};

/* What cuBLASLt is asked for. n: rows of the weight multiplied at a time. m 0: nothing. */
struct product {
	int m, n, k;
	bool narrow, fp8;
};

struct known {
	struct product of;
	cublasLtMatmulAlgo_t algo;
};

/* By the type of what is multiplied. */
struct numbers {
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t w, x;
};

struct gemm {
	cublasLtHandle_t lt;
	struct numbers half, fp8;      /* fp8: only after fp8_create() */
	cublasLtMatrixLayout_t out[2]; /* f32, 16-bit */
	cublasLtMatmulPreference_t want;
	/* room: weights expanded to 16-bit numbers, or sums of e4m3 numbers that wait for their scales; NULL: no
	 * weight needs it */
	void *workspace, *room;
	size_t room_bytes;
	bool scales;    /* cuBLASLt multiplies the sums of e4m3 numbers with scales of rows and columns */
	void *x8;       /* (max_tokens, ld) activations as e4m3; NULL: no weight is */
	float *x_scale; /* (max_tokens) */
	size_t x8_bytes;
	struct known known[KNOWN];
};

/* Dies with cuBLASLt's status and `what`. */
void gemm_check(cublasStatus_t s, const char *what);
void gemm_describe(struct numbers *n, cudaDataType_t type);
void gemm_forget(struct numbers *n); /* also of none */
/* Rows of w that are multiplied at a time with m rows of x: of 8 and 4 bits, as many as their room is for. */
int gemm_rows_at_once(const struct cuda_weight *w, int m, bool narrow);
/* Sets the layouts. ld: numbers from one row of the weight to the next; ldo: of out. */
void gemm_shapes(struct gemm *g, const struct product *p, int ld, int ldo);
/* Fills in the best algorithms that cuBLASLt proposes, `most` at most; returns how many. */
int gemm_propose(struct gemm *g, const struct product *p, cublasLtMatmulHeuristicResult_t *r, int most);
/* Finds the entry of a shape, or a free one. Where the table is full an old entry is dropped. */
struct known *gemm_find(struct gemm *g, const struct product *p);
/* Returns the row count whose timing stands for m: a power of two. */
int gemm_bucket(int m);
/* Multiplies by the layouts that are set. */
void gemm_multiply(struct cuda *c, const struct product *p, void *out, const void *x, const void *w,
		   const cublasLtMatmulAlgo_t *algo);
/* cuBLASLt is column-major: out^T (n, m) = w (k, n)^T x (k, m). False: it has no algorithm for that. */
bool gemm_run_rows(struct cuda *c, const struct product *p, void *out, int ldo, const void *x, const void *w, int ld);

#endif
