/* value.c - lists, dicts, order and equality with Python's meaning. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/template/inside.h"

struct list *list_make(struct job *job, uint32_t max, enum form form)
{
	struct list *l = job_take(job, sizeof *l);

	l->form = form;
	l->max = max;
	if (max)
		l->at = job_take(job, sizeof *l->at * max);
	return l;
}

void list_add(struct job *job, struct list *l, struct value v)
{
	if (l->n == l->max) {
		uint32_t max = l->max ? l->max * 2 : 8;
		struct value *at = job_take(job, sizeof *at * max);
		if (l->n)
			memcpy(at, l->at, sizeof *at * l->n);
		l->at = at;
		l->max = max;
	}
	l->at[l->n++] = v;
}

struct dict *dict_make(struct job *job, uint32_t max)
{
	struct dict *d = job_take(job, sizeof *d);

	d->max = max;
	if (max)
		d->at = job_take(job, sizeof *d->at * max);
	return d;
}

static uint32_t hash_bytes(const void *p, size_t len)
{
	const uint8_t *u = p;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ u[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32) | 1;
}

uint32_t str_hash(struct str *s)
{
	if (!s->hash)
		s->hash = hash_bytes(s->s, s->len);
	return s->hash;
}

static uint32_t hash_value(struct job *job, struct value v)
{
	uint32_t h = 7;
	double f;

	switch (v.kind) {
	case K_STR:
		return str_hash(v.s);
	case K_BOOL:
	case K_INT:
	case K_FLOAT:
		f = value_number(v) + 0.0;
		return hash_bytes(&f, sizeof f);
	case K_LIST:
		if (v.l->form != FORM_TUPLE)
			break;
		for (uint32_t i = 0; i < v.l->n; i++)
			h = h * 31 + hash_value(job, v.l->at[i]);
		return h;
	case K_DICT:
		break;
	default:
		return 3;
	}
	bad(job, "unhashable type: '%s'", value_kind_name(v));
}

static void index_put(struct dict *d, uint32_t entry)
{
	uint32_t i = d->at[entry].hash & (d->slots - 1);

	while (d->index[i])
		i = (i + 1) & (d->slots - 1);
	d->index[i] = entry + 1;
}

static void index_build(struct job *job, struct dict *d)
{
	d->slots = 64;
	while (d->slots < d->max * 2)
		d->slots *= 2;
	d->index = job_take(job, sizeof *d->index * d->slots);
	for (uint32_t i = 0; i < d->n; i++)
		index_put(d, i);
}

static struct entry *dict_entry(struct job *job, const struct dict *d, struct value key, uint32_t hash)
{
	size_t probes = 0;

	if (!d->index) {
		for (uint32_t i = 0; i < d->n; i++)
			if (d->at[i].hash == hash && value_equal(job, d->at[i].key, key, 0))
				return &d->at[i];
		return NULL;
	}
	for (uint32_t i = hash & (d->slots - 1); d->index[i]; i = (i + 1) & (d->slots - 1)) {
		struct entry *e = &d->at[d->index[i] - 1];
		if (e->hash == hash && value_equal(job, e->key, key, 0))
			return e;
		if (++probes % 16 == 0)
			spend(job, 1);
	}
	return NULL;
}

struct value *dict_find(struct job *job, const struct dict *d, struct value key)
{
	struct entry *e = dict_entry(job, d, key, hash_value(job, key));

	return e ? &e->val : NULL;
}

void dict_set(struct job *job, struct dict *d, struct value key, struct value val)
{
	uint32_t hash = hash_value(job, key);
	struct entry *e = dict_entry(job, d, key, hash);

	if (e) {
		e->val = val;
		return;
	}
	if (d->n == d->max) {
		uint32_t max = d->max ? d->max * 2 : 8;
		struct entry *at = job_take(job, sizeof *at * max);
		if (d->n)
			memcpy(at, d->at, sizeof *at * d->n);
		d->at = at;
		d->max = max;
		d->index = NULL;
	}
	d->at[d->n++] = (struct entry){key, val, hash};
	if (d->index)
		index_put(d, d->n - 1);
	else if (d->n >= 16)
		index_build(job, d);
}

bool value_is_number(struct value v)
{
	return v.kind == K_INT || v.kind == K_FLOAT || v.kind == K_BOOL;
}
double value_number(struct value v)
{
	return v.kind == K_FLOAT ? v.f : v.kind == K_BOOL ? v.b : (double)v.i;
}
int64_t value_integer(struct job *job, struct value v)
{
	if (v.kind == K_BOOL)
		return v.b;
	if (v.kind != K_INT)
		bad(job, "'%s' object cannot be interpreted as an integer", value_kind_name(v));
	return v.i;
}

const char *value_kind_name(struct value v)
{
	static const char *const forms[] = {"list",      "tuple",       "generator", "dict_items",
					    "dict_keys", "dict_values", "range"};
	static const char *const kinds[] = {"Undefined",
					    "NoneType",
					    "bool",
					    "int",
					    "float",
					    "int",
					    "str",
					    "",
					    "dict",
					    "Namespace",
					    "Macro",
					    "function",
					    "builtin_function_or_method",
					    "LoopContext"};

	return v.kind == K_LIST ? forms[v.l->form] : kinds[v.kind];
}

bool value_has_user(struct value v)
{
	if (v.kind != K_STR || !v.s->mark)
		return v.kind == K_STR && v.s->origin;
	for (uint32_t i = 0; i < v.s->len; i++)
		if (v.s->mark[i])
			return true;
	return false;
}

bool value_truth(struct job *job, struct value v)
{
	(void)job;
	switch (v.kind) {
	case K_UNDEF:
	case K_NONE:
		return false;
	case K_BOOL:
		return v.b;
	case K_INT:
		return v.i != 0;
	case K_FLOAT:
		return v.f != 0;
	case K_STR:
		return v.s->len > 0;
	case K_LIST:
		return v.l->form == FORM_GENERATOR || v.l->n > 0;
	case K_DICT:
		return v.d->n > 0;
	default:
		return true;
	}
}

static bool equal_numbers(struct value a, struct value b)
{
	if (a.kind != K_FLOAT && b.kind != K_FLOAT)
		return (a.kind == K_BOOL ? a.b : a.i) == (b.kind == K_BOOL ? b.b : b.i);
	return value_number(a) == value_number(b);
}

static bool equal_dicts(struct job *job, struct dict *a, struct dict *b, int depth)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; a != b && i < a->n; i++) {
		struct entry *e = dict_entry(job, b, a->at[i].key, a->at[i].hash);
		if (!e || !value_equal(job, a->at[i].val, e->val, depth + 1))
			return false;
	}
	return true;
}

static bool equal_lists(struct job *job, struct list *a, struct list *b, int depth)
{
	if (a == b)
		return true;
	if (a->form != b->form || a->n != b->n || a->form == FORM_GENERATOR || a->form == FORM_VALUES)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!value_equal(job, a->at[i], b->at[i], depth + 1))
			return false;
	return true;
}

bool value_equal(struct job *job, struct value a, struct value b, int depth)
{
	if (depth > DATA_DEPTH)
		raise_error(job, ERR_LIMIT, "a value nested deeper than %d", DATA_DEPTH);
	if (depth)
		spend(job, 1);
	if (value_is_number(a) && value_is_number(b))
		return equal_numbers(a, b);
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case K_UNDEF:
	case K_NONE:
		return true;
	case K_BIG:
	case K_STR:
		return str_equal(a.s, b.s);
	case K_LIST:
		return equal_lists(job, a.l, b.l, depth);
	case K_DICT:
		return equal_dicts(job, a.d, b.d, depth);
	default:
		return a.d == b.d;
	}
}

int value_compare(struct job *job, struct value a, struct value b, int depth)
{
	bool lists = a.kind == K_LIST && b.kind == K_LIST && a.l->form == b.l->form && a.l->form <= FORM_TUPLE;

	if (depth > DATA_DEPTH)
		raise_error(job, ERR_LIMIT, "a value nested deeper than %d", DATA_DEPTH);
	if (value_is_number(a) && value_is_number(b)) {
		if (a.kind == K_INT && b.kind == K_INT)
			return a.i < b.i ? -1 : a.i > b.i;
		return value_number(a) < value_number(b)    ? -1
		       : value_number(a) > value_number(b)  ? 1
		       : value_number(a) == value_number(b) ? 0
							    : 2;
	}
	if (a.kind == K_STR && b.kind == K_STR)
		return str_compare(a.s, b.s);
	if (!lists) {
		if (a.kind == K_UNDEF || b.kind == K_UNDEF)
			bad(job, "%s is undefined", a.kind == K_UNDEF ? a.what : b.what);
		bad(job, "no order between '%s' and '%s'", value_kind_name(a), value_kind_name(b));
	}
	for (uint32_t i = 0; i < a.l->n && i < b.l->n; i++) {
		spend(job, 1);
		if (!value_equal(job, a.l->at[i], b.l->at[i], depth + 1))
			return value_compare(job, a.l->at[i], b.l->at[i], depth + 1);
	}
	return a.l->n < b.l->n ? -1 : a.l->n > b.l->n;
}

int64_t value_length(struct job *job, struct value v)
{
	if (v.kind == K_UNDEF)
		return 0;
	if (v.kind == K_STR)
		return str_chars(v.s);
	if (v.kind == K_DICT)
		return v.d->n;
	if (v.kind != K_LIST || v.l->form == FORM_GENERATOR)
		bad(job, "object of type '%s' has no len()", value_kind_name(v));
	return v.l->n;
}

struct list *value_items(struct job *job, struct value v)
{
	struct list *l;

	if (v.kind == K_LIST) {
		spend(job, v.l->n / 16);
		if (v.l->form != FORM_GENERATOR)
			return v.l;
		l = job_take(job, sizeof *l);
		*l = *v.l;
		v.l->n = v.l->max = 0;
		return l;
	}
	l = list_make(job, 0, FORM_LIST);
	if (v.kind == K_DICT) {
		spend(job, v.d->n / 16);
		for (uint32_t i = 0; i < v.d->n; i++)
			list_add(job, l, v.d->at[i].key);
	} else if (v.kind == K_STR) {
		uint32_t c;
		spend(job, v.s->len / 16);
		for (size_t i = 0, n; i < v.s->len; i += n) {
			n = (size_t)utf8_next(v.s->s + i, v.s->len - i, &c);
			struct str *one = str_part(job, v.s, i, i + n);
			one->markup = false;
			list_add(job, l, STR(one));
		}
	} else if (v.kind != K_UNDEF) {
		bad(job, "'%s' object is not iterable", value_kind_name(v));
	}
	return l;
}

void merge_sort(struct job *job, void **item, uint32_t n,
		int (*order)(struct job *job, const void *a, const void *b, const void *how), const void *how)
{
	void **from = item, **to = job_take(job, sizeof *to * (n + 1)), **swap;

	for (uint32_t run = 1; run < n; run *= 2) {
		spend(job, n / 4);
		for (uint32_t first = 0; first < n; first += 2 * run) {
			uint32_t a = first, middle = first + run < n ? first + run : n, b = middle;
			uint32_t end = middle + run < n ? middle + run : n;

			for (uint32_t i = first; i < end; i++)
				to[i] = b == end || (a < middle && order(job, from[a], from[b], how) <= 0) ? from[a++]
													   : from[b++];
		}
		swap = from, from = to, to = swap;
	}
	if (from != item)
		memcpy(item, from, sizeof *item * n);
}

void value_undefined(struct job *job, struct value v)
{
	bad(job, "%s", v.what);
}
