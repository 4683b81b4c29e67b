/* schema_parts.h - private to schema*.c: JSON Schema (draft 2020-12) becomes rules.
 *
 * What a value must satisfy is a list of schemas, all of which hold at once (a "joint"): allOf and $ref add to the
 * list, anyOf and oneOf branch into several. Each joint is a rule, made once, in the order in which they are met;
 * nothing recurses. */
#ifndef ENGINE_GRAMMAR_SCHEMA_PARTS_H
#define ENGINE_GRAMMAR_SCHEMA_PARTS_H

#include "base/json/json.h"
#include "engine/grammar/inside.h"

/* Marks of a part. ANY_OF, ONE_OF: an alternative of it is another part. OUTERMOST: all other parts come from it, so
 * that it knows which properties and items are evaluated. */
enum { ANY_OF = 1, ONE_OF = 2, OUTERMOST = 4 };

/* Where a schema stands in the document, for messages. */
struct place {
	int32_t parent; /* -1: the root */
	const char *key;
	int32_t index; /* of a list; -1: `key` counts */
};
struct part {
	const struct json *schema;
	int32_t place;
	uint8_t chosen;
};
enum { PARTS_MOST = 256, JOINTS_MOST = 20000, PLACES_MOST = 200000 };
struct parts {
	struct part part[PARTS_MOST];
	int n;
	bool never; /* "false" is among them */
};
struct joint {
	struct part *part; /* (n) as they were asked for, by schema */
	int n;
	int32_t rule;
};

/* What schema_derive.c made of a schema, or of a value. */
enum derived_as {
	CONDITIONS, /* its not, if and what depends on a property */
	ALONE,      /* the schema without what its neighbours in a oneOf take */
	OPPOSITE,   /* its "not" */
	CONSTANT,   /* a "const" of the value */
};
struct derived {
	const struct json *of;
	struct json *made;
	enum derived_as as;
};

struct schema {
	struct graph *g;
	const struct json *root;
	bool compact;
	struct place *place;
	struct joint *joint;
	int32_t *slot; /* (2 * JOINTS_MOST) 1 + index of a joint, by hash */
	int n_places, room_places, n_joints, room_joints;
	int32_t space;        /* rule of white space, or -1 */
	int32_t chars;        /* rule of a character in a string, or -1 */
	struct json_doc *doc; /* of schemas made by hand; NULL: there are none yet */
	struct derived *derived;
	int n_derived;
};

/* ---- schema_joint.c ---- */
int32_t schema_place(struct schema *s, int32_t parent, const char *key, int index);
int schema_fail(struct schema *s, int err, int32_t place, const char *keyword, const char *text);
bool schema_add(struct schema *s, struct parts *p, const struct json *schema, int32_t place);
struct frag schema_value(struct schema *s, const struct parts *p); /* a call of the joint's rule */
struct frag schema_space(struct schema *s);
struct frag schema_char(struct schema *s, const char *text); /* with white space around */

/* ---- schema_flatten.c ---- */
/* Adds what $ref and allOf name and what conditions say, until there is nothing new. */
bool schema_flatten(struct schema *s, struct parts *p);

/* ---- schema_check.c ---- */
enum {
	TYPE_NULL = 1,
	TYPE_BOOL = 2,
	TYPE_INTEGER = 4,
	TYPE_NUMBER = 8,
	TYPE_STRING = 16,
	TYPE_ARRAY = 32,
	TYPE_OBJECT = 64
};
enum { TYPE_ANY = 127, TYPE_SCALARS = TYPE_STRING | TYPE_NUMBER | TYPE_INTEGER /* judged by automata */ };
bool schema_keywords(struct schema *s, const struct json *schema, int32_t place);
int schema_types(const struct json *schema); /* of "type": TYPE_*; -1: not well formed. NUMBER has INTEGER, too */
int schema_type_of(const struct json *value);
bool schema_same(const struct json *a, const struct json *b); /* equal as JSON Schema has it */
/* The schema that a "$ref" names, or NULL after a refusal. */
const struct json *schema_ref(struct schema *s, const struct json *ref, int32_t place);
/* A count of the keyword, the largest or smallest of all parts; `otherwise` where there is none. */
int schema_count(const struct parts *p, const char *key, bool largest, int otherwise);

