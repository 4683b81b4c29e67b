/* schema_joint.c - places of schemas, lists of those that hold at once, and the rule that stands for each list. */
#include "engine/grammar/schema_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

int32_t schema_place(struct schema *s, int32_t parent, const char *key, int index)
{
	if (s->n_places == s->room_places) {
		int room = s->room_places ? 2 * s->room_places : 128;
		struct place *p = room > PLACES_MOST ? NULL : heap_grow(s->place, (size_t)room, sizeof *p);
		if (!p) {
			graph_fail(s->g, ERR_LIMIT, "the schema has more than %d parts", PLACES_MOST);
			return 0;
		}
		s->place = p, s->room_places = room;
	}
	s->place[s->n_places] = (struct place){parent, key, index};
	return s->n_places++;
}

/* "#/properties/a" */
static void write_place(const struct schema *s, int32_t place, char *out, size_t max)
{
	int32_t chain[64];
	int n = 0;
	size_t at = 1;

	snprintf(out, max, "#");
	for (; place > 0 && n < 64; place = s->place[place].parent)
		chain[n++] = place;
	while (n-- && at + 1 < max) {
		const struct place *p = &s->place[chain[n]];
		int k = p->index >= 0 ? snprintf(out + at, max - at, "/%s/%d", p->key, p->index)
				      : snprintf(out + at, max - at, "/%s", p->key);
		at = min_int((int)max - 1, (int)at + k) < 0 ? at : (size_t)min_int((int)max - 1, (int)at + k);
	}
}

int schema_fail(struct schema *s, int err, int32_t place, const char *keyword, const char *text)
{
	char path[160];

	write_place(s, place, path, sizeof path);
	return graph_fail(s->g, err, "json_schema: %s: %.60s%s%s", path, keyword, *keyword ? ": " : "", text);
}

/* ---- joints ---- */

static int by_schema(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->schema != y->schema)
		return x->schema < y->schema ? -1 : 1;
	return (x->chosen > y->chosen) - (x->chosen < y->chosen);
}

static uint32_t hash_parts(const struct part *p, int n)
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < n; i++)
		h = (h ^ (uint32_t)((uintptr_t)p[i].schema >> 3) ^ p[i].chosen) * 0x9e3779b1u, h ^= h >> 13;
	return h;
}

static bool same_parts(const struct joint *j, const struct parts *p)
{
	for (int i = 0; j->n == p->n && i < p->n; i++)
		if (j->part[i].schema != p->part[i].schema || j->part[i].chosen != p->part[i].chosen)
			return false;
	return j->n == p->n;
}

static struct joint *new_joint(struct schema *s, const struct parts *p)
{
	struct joint j = {.part = heap_take((size_t)p->n + 1, sizeof *j.part), .n = p->n, .rule = graph_rule(s->g)};

	if (s->n_joints == s->room_joints && j.part) {
		int room = s->room_joints ? 2 * s->room_joints : 64;
		struct joint *all = room > 2 * JOINTS_MOST ? NULL : heap_grow(s->joint, (size_t)room, sizeof *all);
		if (all)
			s->joint = all, s->room_joints = room;
	}
	if (!j.part || s->n_joints == s->room_joints || s->n_joints == JOINTS_MOST) {
		heap_free(j.part);
		graph_fail(s->g, ERR_LIMIT, "the schema needs more than %d rules", JOINTS_MOST);
		return NULL;
	}
	if (p->n)
		memcpy(j.part, p->part, (size_t)p->n * sizeof *j.part);
	s->joint[s->n_joints] = j;
	return &s->joint[s->n_joints++];
}

struct frag schema_value(struct schema *s, const struct parts *p)
{
	struct parts sorted = *p;
	uint32_t h;

	if (p->never)
		return frag_fail(s->g);
	if (sorted.n > 1)
		qsort(sorted.part, (size_t)sorted.n, sizeof *sorted.part, by_schema);
	for (h = hash_parts(sorted.part, sorted.n);; h++) {
		int32_t *slot = &s->slot[h % (2 * JOINTS_MOST)];
		if (*slot && same_parts(&s->joint[*slot - 1], &sorted))
			return frag_call(s->g, s->joint[*slot - 1].rule);
		if (*slot)
			continue;
		struct joint *j = new_joint(s, &sorted);
		if (!j)
			return frag_fail(s->g);
		*slot = s->n_joints;
		return frag_call(s->g, j->rule);
	}
}

bool schema_add(struct schema *s, struct parts *p, const struct json *schema, int32_t place)
{
	if (json_is(schema, JSON_IS_BOOL)) {
		p->never |= !json_yes(schema);
		return true;
	}
	if (!json_is(schema, JSON_IS_OBJECT)) {
		schema_fail(s, ERR_INVALID, place, "", "a schema must be an object, true or false");
		return false;
	}
	for (int i = 0; i < p->n; i++)
		if (p->part[i].schema == schema)
			return true;
	if (p->n == PARTS_MOST) {
		schema_fail(s, ERR_LIMIT, place, "", "more than 256 schemas hold at once");
		return false;
	}
	p->part[p->n++] = (struct part){schema, place, 0};
	return true;
}

/* ---- white space ---- */

/* None, a blank, or a new line with its indentation: what formatted JSON has. A model that JSON's rule allowed any
 * amount of it might never write anything else. */
static struct frag any_space(struct graph *g)
{
	enum { INDENTATION = 24 };
	struct byte_set blank = {{0}};
	struct frag line = frag_cat(g, frag_opt(g, frag_byte(g, '\r')), frag_byte(g, '\n'));

	set_put(&blank, ' ', ' ');
	set_put(&blank, '\t', '\t');
	line = frag_cat(g, line, frag_times(g, frag_bytes(g, &blank), 0, INDENTATION));
	return frag_opt(g, frag_alt(g, frag_byte(g, ' '), line));
}

struct frag schema_space(struct schema *s)
{
	if (s->compact)
		return frag_empty(s->g);
	if (s->space < 0) {
		s->space = graph_rule(s->g);
		graph_define(s->g, s->space, any_space(s->g));
	}
	return frag_call(s->g, s->space);
}

struct frag schema_char(struct schema *s, const char *text)
{
	struct frag f = frag_cat(s->g, schema_space(s), frag_str(s->g, text));

	return frag_cat(s->g, f, schema_space(s));
}
