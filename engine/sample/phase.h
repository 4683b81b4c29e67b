/* pick_phase.h - rank 0's rows of logits to tokens. Where the backend can pick they stay in its memory, and only ids and asked-for
 * logprobs come to the host; a row that it leaves, and every row of another backend, is picked by pick.h. The result is the same. */
#ifndef ENGINE_SAMPLE_PHASE_H
#define ENGINE_SAMPLE_PHASE_H

#include "engine/backend/backend.h"
#include "engine/sample/sample.h"

struct pick_phase;
/* device: on the device if it can. dry: the backend is, so no memory is taken but in its books. */
struct pick_phase *pick_phase_create(struct backend *b, int rows, int vocab, bool device, bool dry);
void pick_phase_destroy(struct pick_phase *p); /* NULL is fine; before the backend */
/* (rows, vocab) f32: where model_logits() is to leave rows. Of the host unless pick_phase_device(). */
float *pick_phase_logits(struct pick_phase *p);
bool pick_phase_device(const struct pick_phase *p);
/* Starts to pick the first n rows there, rows [first, first + n) of the step, when those before are done. Overwrites them. `out` is
 * there after pick_phase_wait(); `what` is not looked at any more. */
void pick_phase_start(struct pick_phase *p, int first, int n, const struct pick *what, struct picked *out);
void pick_phase_wait(struct pick_phase *p); /* nothing is started: at once */
/* The next step may name the rows of the last one by -1-r before they are known here: all of them were drawn on the device. */
bool pick_phase_ahead(const struct pick_phase *p);

#endif
