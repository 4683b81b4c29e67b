#include "engine/lora/adapter.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file/file.h"
#include "base/mix.h"

enum { PATTERNS_S = 10 }; /* of CPU time */
static const char *const names[] = {"adapter_model.safetensors", "adapter_model.bin"};

static bool exists(const char *dir, const char *name)
{
	char *path = xprintf("%s/%s", dir, name);
	struct stat st;
	bool yes = !stat(path, &st);

	free(path);
	return yes;
}

static int open_files(struct adapter *a, struct why *why)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path;
		int err;

		if (!exists(a->dir, names[i]))
			continue;
		path = xprintf("%s/%s", a->dir, names[i]);
		err = checkpoint_open(&a->files, path, why);
		free(path);
		return err;
	}
	return fail(why, ERR_IO, "%.300s: found neither %s nor %s, which hold an adapter's numbers", a->dir, names[0],
		    names[1]);
}

/* What a tensor that is no low-rank matrix of a linear layer is. */
static const char *other_kind(const char *name)
{
	if (strstr(name, "lora_embedding_"))
		return "adapters of the embedding are not supported; merge the adapter with PEFT";
	if (strstr(name, "lora_magnitude_vector"))
		return "it belongs to DoRA, which is not supported; merge the adapter with PEFT";
	if (strstr(name, "lora_") && strstr(name, ".bias"))
		return "biases of adapters are not supported; merge the adapter with PEFT";
	return "it is no low-rank matrix (lora_A.weight, lora_B.weight) of a linear layer; trained modules and biases are not supported";
}

/* "base_model.model.NAME.lora_A.weight" or "....lora_A.default.weight": the length of NAME, where it begins and which
 * matrix it is; 0: it is none. */
static size_t split_name(const char *tensor, const char **name, char *which)
{
	static const char wrapper[] = "base_model.model.";
	const char *at, *rest;

	if (!strncmp(tensor, wrapper, sizeof wrapper - 1))
		tensor += sizeof wrapper - 1;
	*name = tensor;
	at = strstr(tensor, ".lora_");
	if (!at || (at[6] != 'A' && at[6] != 'B'))
		return 0;
	*which = at[6];
	rest = at + 7;
	return !strcmp(rest, ".weight") || !strcmp(rest, ".default.weight") ? (size_t)(at - tensor) : 0;
}

static int check_tensor(const struct adapter *a, const struct ck_tensor *t, struct why *why)
{
	char shape[96];

	if (t->type != DT_F32 && t->type != DT_F16 && t->type != DT_BF16 && t->type != DT_F64)
		return fail(why, ERR_UNSUPPORTED, "%.200s: tensor %.150s has type %s; it must be f32, f16, bf16 or f64",
			    a->dir, t->name, t->type_name);
	if (t->n_dims != 2 || t->shape[0] < 1 || t->shape[1] < 1)
		return fail(why, ERR_FORMAT, "%.200s: tensor %.150s has shape %s; it must be a matrix", a->dir, t->name,
			    ck_shape_text(t, shape, sizeof shape));
	return 0;
}

/* Each tensor first is a module of its own. */
static int take_tensor(struct adapter *a, const struct ck_tensor *t, struct why *why)
{
	const char *name;
	char which;
	size_t len = split_name(t->name, &name, &which);
	struct adapter_module *m = &a->module[a->n];

	if (!len)
		return fail(why, ERR_UNSUPPORTED, "%.200s: tensor %.150s: %s", a->dir, t->name, other_kind(t->name));
	*(which == 'A' ? &m->a : &m->b) = t;
	m->name = xprintf("%.*s", (int)len, name);
	a->n++;
	return check_tensor(a, t, why);
}

static int by_name(const void *x, const void *y)
{
	return strcmp(((const struct adapter_module *)x)->name, ((const struct adapter_module *)y)->name);
}

