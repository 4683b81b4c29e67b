/* pickle.h - the part of Python's pickle that torch.save writes. Nothing is ever called: a call of a known name becomes
 * a node that says so, any other name refuses the file.
 * Source: the opcode table of Python's pickletools; the names are those of torch/_weights_only_unpickler.py. */
#ifndef ENGINE_CHECKPOINT_PICKLE_H
#define ENGINE_CHECKPOINT_PICKLE_H

#include "base/base.h"

enum { PICKLE_MAX = 32 << 20 }; /* bytes; a 13 B model needs about 0.1 MiB */

enum pickle_kind {
	PK_NONE,
	PK_BOOL,
	PK_INT,
	PK_FLOAT,
	PK_TEXT,
	PK_NAME,
	PK_TUPLE,
	PK_LIST,
	PK_DICT,
	PK_CALL,
	PK_STORAGE
};

/* Names that a pickle may use. */
enum pickle_name {
	PN_ORDERED_DICT,
	PN_REBUILD_TENSOR,    /* storage, offset, size, stride */
	PN_REBUILD_TENSOR_V2, /* the same, requires_grad, hooks, ... */
	PN_REBUILD_TENSOR_V3, /* as V2, then a dtype that is not the storage's */
	PN_PARAMETER,         /* tensor, ... */
	PN_SIZE,
	PN_STORAGE, /* torch.HalfStorage and the like: text holds "HalfStorage" */
	PN_DTYPE,   /* torch.uint16 and the like */
};

struct pickle_node {
	enum pickle_kind kind;
	enum pickle_name name; /* PK_NAME, PK_CALL */
	uint32_t n;            /* bytes of text; cells of a container */
	int first, last; /* cells of a container, -1: none. A dict has key, value, key, value; a call its arguments */
	union {
		int64_t i;        /* PK_BOOL, PK_INT */
		double f;         /* PK_FLOAT */
		const char *text; /* (n) PK_TEXT: in the pickle, not terminated; PK_NAME: static, terminated */
	};
};

struct pickle_cell {
	int value; /* a node */
	int next;  /* a cell, -1: the last */
};

/* Nodes may be reached on many ways, and even from themselves: who walks them must count. */
struct pickle {
	struct pickle_node *node; /* (n_nodes) */
	struct pickle_cell *cell; /* (n_cells) */
	int n_nodes, max_nodes, n_cells, max_cells;
	int root;
};

/* data is borrowed and must outlive the result. ERR_FORMAT (with the byte), ERR_UNSUPPORTED (with the name that is not
 * known), ERR_LIMIT. On failure there is nothing to finish. */
int pickle_parse(struct pickle *p, const void *data, size_t size, struct why *why);
void pickle_finish(struct pickle *p);
/* Element i of a container; NULL: there are not so many. Takes i steps. */
const struct pickle_node *pickle_at(const struct pickle *p, const struct pickle_node *list, uint32_t i);
/* Fills name and text of a node; false: not a name that a pickle may use. */
bool pickle_find_name(const char *module, size_t m, const char *name, size_t n, struct pickle_node *node);
bool pickle_is_text(const struct pickle_node *n, const char *text); /* NULL is no text */

#endif
