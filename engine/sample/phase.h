/* phase.h - rank 0's rows of logits to tokens. Where the backend can sample, logits stay in its memory, and only ids
 * and requested logprobs are copied to the host. A row that the backend leaves, and every row of another backend, is
 * sampled by sample.h, with the same result. */
#ifndef ENGINE_SAMPLE_PHASE_H
#define ENGINE_SAMPLE_PHASE_H

#include "engine/backend/backend.h"
#include "engine/sample/sample.h"

struct sample_phase;
/* device: sample on the device if the backend can. dry: the backend is a dry one, so memory is only accounted for. */
struct sample_phase *sample_phase_create(struct backend *b, int rows, int vocab, bool device, bool dry);
void sample_phase_destroy(struct sample_phase *p); /* takes NULL; call it before the backend is destroyed */
/* (rows, vocab) f32: where model_logits() writes rows. Device memory where the backend samples, else host memory. */
float *sample_phase_logits(struct sample_phase *p);
/* Starts to sample the first n rows there, which are rows [first, first + n) of the step, and overwrites them. `what`
 * may change afterwards; `out` is filled after sample_phase_wait(). */
void sample_phase_start(struct sample_phase *p, int first, int n, const struct sample *what, struct sampled *out);
void sample_phase_wait(struct sample_phase *p); /* returns at once where nothing was started */
/* Whether the next step may name the last one's rows, by -1-r, before their tokens are known on the host: the device
 * sampled all of them. */
bool sample_phase_ahead(const struct sample_phase *p);

#endif
