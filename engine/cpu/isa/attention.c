/* attention.c - attention of one tile of (token, head) rows over the keys of one K/V head. Sums are made per absolute
 * range of 256 keys, and ranges combine as a binary counter, so that any cut of the keys at a multiple of a power of
 * two ranges gives the same bits. */
#include "engine/cpu/isa/inside.h"

static float *row_stack(const struct attn_job *job, int row)
{
	return job->stack + (size_t)row * (size_t)job->depth * attn_state(job->head_dim);
}

/* A state of ranges without keys: only there l is 0. */
static void make_empty(float *state, int head_dim)
{
	memset(state, 0, attn_state(head_dim) * sizeof *state);
	state[0] = -__builtin_inff();
}

/* older = older + newer. A side without keys adds nothing. */
static void combine(float *older, const float *newer, int head_dim)
{
	if (newer[1] == 0)
		return;
	if (older[1] == 0) {
		memcpy(older, newer, attn_state(head_dim) * sizeof *older);
		return;
	}
	float m = older[0] > newer[0] ? older[0] : newer[0];
	v16 a = v_exp(v_sub(v_set1(older[0]), v_set1(m)));
	v16 b = v_exp(v_sub(v_set1(newer[0]), v_set1(m)));

	older[0] = m;
	v_store_n(older + 1, v_fma(v_set1(newer[1]), b, v_mul(v_set1(older[1]), a)), 1);
	for (int d = STATE_HEAD; d < STATE_HEAD + head_dim; d += 16)
		v_store(older + d, v_fma(v_load(newer + d), b, v_mul(v_load(older + d), a)));
}

static void finish(void *out, enum dtype type, const float *state, int head_dim)
{
	v16 r = v_div(v_set1(1), v_set1(state[1]));

	for (int d = 0; d < head_dim; d += 16)
		v_store_as(out, (size_t)d, v_mul(v_load(state + STATE_HEAD + d), r), head_dim - d, type);
}

/* Returns where keys [key, key + 16) of dimension 0 lie. Dimensions are block_size numbers apart. */
INLINE const char *k_lanes(const struct attn_job *job, int key, size_t size)
{
	const char *block = job->pool + (size_t)job->blocks[key / job->block_size] * job->block_bytes;

	return block + job->k_at + (size_t)(key % job->block_size) * size;
}

INLINE size_t elem_size(enum dtype type)
{
	return type == DT_F32 ? 4 : type == DT_I8 ? 1 : 2;
}

/* For many rows the keys and values of a range are converted to f32 and put side by side: keys (4, head_dim, 64). */
enum { PACKED = DT_COUNT, STRIP = 64 };

INLINE size_t strip_at(const struct attn_job *job, int key)
{
	return (size_t)(key / STRIP * STRIP) * (size_t)job->head_dim + (size_t)(key % STRIP);
}

/* A single row takes twice the columns: it needs as many independent sums to hide the latency of a chain. */
#define COLS_OF(rows) (TILE_COLS * (rows == 1 ? 2 : 1))
enum { MAX_COLS = 2 * TILE_COLS };

INLINE v16 load_key(enum dtype type, const char *p)
{
	return v_load_as(p, type == (enum dtype)PACKED ? DT_F32 : type);
}

/* Few rows prefetch what they read next: blocks lie apart, so hardware prefetching does not help. */
INLINE bool looks_ahead(enum dtype type, int rows)
{
	return type != (enum dtype)PACKED && rows <= 2;
}

/* Scores of 16 * cols keys for `rows` rows. */
INLINE void score_tile(enum dtype type, int rows, int cols, const struct attn_job *job, int row, int key, int at)
{
	const bool packed = type == (enum dtype)PACKED, look = looks_ahead(type, rows);
	const size_t size = packed ? 4 : elem_size(type), step = (size_t)(packed ? STRIP : job->block_size) * size;
	const char *k[MAX_COLS], *next[MAX_COLS];
	v16 s[TILE_ROWS][MAX_COLS];

	UNROLL for (int c = 0; c < cols; c++) k[c] =
		packed ? (const char *)(job->k + strip_at(job, at + 16 * c)) : k_lanes(job, key + 16 * c, size);
	UNROLL for (int c = 0; look && c < cols; c++)
	{
		int then = key + 16 * (cols + c);
		next[c] = then < job->keys[job->rows - 1] ? k_lanes(job, then, size) : k[c];
	}
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s[r][c] = v_zero();
	for (int d = 0; d < job->head_dim; d++) {
		v16 b[MAX_COLS];
		UNROLL for (int c = 0; look && c < cols; c += size == 4 ? 1 : 2)
			__builtin_prefetch(next[c] + (size_t)d * step);
		UNROLL for (int c = 0; c < cols; c++) b[c] = load_key(type, k[c] + (size_t)d * step);
		UNROLL for (int r = 0; r < rows; r++)
		{
			v16 q = v_set1(job->q[row + r][d]);
			UNROLL for (int c = 0; c < cols; c++) v_fma_to(&s[r][c], q, b[c]);
		}
	}
	if (job->k_scale)
		UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s[r][c] =
			v_mul(s[r][c], v_load(job->k_scale + at + 16 * c));
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++)
		v_store(job->scores + (row + r) * RANGE + at + 16 * c, v_mul(s[r][c], v_set1(job->scale)));
}

