/* nan.h - private to engine/models: --debug-nan, which layer of which sequence first left a number that is not finite.
 */
#ifndef ENGINE_MODELS_NAN_H
#define ENGINE_MODELS_NAN_H

#include "engine/backend/backend.h"
#include "engine/step.h"

/* Origins are 1 for the embedding, then two a layer; 0 stands for none of them. */
enum { NAN_EMBED = 1, NAN_ATTENTION = 2, NAN_FFN = 3 };

struct nan_watch;

/* b: borrowed. All functions below do nothing where the watch is NULL. */
struct nan_watch *nan_create(struct backend *b, int hidden, int max_seqs);
void nan_destroy(struct nan_watch *w);
void nan_begin(struct nan_watch *w, const struct step *s); /* s: of the host; must live until nan_end() */
/* data: (n_tokens, hidden) of the backend, f32 or bf16, or with `rows` (n_rows, hidden) of the step's rows. */
void nan_look(struct nan_watch *w, const void *data, enum dtype type, bool rows, int origin);
void nan_end(struct nan_watch *w);
/* Where sequence `seq` (its stable index) first left such a number. */
int nan_origin(const struct nan_watch *w, int seq);
/* "the attention of layer 3" */
void nan_text(int origin, char *out, size_t size);

#endif
