/* activate.cu - what an FFN's inner numbers go through, and biases behind cuBLASLt's products. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };
enum { RELU, GELU, GELU_TANH };

/* Eight numbers of a row of biases. */
GPU void load_bias(float *v, const float *bias)
{
	float4 a = *(const float4 *)bias, b = *(const float4 *)(bias + 4);

	v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}
template <class E> GPU uint4 pack8(const float *v)
{
	return make_uint4(E::pack(v[0], v[1]), E::pack(v[2], v[3]), E::pack(v[4], v[5]), E::pack(v[6], v[7]));
}

/* Grid (rows, columns): rows may be more than a grid's second axis holds. */
template <class E, bool VECTOR, bool BIAS>
__global__ void __launch_bounds__(THREADS) silu_mul(uint16_t *out, const uint16_t *gate_up, const float *bias, int ffn)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	int i = (blockIdx.y * THREADS + threadIdx.x) * (VECTOR ? 8 : 1);
	const uint16_t *row = gate_up + (size_t)blockIdx.x * 2 * ffn;
	uint16_t *to = out + (size_t)blockIdx.x * ffn;

	if (i >= ffn)
		return;
	if (!VECTOR) {
		to[i] = gpu_down<E>(gpu_silu_mul(E::up(row[2 * i]) + (BIAS ? bias[i] : 0),
						 E::up(row[2 * i + 1]) + (BIAS ? bias[ffn + i] : 0)));
		return;
	}
	float v[16], gate[8], up[8];
	gpu_up8<E>(v, *(const uint4 *)(row + 2 * i));
	gpu_up8<E>(v + 8, *(const uint4 *)(row + 2 * i + 8));
	if (BIAS)
		load_bias(gate, bias + i), load_bias(up, bias + ffn + i);
#pragma unroll
	for (int j = 0; j < 8; j++)
		v[j] = BIAS ? gpu_silu_mul(v[2 * j] + gate[j], v[2 * j + 1] + up[j])
			    : gpu_silu_mul(v[2 * j], v[2 * j + 1]);
	*(uint4 *)(to + i) = pack8<E>(v);
}

/* x * Phi(x), by a fit of erfc: backend.h has the formula. */
GPU float gelu(float x)
{
	const float size = fabsf(x), z = size * 0.70710678f, t = __fdividef(1, 1 + 0.5f * z);
	float p = 0.17087277f;

	p = p * t - 0.82215223f, p = p * t + 1.48851587f, p = p * t - 1.13520398f;
	p = p * t + 0.27886807f, p = p * t - 0.18628806f, p = p * t + 0.09678418f;
	p = p * t + 0.37409196f, p = p * t + 1.00002368f, p = p * t - 1.26551223f;
	return fmaxf(x, 0) - size * (t * gpu_exp2((p - z * z) * 1.44269504f)) * 0.5f;
}
GPU float gelu_tanh(float x)
{
	const float u = x * (1 + 0.044715f * x * x) * 1.5957691216f;

	return __fdividef(x, 1 + gpu_exp2(u * -1.44269504f));
}
template <int KIND> GPU float activation(float x)
{
	return KIND == RELU ? (0 > x ? 0 : x) : KIND == GELU ? gelu(x) : gelu_tanh(x);
}

template <class E, int KIND>
__global__ void __launch_bounds__(THREADS) activate(uint16_t *out, const uint16_t *x, size_t n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * 8;
	float v[8];

	if (i + 8 <= n) {
		gpu_up8<E>(v, *(const uint4 *)(x + i));
#pragma unroll
		for (int j = 0; j < 8; j++)
			v[j] = activation<KIND>(v[j]);
		*(uint4 *)(out + i) = pack8<E>(v);
	} else {
#pragma unroll 1
		for (size_t j = i; j < n; j++)
			out[j] = gpu_down<E>(activation<KIND>(E::up(x[j])));
	}
}

/* out += bias, rounded again where out is of 16 bits. Grid (rows, columns). */
template <class E, bool VECTOR>
__global__ void __launch_bounds__(THREADS) add_bias(void *out, enum k_form form, const float *bias, int n)
{
	BOUNDS(THREADS);
	const int i = (blockIdx.y * THREADS + threadIdx.x) * (VECTOR ? 8 : 1);
	const size_t at = (size_t)blockIdx.x * n + i;
	float v[8], b[8];

	gpu_take_turn();
	if (i >= n)
		return;
	if (!VECTOR) {
		if (form == K_OUT_16)
			((uint16_t *)out)[at] = gpu_down<E>(E::up(((uint16_t *)out)[at]) + bias[i]);
		else
			((float *)out)[at] += bias[i];
		return;
	}
	load_bias(b, bias + i);
	if (form == K_OUT_16)
		gpu_up8<E>(v, *(const uint4 *)((uint16_t *)out + at));
	else
		load_bias(v, (float *)out + at);
#pragma unroll
	for (int j = 0; j < 8; j++)
		v[j] += b[j];
	if (form == K_OUT_16) {
		*(uint4 *)((uint16_t *)out + at) = pack8<E>(v);
		return;
	}
	*(float4 *)((float *)out + at) = make_float4(v[0], v[1], v[2], v[3]);
	*(float4 *)((float *)out + at + 4) = make_float4(v[4], v[5], v[6], v[7]);
}

template <class E>
static cudaError_t choose_silu(cudaStream_t s, void *out, const void *gate_up, const float *bias, int n, int ffn)
{
	int per = ffn % 8 ? THREADS : 8 * THREADS;
	auto kernel = bias      ? ffn % 8 ? silu_mul<E, false, true> : silu_mul<E, true, true>
			   : ffn % 8 ? silu_mul<E, false, false>
				: silu_mul<E, true, false>;

	return gpu_launch(kernel, dim3(n, (ffn + per - 1) / per), THREADS, 0, s, (uint16_t *)out,
			  (const uint16_t *)gate_up, bias, ffn);
}
template <class E> static auto choose_activation(enum k_activation kind)
{
	return kind == K_RELU ? activate<E, RELU> : kind == K_GELU ? activate<E, GELU> : activate<E, GELU_TANH>;
}

extern "C" {
cudaError_t k_silu_mul(cudaStream_t s, enum k_type type, void *out, const void *gate_up, const float *bias, int n,
		       int ffn)
{
	return (type == K_F16 ? choose_silu<F16> : choose_silu<Bf16>)(s, out, gate_up, bias, n, ffn);
}

cudaError_t k_activate(cudaStream_t s, enum k_type type, void *out, const void *x, enum k_activation kind, size_t n)
{
	size_t blocks = (n + 8 * THREADS - 1) / (8 * THREADS);

	return gpu_launch(type == K_F16 ? choose_activation<F16>(kind) : choose_activation<Bf16>(kind),
			  dim3((unsigned)blocks), THREADS, 0, s, (uint16_t *)out, (const uint16_t *)x, n);
}

cudaError_t k_add_bias(cudaStream_t s, enum k_type type, void *out, enum k_form form, const float *bias, int m, int n)
{
	int per = n % 8 ? THREADS : 8 * THREADS;
	auto kernel = type == K_F16 ? n % 8 ? add_bias<F16, false> : add_bias<F16, true>
		      : n % 8 ? add_bias<Bf16, false>
				    : add_bias<Bf16, true>;

	return gpu_launch(kernel, dim3(m, (n + per - 1) / per), THREADS, 0, s, out, form, bias, n);
}
}
