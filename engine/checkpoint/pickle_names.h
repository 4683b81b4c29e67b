/* pickle_names.h - the nodes of a pickle, and the names that they may have. */
#ifndef ENGINE_CHECKPOINT_PICKLE_NAMES_H
#define ENGINE_CHECKPOINT_PICKLE_NAMES_H

#include "base/base.h"

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

/* The names that a pickle may use. */
enum pickle_name {
	PN_ORDERED_DICT,
	PN_REBUILD_TENSOR,    /* storage, offset, size, stride */
	PN_REBUILD_TENSOR_V2, /* the same, requires_grad, hooks, ... */
	PN_REBUILD_TENSOR_V3, /* as V2, then a dtype that is not the storage's */
	PN_PARAMETER,         /* tensor, ... */
	PN_SIZE,
	PN_STORAGE, /* torch.HalfStorage and the like; text is "HalfStorage" */
	PN_DTYPE,   /* torch.uint16 and the like */
};

struct pickle_node {
	enum pickle_kind kind;
	enum pickle_name name; /* PK_NAME, PK_CALL */
	uint32_t n;            /* bytes of a text, or cells of a container */
	int first,
		last; /* cells of a container; -1: none. A dict has key, value, key, value; a call has its arguments */
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

/* Many paths may lead to a node, even from itself: code that walks them must count its steps. */
struct pickle {
	struct pickle_node *node; /* (n_nodes) */
	struct pickle_cell *cell; /* (n_cells) */
	int n_nodes, max_nodes, n_cells, max_cells;
	int root;
};

/* Sets name and text of a node; returns false for a name that a pickle may not use. */
bool pickle_find_name(const char *module, size_t m, const char *name, size_t n, struct pickle_node *node);
bool pickle_is_text(const struct pickle_node *n, const char *text); /* NULL is no text */

#endif
