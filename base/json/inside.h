/* inside.h - what reading, values and writing share. */
#ifndef BASE_JSON_INSIDE_H
#define BASE_JSON_INSIDE_H

#include "base/json/json.h"

/* Members of an object. Many have an index by hash; keys are the sender's choice, so the hash has a secret. */
struct json_table {
	struct json_member *member; /* [n], room for `room` */
	uint32_t n, room;
	uint32_t *slot;  /* [n_slots], a power of two: number of a member + 1, 0 for none; NULL where members are few */
	uint32_t n_slots;
};

struct json_block;
struct json_doc {
	struct json root;
	struct json_block *block;
	size_t used, size; /* bytes of the first block */
	size_t taken, most; /* bytes of all blocks and of work space; `most` bounds them */
};

void *json_take(struct json_doc *doc, size_t n);  /* NULL: beyond `most` */
struct json_member *json_find(const struct json_table *t, const char *key, size_t len);
bool json_index(struct json_doc *doc, struct json_table *t, uint32_t room); /* makes an index for `room` members; false: no memory */
void json_index_add(struct json_table *t, uint32_t i);

enum { JSON_FEW = 12 }; /* members without an index */

#endif
