#include "engine/checkpoint/inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SAMPLES = 4, SAMPLE = 32 }; /* sampled places of a tensor, elements of each */

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t mix_number(uint64_t h, uint64_t n)
{
	return mix(h, &n, sizeof n);
}

/* Samples a few elements from the first row to the last, from left to right. */
static int mix_content(uint64_t *h, const struct checkpoint *c, const struct ck_tensor *t, struct why *why)
{
	int64_t height = t->n_dims ? t->shape[0] : 1, item = (int64_t)dtype_size(t->type);
	int64_t width = 1, rows, cols;
	uint8_t sample[SAMPLE * 8];
	int err;

	if (!t->bytes || t->type == DT_COUNT)
		return 0;
	for (int i = 1; i < t->n_dims; i++)
		width *= t->shape[i];
	cols = width < SAMPLE ? width : SAMPLE;
	rows = width > 1 ? 1 : height < SAMPLE ? height : SAMPLE;
	for (int64_t i = 0; i < SAMPLES; i++) {
		int64_t row = (height - rows) / (SAMPLES - 1) * i, col = (width - cols) / (SAMPLES - 1) * i;
		if ((err = tensor_read(c, t, row, rows, col, cols, sample, why)))
			return err;
		*h = mix(*h, sample, (size_t)(rows * cols * item));
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct ck_tensor *const *)a)->name, (*(const struct ck_tensor *const *)b)->name);
}

uint64_t checkpoint_fingerprint(const struct checkpoint *c)
{
	const struct ck_tensor **t = xalloc((size_t)c->table.n, sizeof *t);
	uint64_t h = 0xcbf29ce484222325u;
	struct why why;
	int err = 0;

	for (int i = 0; i < c->table.n; i++)
		t[i] = &c->table.t[i];
	qsort(t, (size_t)c->table.n, sizeof *t, by_name);
	for (int i = 0; i < c->table.n && !err; i++) {
		h = mix(h, t[i]->name, strlen(t[i]->name) + 1);
		h = mix(h, dtype_name(t[i]->type), strlen(dtype_name(t[i]->type)) + 1);
		h = mix_number(h, (uint64_t)t[i]->n_dims);
		for (int d = 0; d < t[i]->n_dims; d++)
			h = mix_number(h, (uint64_t)t[i]->shape[d]);
		err = mix_content(&h, c, t[i], &why);
	}
	free(t);
	if (err)
		log_at(LOG_WARN, "no fingerprint: %s", why.text);
	return err ? 0 : h ^ h >> 29;
}

uint64_t checkpoint_identity(const struct checkpoint *c)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < c->n_files; i++) {
		struct stat st;
		h = mix(h, c->file[i].name, strlen(c->file[i].name) + 1);
		h = mix_number(h, c->file[i].size);
		if (c->file[i].fd < 0 || fstat(c->file[i].fd, &st))
			continue;
		h = mix_number(h, (uint64_t)st.st_mtim.tv_sec);
		h = mix_number(h, (uint64_t)st.st_mtim.tv_nsec);
	}
	return h;
}
