#include "engine/checkpoint/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 1000, MAX_TENSORS = 1 << 24 };

static uint64_t name_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	return h ^ h >> 32;
}

void table_finish(struct table *table)
{
	for (int i = 0; i < table->n; i++)
		free((char *)table->t[i].name);
	free(table->t);
	free(table->slot);
	*table = (struct table){0};
}

/* Returns the slot of `name`, or the empty slot where it belongs. */
static size_t slot_of(const struct table *table, const char *name)
{
	size_t i = name_hash(name) & (table->n_slots - 1);

	while (table->slot[i] && strcmp(table->t[table->slot[i] - 1].name, name))
		i = (i + 1) & (table->n_slots - 1);
	return i;
}

static void rebuild(struct table *table, size_t n_slots)
{
	free(table->slot);
	table->slot = xalloc(n_slots, sizeof *table->slot);
	table->n_slots = n_slots;
	for (int i = 0; i < table->n; i++)
		table->slot[slot_of(table, table->t[i].name)] = i + 1;
}

const struct ck_tensor *table_find(const struct table *table, const char *name)
{
	int i = table->n_slots ? table->slot[slot_of(table, name)] : 0;

	return i ? &table->t[i - 1] : NULL;
}

/* Names go to terminals and logs, so control characters are refused. */
static int check_name(const char *name, struct why *why)
{
	size_t n = strlen(name);

	if (!n)
		return fail(why, ERR_FORMAT, "a tensor with an empty name");
	if (n > MAX_NAME)
		return fail(why, ERR_FORMAT, "a tensor's name of %zu bytes; the most is %d (%.40s...)", n, MAX_NAME,
			    name);
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f)
			return fail(why, ERR_FORMAT, "a tensor's name holds the control character 0x%02x",
				    (uint8_t)name[i]);
	return 0;
}

int table_add(struct table *table, const struct ck_tensor *t, struct why *why)
{
	int err = check_name(t->name, why);

	if (err)
		return err;
	if (table_find(table, t->name))
		return fail(why, ERR_FORMAT, "tensor %s occurs twice", t->name);
	if (table->n == MAX_TENSORS)
		return fail(why, ERR_FORMAT, "more than %d tensors", MAX_TENSORS);
	if (__builtin_add_overflow(table->bytes, t->bytes, &table->bytes) || table->bytes > INT64_MAX)
		return fail(why, ERR_FORMAT, "tensor %s: the sizes of the tensors overflow", t->name);
	if (table->n == table->max) {
		table->max = table->max ? 2 * table->max : 64;
		table->t = xgrow(table->t, (size_t)table->max, sizeof *table->t);
	}
	table->t[table->n] = *t;
	table->t[table->n++].name = xstrdup(t->name);
	if (2 * (size_t)table->n > table->n_slots)
		rebuild(table, table->n_slots ? 2 * table->n_slots : 256);
	else
		table->slot[slot_of(table, t->name)] = table->n;
	return 0;
}

static int by_place(const void *pa, const void *pb)
{
	const struct ck_tensor *a = pa, *b = pb;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return strcmp(a->name, b->name);
}

void table_sort(struct table *table)
{
	if (!table->n)
		return;
	qsort(table->t, (size_t)table->n, sizeof *table->t, by_place);
	rebuild(table, table->n_slots);
}

int tensor_layout(struct ck_tensor *t, unsigned bits, struct why *why)
{
	uint64_t n = 1;

	for (int i = 0; i < t->n_dims; i++)
		if (__builtin_mul_overflow(n, (uint64_t)t->shape[i], &n))
			return fail(why, ERR_FORMAT, "tensor %s: its shape overflows", t->name);
	if (__builtin_mul_overflow(n, bits, &n) || n / 8 > INT64_MAX)
		return fail(why, ERR_FORMAT, "tensor %s: its size overflows", t->name);
	if (n % 8)
		return fail(why, ERR_FORMAT, "tensor %s: its size is not a whole number of bytes", t->name);
	t->bytes = n / 8;
	/* A tensor without elements has no strides: dimensions beside a zero may be large enough to overflow. */
	for (int64_t stride = t->bytes ? 1 : 0, i = t->n_dims - 1; i >= 0; i--) {
		t->stride[i] = stride;
		stride *= t->shape[i];
	}
	return 0;
}

const char *ck_shape_text(const struct ck_tensor *t, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "[");

	for (int i = 0; i < t->n_dims && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i ? ", " : "", t->shape[i]);
	if (n < size)
		snprintf(out + n, size - n, "]");
	return out;
}

int fail_in(struct why *why, int err, const char *name)
{
	char text[sizeof why->text];

	if (!why)
		return err;
	memcpy(text, why->text, sizeof text);
	/* The message may name its file already. */
	if (!strncmp(text, name, strlen(name)) && text[strlen(name)] == ':')
		return err;
	return fail(why, err, "%s: %s", name, text);
}