/* ---- schema_exclusive.c ---- */
bool schema_exclusive(struct schema *s, const struct json *alternatives); /* no value satisfies two of them */

/* ---- schema_derive.c ---- */
/* Adds what the part's conditions say in other keywords. */
bool schema_derive(struct schema *s, struct parts *p, const struct part *part);
/* An alternative that excludes all others; NULL: there are too many. */
const struct json *schema_alone(struct schema *s, const struct json *alternatives, size_t which);
/* The schema's "not", or a value's "const": the same one each time. NULL: an error. */
const struct json *schema_made(struct schema *s, const struct json *of, enum derived_as as);
void schema_derive_finish(struct schema *s);

/* ---- schema_not.c ---- */
bool schema_has_value(const struct json *schema, const struct json *v); /* as its enum and const have it */
const char *schema_structural(const struct json *schema); /* a keyword that judges more than single values, or NULL */
/* Whether a "not" leaves the value out, or with v == NULL all of the type; not of strings and numbers. */
bool schema_left_out(const struct parts *p, int type, const struct json *v);
struct dfa schema_texts(struct schema *s, const struct part *part); /* that it takes; it has no structural keyword */
/* Take out of `all` (*any: it is more than all there are) what "not" leaves out. */
void schema_not_texts(struct schema *s, const struct parts *p, struct dfa *all, bool *any);
void schema_not_numbers(struct schema *s, const struct parts *p, struct dfa *all, bool *any);

/* ---- schema_said.c ---- */
/* What patterns and formats, bounds and multiples say, without "not"; *any: they say something. */
struct dfa schema_said_texts(struct schema *s, const struct parts *p, bool *any);
struct dfa schema_said_numbers(struct schema *s, const struct parts *p, bool *any);
struct dfa schema_pattern(struct schema *s, const char *text, size_t n, bool search, int32_t place,
			  const char *keyword);

/* ---- schema_listed.c, schema_scalar.c, schema_array.c, schema_object.c ---- */
struct frag schema_listed(struct schema *s, const struct parts *p); /* enum and const; .start is 0: there are none */
/* What all parts say of strings (patterns and formats) and of numbers (bounds and multiples); *any: they say something.
 */
struct dfa schema_patterns(struct schema *s, const struct parts *p, bool *any);
struct dfa schema_bounds(struct schema *s, const struct parts *p, bool *any);
struct frag schema_string(struct schema *s, const struct parts *p);
struct frag schema_number(struct schema *s, const struct parts *p, bool whole);
struct frag schema_array(struct schema *s, const struct parts *p);
/* The outermost schema's unevaluatedProperties or unevaluatedItems; NULL: there is none, or an error. */
const struct json *schema_unevaluated(struct schema *s, const struct parts *p, const char *key, int32_t *place);
struct array {
	const struct parts *p;
	int prefix, min, max; /* items with schemas of their own; counts */
	const struct json *unevaluated;
	int32_t place; /* of the schema that has it */
};
const struct json *schema_prefix(const struct json *schema); /* NULL: it has none */
/* What all parts say of item i; beyond every prefix for i == -1. */
struct parts schema_item(struct schema *s, const struct array *a, int i);

/* ---- schema_contains.c, schema_unique.c: the items of an array, without its brackets ---- */
bool schema_counts(const struct parts *p); /* one has "contains" */
struct frag schema_contains(struct schema *s, const struct array *a);
struct frag schema_unique(struct schema *s, const struct array *a, int32_t place);

struct frag schema_object(struct schema *s, const struct parts *p);

#endif
