/* quant.c - reads quantised matrices: integers, scales and zero points of some rows, in one form for all layouts.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp8.h"
#include "engine/checkpoint/inside.h"

/* A part of a matrix. zero is in the terms of q: number = scale * (q - zero). */
struct fetched {
	uint8_t *q;    /* (rows, cols) borrowed */
	float *scale;  /* (rows, n_groups) */
	int16_t *zero; /* the same */
};

static int read_part(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		     int64_t cols, void *dst, struct why *why)
{
	return slice_read(&c->file[t->file], t, row, rows, col, cols, dst, why);
}

/* ---- integers ---- */

/* Where row r of a word of AWQ's lies, in nibbles. */
static const uint8_t awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

/* The numbers of a word, lowest first; returns how many. */
static int spread(uint8_t out[8], uint32_t word, int bits)
{
	uint64_t x = word;

	if (bits == 4) {
		x = (x | x << 16) & 0x0000ffff0000ffff;
		x = (x | x << 8) & 0x00ff00ff00ff00ff;
		x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	}
	memcpy(out, &x, 8);
	return 32 / bits;
}

/* Puts the columns of a word, whose first is `at`, into a row that has [0, cols). */
static void put_word(uint8_t *row, int64_t cols, int64_t at, uint32_t word, int bits)
{
	uint8_t some[8];
	int n = spread(some, word, bits);

	for (int i = 0; i < n; i++)
		if (at + i >= 0 && at + i < cols)
			row[at + i] = some[i];
}

/* Words of `per` columns: those of a row lie below each other (GPTQ) or side by side. */
static int read_columns(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int64_t col,
			int64_t cols, uint8_t *out, struct why *why)
{
	const bool below = q->layout == LAYOUT_GPTQ;
	const int64_t per = 32 / q->bits, first = col / per, n = (col + cols - 1) / per + 1 - first;
	uint32_t *word = xalloc((size_t)(n * rows), sizeof *word);
	int err = below ? read_part(c, q->codes, first, n, row, rows, word, why)
			: read_part(c, q->codes, row, rows, first, n, word, why);

	for (int64_t r = 0; r < rows && !err; r++)
		for (int64_t i = 0; i < n; i++)
			put_word(out + r * cols, cols, (first + i) * per - col, word[below ? i * rows + r : r * n + i],
				 q->bits);
	free(word);
	return err;
}

static int read_awq(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int64_t col,
		    int64_t cols, uint8_t *out, struct why *why)
{
	const int64_t first = row / 8, n = (row + rows - 1) / 8 + 1 - first;
	uint32_t *word = xalloc((size_t)(n * cols), sizeof *word);
	int err = read_part(c, q->codes, col, cols, first, n, word, why);
	uint8_t some[8];

	for (int64_t i = 0; i < cols && !err; i++)
		for (int64_t w = 0; w < n; w++) {
			spread(some, word[i * n + w], 4);
			for (int64_t j = 0, r = (first + w) * 8 - row; j < 8; j++, r++)
				if (r >= 0 && r < rows)
					out[r * cols + i] = some[awq_place[j]];
		}
	free(word);
	return err;
}

/* int8 counts from -128, here from 0; e4m3 stays. */
static int read_bytes(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int64_t col,
		      int64_t cols, uint8_t *out, struct why *why)
{
	int err = read_part(c, q->codes, row, rows, col, cols, out, why);

	for (int64_t i = 0; i < rows * cols && q->layout == LAYOUT_INT8; i++)
		out[i] ^= 0x80;
	return err;
}

typedef int read_codes(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int64_t col,
		       int64_t cols, uint8_t *out, struct why *why);
static read_codes *const codes_of[] = {[LAYOUT_GPTQ] = read_columns,
				       [LAYOUT_AWQ] = read_awq,
				       [LAYOUT_PACKED] = read_columns,
				       [LAYOUT_INT8] = read_bytes,
				       [LAYOUT_FP8] = read_bytes};

/* ---- scales and zero points ---- */

static bool lies_by_group(const struct ck_quant *q)
{
	return q->layout == LAYOUT_GPTQ || q->layout == LAYOUT_AWQ;
}

static float scale_at(const void *data, const struct ck_tensor *t, int64_t i)
{
	uint16_t h;
	float f;

	if (t->type == DT_COUNT) /* F8_E8M0 */
		return ((const uint8_t *)data)[i] == 255 ? NAN : ldexpf(1, ((const uint8_t *)data)[i] - 127);
	if (t->type == DT_F32) {
		memcpy(&f, (const char *)data + 4 * i, sizeof f);
		return f;
	}
	memcpy(&h, (const char *)data + 2 * i, sizeof h);
	return t->type == DT_BF16 ? f32_from_bf16(h) : f32_from_f16(h);
}