/* Returns where the values, from dimension d on, of key's block lie. */
INLINE const char *v_block(const struct attn_job *job, int key, int d, size_t size)
{
	return job->pool + (size_t)job->blocks[key / job->block_size] * job->block_bytes + job->v_at + (size_t)d * size;
}

/* Adds the weighted values of keys [from, to) of the range to o: 16 * cols dimensions from d on. */
INLINE void value_tile(enum dtype type, int rows, int cols, const struct attn_job *job, int row, float *const *o, int d,
		       int range, int from, int to)
{
	const bool packed = type == (enum dtype)PACKED, look = looks_ahead(type, rows);
	const size_t size = packed ? 4 : elem_size(type), pitch = round_up((size_t)job->head_dim, 16) * size;
	const int block = packed ? RANGE : job->block_size;
	const float *p = job->scores + row * RANGE;
	v16 s[TILE_ROWS][MAX_COLS];

	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s[r][c] =
		v_load(o[row + r] + STATE_HEAD + d + 16 * c);
	while (from < to) {
		int key = range * RANGE + from, in_block = key % block, n = min_int(block - in_block, to - from);
		const char *v = packed ? (const char *)(job->v + d) : v_block(job, key, d, size), *next = v;
		if (look && key - in_block + block < job->keys[job->rows - 1])
			next = v_block(job, key - in_block + block, d, size);
		for (int i = in_block; i < in_block + n; i++) {
			v16 b[MAX_COLS];
			UNROLL for (int c = 0; look && c < cols; c += size == 4 ? 1 : 2)
				__builtin_prefetch(next + (size_t)i * pitch + 16 * (size_t)c * size);
			UNROLL for (int c = 0; c < cols; c++) b[c] =
				load_key(type, v + (size_t)i * pitch + 16 * (size_t)c * size);
			UNROLL for (int r = 0; r < rows; r++)
			{
				v16 a = v_set1(p[r * RANGE + from + i - in_block]);
				UNROLL for (int c = 0; c < cols; c++) v_fma_to(&s[r][c], a, b[c]);
			}
		}
		from += n;
	}
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++)
		v_store(o[row + r] + STATE_HEAD + d + 16 * c, s[r][c]);
}

#define TILES(type, name, rows) \
	static __attribute__((noinline)) void scores_##name##_##rows(const struct attn_job *job, int row, int range, \
								     int n) \
	{ \
		int at = 0; \
		for (; at + 16 * (COLS_OF(rows) - 1) < n; at += 16 * COLS_OF(rows)) \
			score_tile(type, rows, COLS_OF(rows), job, row, range *RANGE + at, at); \
		for (; at < n; at += 16) \
			score_tile(type, rows, 1, job, row, range *RANGE + at, at); \
	} \
	static __attribute__((noinline)) void values_##name##_##rows(const struct attn_job *job, int row, \
								     float *const *o, int range, int from, int to) \
	{ \
		int d = 0, end = (int)round_up((size_t)job->head_dim, 16); \
		for (; d + 16 * COLS_OF(rows) <= end; d += 16 * COLS_OF(rows)) \
			value_tile(type, rows, COLS_OF(rows), job, row, o, d, range, from, to); \
		for (; d < end; d += 16) \
			value_tile(type, rows, 1, job, row, o, d, range, from, to); \
	}

typedef void scores_fn(const struct attn_job *, int row, int range, int n);
typedef void values_fn(const struct attn_job *, int row, float *const *o, int range, int from, int to);

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
#define ALL_TILES(type, name) \
	TILES(type, name, 1) \
	TILES(type, name, 2) \
	TILES(type, name, 3) TILES(type, name, 4) TILES(type, name, 5) TILES(type, name, 6)