/* Those of one name become one. */
static int join(struct adapter *a, struct why *why)
{
	int n = 0, err = 0;

	qsort(a->module, (size_t)a->n, sizeof *a->module, by_name);
	for (int i = 0; i < a->n; i++) {
		struct adapter_module *m = &a->module[i], *last = n ? &a->module[n - 1] : NULL;
		if (!last || strcmp(last->name, m->name)) {
			a->module[n++] = *m;
			continue;
		}
		if (!err && ((last->a && m->a) || (last->b && m->b)))
			err = fail(why, ERR_FORMAT, "%.200s: %.150s has two of lora_%c", a->dir, m->name,
				   m->a ? 'A' : 'B');
		last->a = last->a ? last->a : m->a;
		last->b = last->b ? last->b : m->b;
		free(m->name);
	}
	a->n = n;
	return err;
}

/* It has both matrices, of the rank that the config says. */
static int check_module(struct adapter *a, struct adapter_module *m, struct why *why)
{
	const struct ck_tensor *odd;
	char shape[96];
	int err;

	if (!m->a || !m->b)
		return fail(why, ERR_FORMAT, "%.200s: %.150s has lora_%c but no lora_%c", a->dir, m->name,
			    m->a ? 'A' : 'B', m->a ? 'B' : 'A');
	err = lora_config_module(&a->config, m->name, &m->rank, &m->scale, why);
	if (err)
		return err;
	odd = m->a->shape[0] != m->rank ? m->a : m->b->shape[1] != m->rank ? m->b : NULL;
	if (odd)
		return fail(why, ERR_FORMAT,
			    "%.200s: tensor %.150s has shape %s, but adapter_config.json says rank %d for it", a->dir,
			    odd->name, ck_shape_text(odd, shape, sizeof shape), m->rank);
	a->rank = max_int(a->rank, m->rank);
	return 0;
}

/* Patterns of the config may be expressions of any cost. */
static int check_modules(struct adapter *a, struct why *why)
{
	struct effort effort = {.cpu_ns = PATTERNS_S * NS_PER_S};
	int err = 0;

	effort_begin(&effort);
	for (int i = 0; !err && i < a->n; i++)
		err = check_module(a, &a->module[i], why);
	effort_end();
	return err;
}

static int list_modules(struct adapter *a, struct why *why)
{
	int n = checkpoint_count(a->files), err = 0;

	a->module = xalloc((size_t)n + 1, sizeof *a->module);
	for (int i = 0; !err && i < n; i++)
		err = take_tensor(a, checkpoint_tensor(a->files, i), why);
	if (!err)
		err = join(a, why);
	if (!err)
		err = check_modules(a, why);
	if (!err && !a->n)
		err = fail(why, ERR_FORMAT, "%.300s: the adapter has no tensors", a->dir);
	return err;
}

/* ---- the fingerprint: of every number, since the prefix cache is keyed by it ---- */

enum { ROOM = 1 << 18 }; /* numbers read at a time */

static uint64_t mix_word(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static uint64_t mix_floats(uint64_t h, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, x + i, sizeof bits);
		h = mix_word(h, bits);
	}
	return h;
}

static uint64_t mix_text(uint64_t h, const char *s)
{
	do
		h = mix_word(h, (uint8_t)*s);
	while (*s++);
	return h;
}

/* As they are computed with: B is multiplied by the module's scale. */
static bool all_finite(const float *x, size_t n, double scale)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite((float)((double)x[i] * scale)))
			return false;
	return true;
}

static int print_tensor(const struct adapter *a, const struct ck_tensor *t, double scale, float *room, uint64_t *h,
			struct why *why)
{
	int64_t rows = t->shape[0], cols = t->shape[1], step = ROOM / (cols < ROOM ? cols : ROOM);
	int64_t wide = cols < ROOM ? cols : ROOM;
	char times[64] = "";