static int bad_scale(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t group, float scale,
		     struct why *why)
{
	return fail(why, ERR_FORMAT,
		    "%s: tensor %.200s: the scale of row %" PRId64 ", group %" PRId64 ", is %g: the file is damaged",
		    c->file[q->scale->file].name, q->scale->name, row, group, (double)scale);
}

/* Scales of rows [row, row + rows), (rows, n_groups). */
static int read_scales(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, float *out,
		       struct why *why)
{
	const bool turned = lies_by_group(q), one = q->group_rows == q->rows;
	const int64_t n = q->n_groups, first = one ? 0 : row / q->group_rows;
	const int64_t count = one ? 1 : (row + rows - 1) / q->group_rows + 1 - first;
	struct ck_tensor t = *q->scale;
	float *raw = xalloc((size_t)(n * count), sizeof *raw);
	int err;

	if (t.type == DT_COUNT)
		t.type = DT_U8;
	err = turned                            ? read_part(c, &t, 0, n, first, count, raw, why)
	      : t.n_dims == 2 && t.shape[0] > 1 ? read_part(c, &t, first, count, 0, n, raw, why)
	      : t.n_dims == 2                   ? read_part(c, &t, 0, 1, 0, n, raw, why)
						: read_part(c, &t, t.n_dims ? first : 0, count, 0, 1, raw, why);
	for (int64_t r = 0; r < rows && !err; r++)
		for (int64_t g = 0; g < n && !err; g++) {
			int64_t at = one ? 0 : (row + r) / q->group_rows - first;
			float s = scale_at(raw, q->scale, turned ? g * count + at : at * n + g);
			out[r * n + g] = s;
			if (!isfinite(s))
				err = bad_scale(c, q, row + r, g, s, why);
		}
	free(raw);
	return err;
}

/* Zero points that lie in words: of rows side by side (GPTQ, AWQ), or below each other (packed). */
static int read_words(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int16_t *out,
		      struct why *why)
{
	const bool turned = lies_by_group(q);
	const int64_t n = q->n_groups, per = 32 / q->bits, first = row / per,
		      count = (row + rows - 1) / per + 1 - first;
	uint32_t *word = xalloc((size_t)(n * count), sizeof *word), mask = q->bits == 4 ? 15 : 255;
	int err = turned ? read_part(c, q->zero, 0, n, first, count, word, why)
			 : read_part(c, q->zero, first, count, 0, n, word, why);

	for (int64_t r = 0; r < rows && !err; r++)
		for (int64_t g = 0; g < n; g++) {
			int64_t at = (row + r) / per - first, in = (row + r) % per;
			int64_t place = q->layout == LAYOUT_AWQ ? awq_place[in] : in;
			uint32_t w = word[turned ? g * count + at : at * n + g];
			out[r * n + g] = (int16_t)((int)(w >> place * q->bits & mask) + q->zero_more);
		}
	free(word);
	return err;
}

/* Signed ones, one for each scale. */
static int read_small(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int16_t *out,
		      struct why *why)
{
	const int64_t n = q->n_groups, middle = q->bits == 4 ? 8 : 128;
	const bool one = q->group_rows == q->rows && q->rows > 1, flat = q->zero->n_dims < 2;
	int8_t *raw = xalloc((size_t)(n * rows), 1);
	int err = one    ? read_part(c, q->zero, 0, 1, 0, 1, raw, why)
		  : flat ? read_part(c, q->zero, row, rows, 0, 1, raw, why)
			 : read_part(c, q->zero, row, rows, 0, n, raw, why);

	for (int64_t i = 0; i < rows * n && !err; i++)
		out[i] = (int16_t)(raw[one ? 0 : i] + middle);
	free(raw);
	return err;
}

static int read_zeros(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int16_t *out,
		      struct why *why)
{
	if (q->zero)
		return q->zero->type == DT_I32 ? read_words(c, q, row, rows, out, why)
					       : read_small(c, q, row, rows, out, why);
	for (int64_t i = 0; i < rows * q->n_groups; i++)
		out[i] = q->bits == 4 ? 8 : 128;
	return 0;
}

enum { PIECE = 1 << 20 /* numbers at a time */ };

