/* inside.h - what reading, values and writing share. */
#ifndef BASE_JSON_INSIDE_H
#define BASE_JSON_INSIDE_H

#include "base/json/json.h"

/* Members of an object. Many have an index by hash; keys are the sender's choice, so the hash has a secret. */
struct json_table {
	struct json_member *member; /* [n], room for `room` */
	uint32_t n, room;
	uint32_t *slot; /* [n_slots], a power of two: number of a member + 1, 0 for none; NULL where members are few */
	uint32_t n_slots;
};

struct json_block;
struct json_doc {
	struct json root;
	struct json_block *block;
	size_t used, size;  /* bytes of the first block */
	size_t taken, most; /* bytes of all blocks and of work space; `most` bounds them */
};

void *json_take(struct json_doc *doc, size_t n); /* NULL: beyond `most` */
struct json_member *json_find(const struct json_table *t, const char *key, size_t len);
bool json_index(struct json_doc *doc, struct json_table *t,
		uint32_t room); /* makes an index for `room` members; false: no memory */
void json_index_add(struct json_table *t, uint32_t i);

/* A text while it is read. */
struct json_frame {
	uint32_t first; /* children of this container begin here in parse.child */
	char close;     /* ']' or '}' */
};

struct json_parse {
	const char *start, *at, *end;
	const struct json_rules *rules;
	struct json_doc *doc;
	struct json_error *e;
	struct json_frame *frame; /* [depth] */
	int depth, room;
	struct json_member *child; /* of all open containers; list items have no key */
	uint32_t n, child_room;
	size_t values;
	bool between; /* what is read is no child yet: the path is the container's */
};

bool json_refuse(struct json_parse *p, int err, const char *text); /* keeps the first refusal; returns false */
bool json_refuse_memory(struct json_parse *p);
void *json_take_for(struct json_parse *p, size_t n); /* NULL: refused */
bool json_scan_string(struct json_parse *p, const char **text,
		      uint32_t *len); /* p->at stands after the opening quote */
bool json_scan_number(struct json_parse *p, struct json *v);
size_t json_utf8_size(const unsigned char *s,
		      size_t n); /* bytes of the character at s, 0: none; no overlong forms, no surrogates (RFC 3629) */

enum { JSON_FEW = 12 }; /* members without an index */

#endif
