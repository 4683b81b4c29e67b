/* lora.h - low-rank updates of products (LoRA, arXiv:2106.09685): y += B (A x), where each row of x takes the matrices
 * of its slot, or none. One object holds those of one product for all slots; other rows of a step may use other slots.
 *
 * Numbers: A, B and t = A x are f32, and B holds the adapter's scale already. t has one chain for each rank j, with K
 * cut into leaves and segments, which combine as those of a linear (backend.h), so that its parts can be summed over
 * ranks by the tree. Inside a segment columns come in order. B t is one chain over j in order from +0, which is then
 * added to y. So a row's bits depend on nothing but its own input and its slot's matrices. */
#ifndef ENGINE_BACKEND_LORA_H
#define ENGINE_BACKEND_LORA_H

#include "engine/backend/backend.h"

enum { LORA_LANES = 16, LORA_PIECES = 3 };

/* Outputs of a product lie in pieces below each other (q, k, v), each of which has an A of its own or shares one. */
struct lora_shape {
	int slots;
	int rank;              /* room for the ranks of one A: a multiple of LORA_LANES */
	int pieces;            /* at most LORA_PIECES; as many A of a slot at most */
	int rows[LORA_PIECES]; /* this rank's outputs of each */
	bool paired;           /* output i of piece p is column 2i + p of y */
	struct split k;        /* of the product's K axis: A has the owned columns */
};

/* What a slot does to the product. {0} with all a_of at -1: nothing. */
struct lora_slot {
	int rank[LORA_PIECES]; /* of A number i; 0: none */
	int a_of[LORA_PIECES]; /* the A of piece i; -1: the piece stays as it is */
};

struct lora {
	struct lora_shape shape;
	int cols;                    /* split_columns(&shape.k).count */
	int panels;                  /* of LORA_LANES outputs, over all pieces; a piece begins a panel */
	float *a;                    /* (slots, pieces, rank/16, cols, 16): lane j of a column is A[16p + j] */
	float *b;                    /* (slots, panels, rank, 16): lane i of a rank is B[16p + i] */
	struct lora_slot *slot;      /* (slots) host */
	struct lora_slot *on_device; /* (slots) the same in the backend's memory */
};

/* Floats of one slot: of A, of B. */
size_t lora_a_size(const struct lora_shape *s);
size_t lora_b_size(const struct lora_shape *s);
/* The memory is the caller's: (slots * size) floats of the backend each, zeroed, and (slots) of what they do, which
 * lora_switch() writes. All slots do nothing. */
struct lora *lora_create(const struct lora_shape *s, float *a, float *b, struct lora_slot *on_device);
/* Between two steps: says what a slot does from now on. */
void lora_switch(struct backend *b, struct lora *l, int slot, const struct lora_slot *what);
void lora_destroy(struct lora *l); /* NULL is fine */
/* Put row j of A number i, of all owned columns, into a slot's A on the host, and row `row` of a piece, of `rank`
 * numbers, into its B. */
void lora_put_a(const struct lora *l, float *slot_a, int i, int j, const float *from);
void lora_put_b(const struct lora *l, float *slot_b, int piece, int row, const float *from, int rank);

/* t (parts of k, x->rows, pieces * rank) f32 = A x of each row's slot; x (n, owned cols; type b->act). slot (x->rows),
 * in the backend's memory; -1: none, and t is undefined there, as it is beyond the ranks of A. */
op_lora_down backend_lora_down;
/* y (n, sum of rows; f32, b->mid or b->sum) += B t, t (n, pieces * rank) f32 summed over all leaves. */
op_lora_up backend_lora_up;

#endif
