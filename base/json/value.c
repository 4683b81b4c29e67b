/* value.c - values of JSON: memory, members by name, accessors, makers. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json/inside.h"

struct json_block {
	struct json_block *next;
	_Alignas(16) char data[];
};

enum { BLOCK_MIN = 1024, BLOCK_MAX = 1 << 20 };

void *json_take(struct json_doc *doc, size_t n)
{
	size_t size = round_up(n, 16);
	struct json_block *b;

	if (!doc->block || doc->size - doc->used < size) {
		size_t want = doc->size < BLOCK_MAX / 2 ? doc->size * 2 : BLOCK_MAX;

		want = want < BLOCK_MIN ? BLOCK_MIN : want;
		want = want < size ? size : want;
		if (want > doc->most - doc->taken)
			want = size;
		if (want > doc->most - doc->taken)
			return NULL;
		b = heap_take(1, sizeof *b + want);
		if (!b)
			return NULL;
		b->next = doc->block;
		doc->block = b;
		doc->used = 0;
		doc->size = want;
		doc->taken += want;
	}
	doc->used += size;
	return doc->block->data + doc->used - size;
}

struct json_doc *json_new(void)
{
	struct json_doc *doc = xalloc(1, sizeof *doc);

	doc->most = SIZE_MAX;
	return doc;
}

void json_close(struct json_doc *doc)
{
	if (!doc)
		return;
	for (struct json_block *b = doc->block, *next; b; b = next) {
		next = b->next;
		heap_free(b);
	}
	free(doc);
}

const struct json *json_root(const struct json_doc *doc)
{
	return doc ? &doc->root : NULL;
}

size_t json_bytes(const struct json_doc *doc)
{
	return doc->taken;
}

/* SipHash-1-3 (Aumasson, Bernstein) with a key of this process. */
static uint64_t rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
	v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t hash_key[2];

static void make_hash_key(void)
{
	if (getrandom(hash_key, sizeof hash_key, GRND_NONBLOCK) != sizeof hash_key)
		hash_key[0] = now_ns(), hash_key[1] = (uintptr_t)&hash_key;
}

