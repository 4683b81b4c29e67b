/* pickle_machine.h - the machine that a pickle's opcodes work on: its input, its stack, and what it has made so far. */
#ifndef ENGINE_CHECKPOINT_PICKLE_MACHINE_H
#define ENGINE_CHECKPOINT_PICKLE_MACHINE_H

#include "engine/checkpoint/pickle_names.h"

enum { PICKLE_MARK = -1 }; /* on the stack, in place of a node */

struct pickle_machine {
	struct pickle p;
	const uint8_t *begin, *at, *end;
	int *stack, depth, max_depth; /* nodes or PICKLE_MARK */
	int *memo, n_memo, max_memo;  /* nodes, -1: none */
	struct why *why;
};

/* The errors of a pickle, with the byte that was reached; return the code. */
int pickle_wrong(const struct pickle_machine *x, const char *what);
int pickle_over(const struct pickle_machine *x, const char *what, int max);
/* The next n bytes; NULL: there are fewer. */
const uint8_t *pickle_take(struct pickle_machine *x, size_t n);
int pickle_take_number(struct pickle_machine *x, int bytes, uint64_t *n);
int pickle_push(struct pickle_machine *x, int node);
int pickle_pop(struct pickle_machine *x, int *node);
/* The node that an instruction works on, left where it is. */
int pickle_top(const struct pickle_machine *x, int *node);
int pickle_new(struct pickle_machine *x, struct pickle_node n, int *node);
int pickle_push_new(struct pickle_machine *x, struct pickle_node n);
/* Where what lies above the last mark begins. */
int pickle_find_mark(const struct pickle_machine *x, int *first);
/* Moves the stack from `first` on to the end of a container. */
void pickle_move(struct pickle_machine *x, int list, int first);

#endif