int quant_zeros(const struct checkpoint *c, struct ck_quant *q, struct why *why)
{
	int64_t step = PIECE / q->n_groups + 1;
	int16_t *zero;
	int err = 0;

	step = step < q->rows ? (step + 7) / 8 * 8 : q->rows;
	q->zero_least = q->zero_most = q->bits == 4 ? 8 : 128;
	if (!q->zero)
		return 0;
	q->zero_least = INT16_MAX, q->zero_most = 0;
	zero = xalloc((size_t)(step * q->n_groups), sizeof *zero);
	for (int64_t r = 0, n; r < q->rows && !err; r += n) {
		n = q->rows - r < step ? q->rows - r : step;
		err = read_zeros(c, q, r, n, zero, why);
		for (int64_t i = 0; i < n * q->n_groups && !err; i++) {
			q->zero_least = zero[i] < q->zero_least ? zero[i] : q->zero_least;
			q->zero_most = zero[i] > q->zero_most ? zero[i] : q->zero_most;
		}
	}
	free(zero);
	return err;
}

bool quant_is_e4m3(const struct ck_quant *q)
{
	return q->layout == LAYOUT_FP8;
}

bool quant_is_symmetric(const struct ck_quant *q)
{
	int middle = q->bits == 4 ? 8 : 128;

	return q->layout != LAYOUT_FP8 && q->zero_least == middle && q->zero_most == middle;
}

bool quant_has_codes(const struct ck_quant *q)
{
	bool runs = q->order ? q->runs : q->n_groups == 1 || q->group % 32 == 0;

	return runs && (quant_is_e4m3(q) || (q->zero_least >= 0 && q->zero_most <= 255));
}

/* ---- groups ---- */

/* Sorts the columns by group; columns of a group keep their order. */
static void sort_columns(struct ck_quant *q)
{
	int64_t *at = xalloc((size_t)q->n_groups + 1, sizeof *at);

	q->order = xalloc((size_t)q->cols, sizeof *q->order);
	for (int64_t i = 0; i < q->cols; i++)
		at[q->group_of[i] + 1]++;
	for (int64_t g = 0; g < q->n_groups; g++)
		at[g + 1] += at[g];
	for (int64_t i = 0; i < q->cols; i++)
		q->order[at[q->group_of[i]]++] = (int32_t)i;
	free(at);
	q->runs = true;
	for (int64_t i = 0; i < q->cols; i++)
		q->runs = q->runs && q->group_of[q->order[i]] == q->group_of[q->order[i / 32 * 32]];
}

static bool is_unset(const int32_t *index, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (index[i] != -1)
			return false;
	return true;
}

int quant_groups(const struct checkpoint *c, struct ck_quant *q, const struct ck_tensor *index, struct why *why)
{
	int32_t *of;
	bool plain = true;
	int err;

	if (index->type != DT_I32)
		return fail(why, ERR_UNSUPPORTED, "%s: tensor %.200s has type %s; it must be i32",
			    c->file[index->file].name, index->name, index->type_name);
	of = xalloc((size_t)q->cols, sizeof *of);
	err = read_part(c, index, 0, q->cols, 0, 1, of, why);
	plain = !err && is_unset(of, q->cols);
	for (int64_t i = 0; i < q->cols && !err && !plain; i++)
		if (of[i] < 0 || of[i] >= q->n_groups)
			err = fail(why, ERR_FORMAT,
				   "%s: tensor %.200s: column %" PRId64
				   " is in group %d; there are groups 0 to %" PRId64,
				   c->file[index->file].name, index->name, i, of[i], q->n_groups - 1);
	for (int64_t i = 0; !err && !plain; i++) {
		if (i == q->cols)
			plain = true;
		else if (of[i] != i / q->group)
			break;
	}
	if (err || plain) {
		free(of);
		return err;
	}
	q->group_of = of;
	sort_columns(q);
	return 0;
}

/* ---- numbers and integers of some rows ---- */

static void drop(struct fetched *f)
{
	free(f->scale);
	free(f->zero);
}

static int fetch(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int64_t col,
		 int64_t cols, struct fetched *f, struct why *why)
{
	int err;

	f->scale = xalloc((size_t)(rows * q->n_groups), sizeof *f->scale);
	f->zero = xalloc((size_t)(rows * q->n_groups), sizeof *f->zero);
	err = codes_of[q->layout](c, q, row, rows, col, cols, f->q, why);
	if (!err)
		err = read_scales(c, q, row, rows, f->scale, why);
	if (!err && q->layout != LAYOUT_FP8)
		err = read_zeros(c, q, row, rows, f->zero, why);
	return err;
}

static int check_numbers(const struct checkpoint *c, const struct ck_quant *q, const uint8_t *code, int64_t row,
			 int64_t rows, int64_t cols, struct why *why)
{
	for (int64_t i = 0; i < rows * cols; i++)
		if ((code[i] & 0x7f) == 0x7f)
			return fail(why, ERR_FORMAT,
				    "%s: tensor %.200s: row %" PRId64 " holds NaN: the file is damaged",
				    c->file[q->codes->file].name, q->codes->name, row + i / cols);
	return 0;
}