static uint64_t hash_of(const char *s, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t v[4], m;

	pthread_once(&once, make_hash_key);
	v[0] = hash_key[0] ^ 0x736f6d6570736575, v[1] = hash_key[1] ^ 0x646f72616e646f6d;
	v[2] = hash_key[0] ^ 0x6c7967656e657261, v[3] = hash_key[1] ^ 0x7465646279746573;
	for (size_t i = 0; i <= n; i += 8) {
		size_t left = n - i < 8 ? n - i : 8;

		m = left < 8 ? (uint64_t)n << 56 : 0;
		memcpy(&m, s + i, left);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool is_key(const struct json_member *m, const char *key, size_t len)
{
	return m->key_len == len && (!len || !memcmp(m->key, key, len));
}

struct json_member *json_find(const struct json_table *t, const char *key, size_t len)
{
	if (!t->slot) {
		for (uint32_t i = 0; i < t->n; i++)
			if (is_key(&t->member[i], key, len))
				return &t->member[i];
		return NULL;
	}
	for (uint64_t at = hash_of(key, len);; at++) {
		uint32_t i = t->slot[at & (t->n_slots - 1)];

		if (!i)
			return NULL;
		if (is_key(&t->member[i - 1], key, len))
			return &t->member[i - 1];
	}
}

void json_index_add(struct json_table *t, uint32_t i)
{
	uint64_t at = hash_of(t->member[i].key, t->member[i].key_len);

	while (t->slot[at & (t->n_slots - 1)])
		at++;
	t->slot[at & (t->n_slots - 1)] = i + 1;
}

bool json_index(struct json_doc *doc, struct json_table *t, uint32_t room)
{
	uint32_t n = 32;

	while (n < (uint64_t)room * 2 && n < 1u << 31)
		n *= 2;
	t->slot = json_take(doc, n * sizeof *t->slot);
	if (!t->slot)
		return false;
	t->n_slots = n;
	for (uint32_t i = 0; i < t->n; i++)
		json_index_add(t, i);
	return true;
}

const struct json *json_getn(const struct json *object, const char *key, size_t key_len)
{
	struct json_member *m = json_is(object, JSON_IS_OBJECT) ? json_find(object->table, key, key_len) : NULL;

	return m ? &m->value : NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	return json_getn(object, key, strlen(key));
}

const struct json *json_at(const struct json *list, size_t i)
{
	return json_is(list, JSON_IS_LIST) && i < list->n ? &list->item[i] : NULL;
}

size_t json_size(const struct json *v)
{
	if (json_is(v, JSON_IS_OBJECT))
		return v->table->n;
	return json_is(v, JSON_IS_LIST) ? v->n : 0;
}

const struct json_member *json_member(const struct json *object, size_t i)
{
	return json_is(object, JSON_IS_OBJECT) && i < object->table->n ? &object->table->member[i] : NULL;
}

const char *json_str(const struct json *v)
{
	return json_is(v, JSON_IS_TEXT) ? v->text : NULL;
}

size_t json_len(const struct json *v)
{
	return json_is(v, JSON_IS_TEXT) ? v->n : 0;
}

bool json_is(const struct json *v, enum json_kind kind)
{
	return v && v->kind == kind;
}

bool json_none(const struct json *v)
{
	return !v || v->kind == JSON_IS_NULL;
}

bool json_is_int(const struct json *v)
{
	return json_is(v, JSON_IS_INTEGER) || json_is(v, JSON_IS_BIG);
}

bool json_is_num(const struct json *v)
{
	return json_is_int(v) || json_is(v, JSON_IS_REAL);
}

double json_num(const struct json *v)
{
	if (json_is(v, JSON_IS_INTEGER))
		return (double)v->integer;
	if (json_is(v, JSON_IS_BIG))
		return strtod(v->text, NULL);
	return json_is(v, JSON_IS_REAL) ? v->real : NAN;
}

bool json_int(const struct json *v, int64_t *out)
{
	if (!json_is(v, JSON_IS_INTEGER))
		return false;
	*out = v->integer;
	return true;
}

int64_t json_int_or(const struct json *v, int64_t otherwise)
{
	return json_is(v, JSON_IS_INTEGER) ? v->integer : otherwise;
}

bool json_uint(const struct json *v, uint64_t *out)
{
	static const char most[] = "18446744073709551615";

	if (json_is(v, JSON_IS_INTEGER) && v->integer >= 0) {
		*out = (uint64_t)v->integer;
		return true;
	}
	if (!json_is(v, JSON_IS_BIG) || v->text[0] == '-' || v->n > sizeof most - 1 ||
	    (v->n == sizeof most - 1 && strcmp(v->text, most) > 0))
		return false;
	*out = strtoull(v->text, NULL, 10);
	return true;
}

bool json_yes(const struct json *v)
{
	return json_is(v, JSON_IS_BOOL) && v->yes;
}

const char *json_kind_name(const struct json *v)
{
	static const char *const names[] = {"null",     "a boolean", "an integer", "an integer",
					    "a number", "a string",  "a list",     "an object"};

	if (!v)
		return "missing";
	if (v->kind == JSON_IS_BOOL)
		return v->yes ? "true" : "false";
	return names[v->kind];
}

static bool same_number(const struct json *a, const struct json *b)
{
	if (a->kind == JSON_IS_BIG && b->kind == JSON_IS_BIG)
		return a->n == b->n && !memcmp(a->text, b->text, a->n);
	if (a->kind == JSON_IS_INTEGER && b->kind == JSON_IS_INTEGER)
		return a->integer == b->integer;
	return !(json_is_int(a) && json_is_int(b)) && json_num(a) == json_num(b);
}

bool json_same(const struct json *a, const struct json *b)
{
	if (json_none(a) || json_none(b))
		return json_none(a) && json_none(b);
	if (json_is_num(a) && json_is_num(b))
		return same_number(a, b);
	if (a->kind != b->kind || json_size(a) != json_size(b) || json_len(a) != json_len(b))
		return false;
	if (a->kind == JSON_IS_BOOL)
		return a->yes == b->yes;
	if (a->kind == JSON_IS_TEXT)
		return !memcmp(a->text, b->text, a->n);
	for (size_t i = 0; i < json_size(a); i++) {
		const struct json_member *m = json_member(a, i);
		const struct json *other = m ? json_getn(b, m->key, m->key_len) : json_at(b, i);

		if (!other || !json_same(m ? &m->value : json_at(a, i), other))
			return false;
	}
	return true;
}

struct json json_make_text(struct json_doc *doc, const char *s, size_t n)
{
	char *copy;

	REQUIRE(n < UINT32_MAX);
	copy = json_take(doc, n + 1);
	if (n)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return (struct json){.kind = JSON_IS_TEXT, .n = (uint32_t)n, .text = copy};
}

struct json json_make_int(int64_t i)
{
	return (struct json){.kind = JSON_IS_INTEGER, .integer = i};
}

struct json json_make_real(double x)
{
	return (struct json){.kind = JSON_IS_REAL, .real = x};
}

struct json json_make_bool(bool yes)
{
	return (struct json){.kind = JSON_IS_BOOL, .yes = yes};
}

struct json json_make_null(void)
{
	return (struct json){.kind = JSON_IS_NULL};
}

struct json json_make_list(void)
{
	return (struct json){.kind = JSON_IS_LIST};
}

struct json json_make_object(struct json_doc *doc)
{
	return (struct json){.kind = JSON_IS_OBJECT, .table = json_take(doc, sizeof(struct json_table))};
}

/* A list made by hand has room for the power of two that is not below n. */
void json_add(struct json_doc *doc, struct json *list, struct json v)
{
	if (list->exact || !(list->n & (list->n - 1))) {
		uint32_t room = 4;
		struct json *item;

		while (room <= list->n)
			room *= 2;
		if (list->exact || list->n == 0 || list->n >= 4) {
			item = json_take(doc, room * sizeof *item);
			if (list->n)
				memcpy(item, list->item, list->n * sizeof *item);
			list->item = item;
			list->exact = 0;
		}
	}
	list->item[list->n++] = v;
}

void json_set(struct json_doc *doc, struct json *object, const char *key, struct json v)
{
	struct json_table *t = object->table;
	size_t len = strlen(key);
	struct json_member *m = json_find(t, key, len);

	if (m) {
		m->value = v;
		return;
	}
	if (t->n == t->room) {
		uint32_t room = t->room < 8 ? 8 : t->room * 2;
		struct json_member *more = json_take(doc, room * sizeof *more);

		if (t->n)
			memcpy(more, t->member, t->n * sizeof *more);
		t->member = more;
		t->room = room;
	}
	t->member[t->n] =
		(struct json_member){.key = json_make_text(doc, key, len).text, .key_len = (uint32_t)len, .value = v};
	t->n++;
	if (t->slot && t->n * 2 <= t->n_slots)
		json_index_add(t, t->n - 1);
	else if (t->n > JSON_FEW)
		json_index(doc, t, t->n * 2);
}

void json_set_root(struct json_doc *doc, struct json v)
{
	doc->root = v;
}