	if (scale != 1)
		snprintf(times, sizeof times, " when multiplied by its scale %g", scale);
	*h = mix_word(mix_word(*h, (uint64_t)rows), (uint64_t)cols);
	for (int64_t r = 0; r < rows; r += step)
		for (int64_t c = 0; c < cols; c += wide) {
			int64_t n = rows - r < step ? rows - r : step, w = cols - c < wide ? cols - c : wide;
			int err = adapter_read(a, t, r, n, c, w, room, why);
			if (err)
				return err;
			if (!all_finite(room, (size_t)(n * w), scale))
				return fail(why, ERR_FORMAT, "%.200s: tensor %.150s holds NaN or infinity%s", a->dir,
					    t->name, times);
			*h = mix_floats(*h, room, (size_t)(n * w));
		}
	return 0;
}

static int set_fingerprint(struct adapter *a, struct why *why)
{
	float *room = xalloc(ROOM, sizeof *room);
	uint64_t h = 1, scale;
	int err = 0;

	for (int i = 0; !err && i < a->n; i++) {
		const struct adapter_module *m = &a->module[i];
		memcpy(&scale, &m->scale, sizeof scale);
		h = mix_word(mix_text(h, m->name), scale);
		err = print_tensor(a, m->a, 1, room, &h, why);
		if (!err)
			err = print_tensor(a, m->b, m->scale, room, &h, why);
	}
	a->fingerprint = mix64(h);
	free(room);
	return err;
}

static int open_dir(struct adapter *a, struct why *why)
{
	struct stat st;
	int err;

	if (stat(a->dir, &st))
		return fail(why, ERR_IO, "%.300s: %s", a->dir, file_error(a->dir, errno));
	if (!S_ISDIR(st.st_mode))
		return fail(why, ERR_IO, "%.300s: this is no folder; give that of an adapter, with adapter_config.json",
			    a->dir);
	err = lora_config_read(&a->config, a->dir, why);
	if (err == ERR_UNKNOWN)
		return fail(why, ERR_IO, "%.300s: no adapter_config.json, so this is no adapter%s", a->dir,
			    exists(a->dir, "config.json") ? " but a model, which --model takes" : "");
	if (!err)
		err = open_files(a, why);
	if (!err)
		err = list_modules(a, why);
	return err ? err : set_fingerprint(a, why);
}

int adapter_open(struct adapter **out, const char *dir, struct why *why)
{
	struct adapter *a = xalloc(1, sizeof *a);
	int err;

	*out = NULL;
	a->dir = xstrdup(dir);
	err = open_dir(a, why);
	if (err)
		adapter_close(a);
	else
		*out = a;
	return err;
}

void adapter_close(struct adapter *a)
{
	if (!a)
		return;
	for (int i = 0; i < a->n; i++)
		free(a->module[i].name);
	free(a->module);
	checkpoint_close(a->files);
	lora_config_finish(&a->config);
	free(a->dir);
	free(a);
}

const struct adapter_module *adapter_find(const struct adapter *a, const char *name)
{
	struct adapter_module like = {.name = (char *)(uintptr_t)name};

	return bsearch(&like, a->module, (size_t)a->n, sizeof like, by_name);
}

int adapter_read(const struct adapter *a, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		 int64_t cols, float *dst, struct why *why)
{
	size_t n = (size_t)rows * (size_t)cols, size = dtype_size(t->type);
	void *raw = t->type == DT_F32 ? dst : xalloc(n + 1, size);
	int err = checkpoint_read(a->files, t, row, rows, col, cols, raw, why);

	for (size_t i = 0; !err && raw != dst && i < n; i++)
		dst[i] = t->type == DT_F64    ? (float)((const double *)raw)[i]
			 : t->type == DT_BF16 ? f32_from_bf16(((const uint16_t *)raw)[i])
					      : f32_from_f16(((const uint16_t *)raw)[i]);
	if (raw != dst)
		free(raw);
	return err;
}