#define TILE_LIST(op, name) \
	op##_##name##_1, op##_##name##_2, op##_##name##_3, op##_##name##_4, op##_##name##_5, op##_##name##_6
#elif defined(ISA_avx2)
#define ALL_TILES(type, name) TILES(type, name, 1) TILES(type, name, 2) TILES(type, name, 3)
#define TILE_LIST(op, name) op##_##name##_1, op##_##name##_2, op##_##name##_3
#else
#define ALL_TILES(type, name) TILES(type, name, 1) TILES(type, name, 2)
#define TILE_LIST(op, name) op##_##name##_1, op##_##name##_2
#endif
ALL_TILES(DT_F32, f32)
ALL_TILES(DT_BF16, bf16)
ALL_TILES(DT_F16, f16)
ALL_TILES(DT_I8, i8)
ALL_TILES((enum dtype)PACKED, packed)

static scores_fn *const scores_of[PACKED + 1][TILE_ROWS] = {[DT_F32] = {TILE_LIST(scores, f32)},
							    [DT_F16] = {TILE_LIST(scores, f16)},
							    [DT_I8] = {TILE_LIST(scores, i8)},
							    [PACKED] = {TILE_LIST(scores, packed)},
							    [DT_BF16] = {TILE_LIST(scores, bf16)}};
static values_fn *const values_of[PACKED + 1][TILE_ROWS] = {[DT_F32] = {TILE_LIST(values, f32)},
							    [DT_F16] = {TILE_LIST(values, f16)},
							    [DT_I8] = {TILE_LIST(values, i8)},
							    [PACKED] = {TILE_LIST(values, packed)},
							    [DT_BF16] = {TILE_LIST(values, bf16)}};

/* Where in the range the keys end that this row attends to. */
INLINE int keys_in(const struct attn_job *job, int row, int range)
{
	return min_int(job->keys[row] - range * RANGE, RANGE);
}

/* Where they begin: beyond the range where its keys lie before the row's window. */
INLINE int from_in(const struct attn_job *job, int row, int range)
{
	return max_int(job->from[row] - range * RANGE, 0);
}

/* Soft cap and ALiBi. */
static void bend(const struct attn_job *job, int row, int range, float *p, int n)
{
	static const float count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	const v16 cap = v_set1(job->soft_cap), one = v_set1(1), two = v_set1(2), slope = v_set1(job->slope[row]);
	const int first = range * RANGE - (job->keys[row] - 1); /* key - pos of the range's first key */

	for (int i = 0; i < n; i += 16) {
		v16 s = v_load(p + i);
		if (job->soft_cap > 0) {
			v16 up = v_exp(v_mul(two, v_div(s, cap)));
			s = v_mul(cap, v_sub(one, v_div(two, v_add(up, one))));
		}
		if (job->alibi)
			s = v_fma(slope, v_add(v_set1((float)(first + i)), v_load(count)), s);
		v_store(p + i, s);
	}
}

/* a where lanes are not below n, else b. */
INLINE v16 v_from(v16 a, int n, v16 b)
{
	return n > 0 ? v_first(b, n, a) : a;
}

/* Turns scores [from, n) into weights; m and l go to the state. Lanes of other keys add +0 to l. */
static void weights(float *p, int from, int n, float *state)
{
	const v16 low = v_set1(-__builtin_inff());
	v16 m = low, l = v_zero();

	for (int i = 0; i < n; i += 16)
		m = v_max(m, v_from(v_first(v_load(p + i), n - i, low), from - i, low));
	state[0] = v_max_lane(m);
	m = v_set1(state[0]);
	for (int i = 0; i < n; i += 16) {
		v16 e = v_first(v_exp(v_sub(v_load(p + i), m)), n - i, v_zero());
		e = v_from(e, from - i, v_zero());
		l = v_add(l, e);
		v_store(p + i, e);
	}
	state[1] = v_sum(l);
}

/* For int8 values the weights include the values' scales. */
static void scale_weights(float *p, const float *v_scale, int n)
{
	for (int i = 0; i < n; i += 16)
		v_store(p + i, v_mul(v_load(p + i), v_load(v_scale + i)));
}