static int read_some(const struct checkpoint *c, const struct ck_quant *q, int64_t row, int64_t rows, int64_t col,
		     int64_t cols, float *dst, struct why *why)
{
	struct fetched f = {.q = xalloc((size_t)(rows * cols), 1)};
	int err = fetch(c, q, row, rows, col, cols, &f, why);

	for (int64_t r = 0; r < rows && !err; r++)
		for (int64_t i = 0; i < cols; i++) {
			int64_t g = r * q->n_groups + (q->group_of ? q->group_of[col + i] : (col + i) / q->group);
			uint8_t code = f.q[r * cols + i];
			dst[r * cols + i] = q->layout == LAYOUT_FP8 ? f.scale[g] * fp8_value(code)
								    : f.scale[g] * (float)(code - f.zero[g]);
		}
	if (!err && q->layout == LAYOUT_FP8)
		err = check_numbers(c, q, f.q, row, rows, cols, why);
	free(f.q);
	drop(&f);
	return err;
}

/* In pieces, so that what is held beside dst is bounded. */
int quant_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
	       int64_t cols, float *dst, struct why *why)
{
	const struct ck_quant *q = t->quant;
	int64_t step = cols > 0 ? PIECE / cols + 1 : 1;
	int err = 0;

	if (row < 0 || rows < 0 || row > q->rows || rows > q->rows - row || col < 0 || cols < 0 || col > q->cols ||
	    cols > q->cols - col)
		return fail(why, ERR_INVALID,
			    "%s: tensor %s of %" PRId64 " x %" PRId64 ": no rows [%" PRId64 ", +%" PRId64
			    ") and columns [%" PRId64 ", +%" PRId64 ")",
			    c->file[t->file].name, t->name, q->rows, q->cols, row, rows, col, cols);
	for (int64_t r = 0, n; r < rows && cols && !err; r += n) {
		n = rows - r < step ? rows - r : step;
		err = read_some(c, q, row + r, n, col, cols, dst + r * cols, why);
	}
	return err;
}

static int64_t column_at(const struct ck_quant *q, int64_t place)
{
	return q->order ? q->order[place] : place;
}

/* Scale and zero point of each 32 places that [place, place + places) touch. */
static int put_groups(const struct checkpoint *c, const struct ck_quant *q, const struct fetched *f, int64_t row,
		      int64_t rows, int64_t place, int64_t places, const struct quant_room *out, struct why *why)
{
	int64_t first = place / 32, n = (place + places - 1) / 32 + 1 - first;

	for (int64_t r = 0; r < rows; r++)
		for (int64_t b = 0; b < n; b++) {
			int64_t col = column_at(q, (first + b) * 32);
			int64_t g = q->group_of ? q->group_of[col] : col / q->group;
			float s = f->scale[r * q->n_groups + g];
			if (quant_is_e4m3(q)) {
				out->wide[r * n + b] = s;
				continue;
			}
			out->scale[r * n + b] = f16_from_f32(s);
			out->zero[r * n + b] = (uint8_t)f->zero[r * q->n_groups + g];
			if (!isfinite(f32_from_f16(out->scale[r * n + b])))
				return bad_scale(c, q, row + r, g, s, why);
		}
	return 0;
}

int quant_codes(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t place,
		int64_t places, const struct quant_room *out, struct why *why)
{
	const struct ck_quant *k = t->quant;
	const int64_t from = k->order ? 0 : place, cols = k->order ? k->cols : places;
	struct fetched f = {.q = k->order ? xalloc((size_t)(rows * cols), 1) : out->q};
	int err;

	REQUIRE(quant_has_codes(k) && row >= 0 && rows > 0 && row + rows <= k->rows);
	REQUIRE(place >= 0 && places > 0 && place + places <= k->cols);
	err = fetch(c, k, row, rows, from, cols, &f, why);
	if (!err)
		err = put_groups(c, k, &f, row, rows, place, places, out, why);
	if (!err && quant_is_e4m3(k))
		err = check_numbers(c, k, out->q, row, rows, places, why);
	for (int64_t r = 0; r < rows && !err && k->order; r++)
		for (int64_t i = 0; i < places; i++)
			out->q[r * places + i] = f.q[r * cols + k->order[place + i]];
	if (k->order)
		free(f.q);
	if (!err)
		atomic_fetch_add(c->bytes_read, (uint64_t)(rows * places / (8 / k->bits)));
	drop(&f);
	return err;
}
