/* lora.cu - low-rank updates of rows, each by the matrices of its own slot (engine/backend/lora.h). Rows without one
 * end at once. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { LANES = 16, THREADS = 256, GROUPS = THREADS / LANES, DEPTH = 8 };

/* Grid (panels of 16 ranks of all A, rows). A thread takes each 16th column for one rank; the order in which sums add
 * up follows from the leaves alone. */
template <class E>
__global__ void __launch_bounds__(THREADS) lora_down(float *t, struct k_lora l, const uint16_t *x, int n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(float, sums, [GROUPS][LANES]);
	SHARED(float, stack, [DEPTH][LANES]);
	const int row = blockIdx.y, panel = blockIdx.x, panels = l.rank / LANES, slot = l.slot[row];
	const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES, width = l.pieces * l.rank;
	if (slot < 0 || panel % panels * LANES >= l.slots[slot].rank[panel / panels])
		return;
	const float *a = l.a + ((size_t)slot * l.pieces * panels + panel) * l.cols * LANES + lane;
	int depth = 0;

	x += (size_t)row * l.cols;
	for (int i = 0; i < l.n_leaves; i++) {
		float sum = 0;
		for (int c = l.start[i] + group; c < l.start[i + 1]; c += GROUPS)
			sum = fmaf(E::up(x[c]), a[(size_t)c * LANES], sum);
		sums[group][lane] = sum;
		__syncthreads();
		for (int half = GROUPS / 2; half; half /= 2) {
			if (group < half)
				sums[group][lane] += sums[group + half][lane];
			__syncthreads();
		}
		if (!group) {
			stack[depth][lane] = sums[0][lane];
			for (int m = 0; m < l.merges[i]; m++)
				stack[depth - m - 1][lane] += stack[depth - m][lane];
		}
		depth += 1 - l.merges[i];
		if (l.part[i] < 0)
			continue;
		depth = 0;
		if (!group)
			t[((size_t)l.part[i] * n + row) * width + panel * LANES + lane] = stack[0][lane];
	}
}

/* Grid (blocks of outputs, rows). A thread an output. */
template <class Y> __global__ void __launch_bounds__(THREADS) lora_up(void *y, struct k_lora l, const float *t)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const int row = blockIdx.y, slot = l.slot[row];
	int at = blockIdx.x * THREADS + threadIdx.x, panel = 0, piece = 0, col;
	float sum = 0;

	if (slot < 0 || at >= l.all_rows)
		return;
	for (; at >= l.rows[piece]; piece++) {
		at -= l.rows[piece];
		panel += (l.rows[piece] + LANES - 1) / LANES;
	}
	const int from = l.slots[slot].a_of[piece];
	if (from < 0)
		return;
	const float *b = l.b + (((size_t)slot * l.panels + panel + at / LANES) * l.rank) * LANES + at % LANES;
	t += (size_t)row * l.pieces * l.rank + from * l.rank;
	for (int j = 0; j < l.slots[slot].rank[from]; j++)
		sum = fmaf(b[(size_t)j * LANES], t[j], sum);
	col = l.paired ? 2 * at + piece : (int)(blockIdx.x * THREADS + threadIdx.x);
	if constexpr (std::is_same_v<Y, float>)
		((float *)y)[(size_t)row * l.all_rows + col] += sum;
	else
		((uint16_t *)y)[(size_t)row * l.all_rows + col] =
			gpu_down<Y>(Y::up(((uint16_t *)y)[(size_t)row * l.all_rows + col]) + sum);
}

extern "C" {
cudaError_t k_lora_down(cudaStream_t s, enum k_type type, float *t, struct k_lora l, const void *x, int n)
{
	return gpu_launch(type == K_F16 ? lora_down<F16> : lora_down<Bf16>, dim3(l.pieces * l.rank / LANES, n), THREADS,
			  0, s, t, l, (const uint16_t *)x, n);
}
cudaError_t k_lora_up(cudaStream_t s, enum k_type type, void *y, struct k_lora l, const float *t, int n)
{
	auto kernel = type == K_F32 ? lora_up<float> : type == K_F16 ? lora_up<F16> : lora_up<Bf16>;

	return gpu_launch(kernel, dim3((l.all_rows + THREADS - 1) / THREADS, n), THREADS, 0, s, y, l, t);
}
}