/* Computes m, l and o of one range for rows [row, job->rows) into the top of their stacks. */
static void run_range(const struct attn_job *job, int row, int range, float *const *top)
{
	int least = keys_in(job, row, range), most = keys_in(job, job->rows - 1, range);
	int type = job->k ? PACKED : (int)job->type;
	size_t state = attn_state(job->head_dim);

	for (int r = row, n; r < job->rows; r += n) {
		n = min_int(TILE_ROWS, job->rows - r);
		scores_of[type][n - 1](job, r, range, most);
	}
	for (int r = row; r < job->rows; r++) {
		float *p = job->scores + r * RANGE;
		int n = keys_in(job, r, range);
		memset(top[r], 0, state * sizeof(float));
		if (job->alibi || job->soft_cap > 0)
			bend(job, r, range, p, n);
		weights(p, from_in(job, r, range), n, top[r]);
		if (job->v_scale)
			scale_weights(p, job->v_scale, n);
	}
	for (int r = row, n; r < job->rows; r += n) {
		n = min_int(TILE_ROWS, job->rows - r);
		values_of[type][n - 1](job, r, top, range, min_int(least, from_in(job, r, range)), least);
	}
	/* Keys that only later tokens attend to: the chain continues row by row. */
	for (int r = row; r < job->rows; r++)
		if (keys_in(job, r, range) > least)
			values_of[type][0](job, r, top, range, least, keys_in(job, r, range));
}

/* Merges as the counter does after its i-th digit (from 1); after the last one merges all that is left. Returns the new
 * depth. */
static int merge(float *stack, size_t state, int depth, int i, bool last, int head_dim)
{
	int merges = last ? depth - 1 : __builtin_ctz((unsigned)i);

	for (; merges > 0; merges--, depth--) {
		float *older = stack + (size_t)(depth - 2) * state;
		combine(older, older + state, head_dim);
	}
	return depth;
}

/* Adds one more range for the rows whose last key does not lie before it. Where all its keys lie before a row's window
 * they weigh nothing, and the row's state is empty. */
static void add_range(struct attn_job *job, int range)
{
	const size_t state = attn_state(job->head_dim);
	float *top[ATTN_ROWS];
	int row = 0;

	while (row < job->rows && keys_in(job, row, range) <= 0)
		row++;
	if (row == job->rows)
		return;
	for (int r = row; r < job->rows; r++)
		top[r] = row_stack(job, r) + (size_t)job->waiting[r]++ * state;
	run_range(job, row, range, top);
	for (int r = row; r < job->rows; r++)
		if (from_in(job, r, range) >= keys_in(job, r, range))
			make_empty(top[r], job->head_dim);
	for (int r = row; r < job->rows; r++) {
		bool last = range + 1 == job->end || job->keys[r] <= (range + 1) * RANGE;
		job->waiting[r] =
			merge(row_stack(job, r), state, job->waiting[r], range - job->first + 1, last, job->head_dim);
	}
}

INLINE void pack_as(enum dtype type, const struct attn_job *job, float *k, float *v, int range, int n)
{
	const size_t size = elem_size(type), cols = round_up((size_t)job->head_dim, 16), dim = (size_t)job->head_dim,
		     row = (size_t)job->block_size * size;

	for (int key = 0; key < n; key += 16) {
		const char *from = k_lanes(job, range * RANGE + key, size);
		float *to = k + strip_at(job, key);
		for (size_t d = 0; d < dim; d++)
			v_store(to + d * STRIP, v_load_as(from + d * row, type));
	}
	for (int key = 0; key < n; key++) {
		int all = range * RANGE + key;
		const char *from = v_block(job, all, 0, size) + (size_t)(all % job->block_size) * cols * size;
		for (size_t d = 0; d < cols; d += 16)
			v_store(v + (size_t)key * cols + d, v_load_as(from + d * size, type));
	}
}

/* Prefetches slice i of n of the next range's keys and values into L2; on demand they would stall the packing. */
static void ask_ahead(const struct attn_job *job, int range, size_t i, size_t n)
{
	const size_t all = (size_t)job->block_size * elem_size(job->type), k_lines = (size_t)job->head_dim * all / 64,
		     lines = k_lines + round_up((size_t)job->head_dim, 16) * all / 64;
	const int keys = keys_in(job, job->rows - 1, range), first = range * RANGE / job->block_size;
	const size_t total = keys > 0 ? lines * (size_t)div_up(keys, job->block_size) : 0;

	for (size_t line = total * i / n; line < total * (i + 1) / n; line++) {
		const char *block = job->pool + (size_t)job->blocks[first + (int)(line / lines)] * job->block_bytes;
		size_t at = line % lines;
		__builtin_prefetch(block + (at < k_lines ? job->k_at + 64 * at : job->v_at + 64 * (at - k_lines)), 0,
				   2);
	}
}

