/* sample_phase.h - rank 0's rows of logits to tokens. Where the backend can sample they stay in its memory, and only
 * ids and asked-for logprobs come to the host; a row that it leaves, and every row of another backend, is sampled by
 * sample.h. The result is the same. */
#ifndef ENGINE_SAMPLE_PHASE_H
#define ENGINE_SAMPLE_PHASE_H

#include "engine/backend/backend.h"
#include "engine/sample/sample.h"

struct sample_phase;
/* device: on the device if it can. dry: the backend is, so no memory is taken but in its books. */
struct sample_phase *sample_phase_create(struct backend *b, int rows, int vocab, bool device, bool dry);
void sample_phase_destroy(struct sample_phase *p); /* NULL is fine; before the backend */
/* (rows, vocab) f32: where model_logits() is to leave rows. Of the host unless sample_phase_device(). */
float *sample_phase_logits(struct sample_phase *p);
bool sample_phase_device(const struct sample_phase *p);
/* Starts to sample the first n rows there, rows [first, first + n) of the step, when those before are done. Overwrites
 * them. `out` is there after sample_phase_wait(); `what` is not looked at any more. */
void sample_phase_start(struct sample_phase *p, int first, int n, const struct sample *what, struct sampled *out);
void sample_phase_wait(struct sample_phase *p); /* nothing is started: at once */
/* The next step may name the rows of the last one by -1-r before they are known here: all of them were drawn on the
 * device. */
bool sample_phase_ahead(const struct sample_phase *p);

#endif
