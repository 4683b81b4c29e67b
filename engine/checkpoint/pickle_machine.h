/* pickle_machine.h - the machine that runs a pickle's opcodes: its input, its stack, and the nodes it has made. */
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

/* Report an error of a pickle at the current byte; return its code. */
int pickle_wrong(const struct pickle_machine *x, const char *what);
int pickle_over(const struct pickle_machine *x, const char *what, int max);
/* Takes the next n bytes; NULL: there are fewer. */
const uint8_t *pickle_take(struct pickle_machine *x, size_t n);
int pickle_take_number(struct pickle_machine *x, int bytes, uint64_t *n);
int pickle_push(struct pickle_machine *x, int node);
int pickle_pop(struct pickle_machine *x, int *node);
/* Gets the node on top of the stack without taking it. */
int pickle_top(const struct pickle_machine *x, int *node);
int pickle_new(struct pickle_machine *x, struct pickle_node n, int *node);
int pickle_push_new(struct pickle_machine *x, struct pickle_node n);
/* Finds the first entry above the last mark. */
int pickle_find_mark(const struct pickle_machine *x, int *first);
/* Moves the stack from `first` on to the end of a container. */
void pickle_move(struct pickle_machine *x, int list, int first);

#endif