static void pack_range(const struct attn_job *job, float *k, float *v, int range, int n)
{
	if (job->type == DT_F32)
		pack_as(DT_F32, job, k, v, range, n);
	else if (job->type == DT_BF16)
		pack_as(DT_BF16, job, k, v, range, n);
	else if (job->type == DT_F16)
		pack_as(DT_F16, job, k, v, range, n);
	else
		pack_as(DT_I8, job, k, v, range, n);
}

/* In an int8 cache the scales of a head's tokens follow its numbers inside each block. */
static void take_scales(const struct attn_job *job, float *k, float *v, int range, int n)
{
	const size_t block = (size_t)job->block_size, dim = (size_t)job->head_dim;

	for (int i = 0; i < n; i += job->block_size) {
		const char *at =
			job->pool + (size_t)job->blocks[(range * RANGE + i) / job->block_size] * job->block_bytes;
		memcpy(k + i, at + job->k_at + dim * block, block * sizeof *k);
		memcpy(v + i, at + job->v_at + round_up(dim, 16) * block, block * sizeof *v);
	}
}

/* A row's stack as the counter leaves it after the first `count` ranges, if none of those has keys. */
static int start_stack(float *stack, int depth, int count, int head_dim)
{
	for (; count; count &= count - 1)
		make_empty(stack + (size_t)depth++ * attn_state(head_dim), head_dim);
	return depth;
}

/* The first range of the piece that a row's window reaches, the same for all rows. */
static int start_range(struct attn_job *jobs, int n)
{
	int range = min_int(max_int(jobs->first, jobs->from[0] / RANGE), jobs->end);

	for (struct attn_job *j = jobs; range > j->first && j < jobs + n; j++)
		for (int r = 0; r < j->rows; r++)
			j->waiting[r] = start_stack(row_stack(j, r), 0, range - j->first, j->head_dim);
	return range;
}

enum { PACK_FROM = 3 /* jobs from which packing pays off */ };

void ISA_NAME(attention)(struct attn_job *jobs, int n, float *packed)
{
	const struct attn_job *last = &jobs[n - 1];
	const size_t state = attn_state(last->head_dim);
	float *k = n >= PACK_FROM ? packed : NULL,
	      *v = k ? packed + RANGE * round_up((size_t)last->head_dim, 16) : NULL, k_scale[RANGE], v_scale[RANGE];

	for (int range = start_range(jobs, n), keys; range < last->end; range++) {
		if ((keys = keys_in(last, last->rows - 1, range)) <= 0)
			break;
		if (last->type == DT_I8)
			take_scales(last, k_scale, v_scale, range, keys);
		if (k)
			pack_range(last, k, v, range, keys);
		for (struct attn_job *j = jobs; j < jobs + n; j++) {
			j->k = k, j->v = v;
			j->k_scale = j->type == DT_I8 ? k_scale : NULL;
			j->v_scale = j->type == DT_I8 ? v_scale : NULL;
			if (k && range + 1 < last->end)
				ask_ahead(last, range + 1, (size_t)(j - jobs), (size_t)n);
			add_range(j, range);
		}
	}
	for (struct attn_job *j = jobs; j < jobs + n; j++)
		for (int r = 0; r < j->rows; r++) {
			if (j->partial && j->waiting[r])
				memcpy(j->partial + (size_t)r * state, row_stack(j, r), state * sizeof(float));
			else if (!j->partial)
				finish(j->out[r], j->out_type, row_stack(j, r), j->head_dim);
		}
}

void ISA_NAME(attention_join)(const struct attn_job *job, size_t pitch, int group)
{
	const size_t state = attn_state(job->head_dim);

	for (int r = 0; r < job->rows; r++) {
		float *stack = row_stack(job, r);
		int pieces = div_up(job->keys[r], group * RANGE),
		    depth = start_stack(stack, 0, job->first / group, job->head_dim);
		for (int i = job->first / group; i < pieces; i++) {
			const float *piece =
				job->partial + (size_t)(i - job->first / group) * pitch + (size_t)r * state;
			memcpy(stack + (size_t)depth++ * state, piece, state * sizeof(float));
			depth = merge(stack, state, depth, i + 1, i + 1 == pieces, job->head_dim);
		}
		finish(job->out[r], job->out_type, stack, job->head_dim);
	}
}
