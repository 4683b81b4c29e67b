/* nan.c - downloads what each layer leaves and looks for numbers that are not finite. */
#include "engine/models/nan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct nan_watch {
	struct backend *b;
	int hidden;
	int16_t *origin; /* (max_seqs) the first one of the sequence that runs there; 0: none */
	bool *now;       /* (max_seqs) whether this pass left one */
	float *row;      /* (hidden) of any type */
	const struct step *step;
};

struct nan_watch *nan_create(struct backend *b, int hidden, int max_seqs)
{
	struct nan_watch *w = xalloc(1, sizeof *w);

	w->b = b;
	w->hidden = hidden;
	w->origin = xalloc((size_t)max_seqs, sizeof *w->origin);
	w->now = xalloc((size_t)max_seqs, sizeof *w->now);
	w->row = xalloc((size_t)hidden, sizeof *w->row);
	return w;
}

void nan_destroy(struct nan_watch *w)
{
	if (!w)
		return;
	free(w->origin);
	free(w->now);
	free(w->row);
	free(w);
}

void nan_begin(struct nan_watch *w, const struct step *s)
{
	if (!w)
		return;
	w->step = s;
	for (int i = 0; i < s->head->n_seqs; i++)
		w->now[s->seq[i]] = false;
}

/* A sequence that is finite again is another one in the same place. */
void nan_end(struct nan_watch *w)
{
	const struct step *s = w ? w->step : NULL;

	for (int i = 0; s && i < s->head->n_seqs; i++)
		if (!w->now[s->seq[i]])
			w->origin[s->seq[i]] = 0;
}

static int seq_of(const struct step *s, int token)
{
	int i = 0;

	while (s->q_start[i + 1] <= token)
		i++;
	return s->seq[i];
}

static bool row_is_finite(struct nan_watch *w, const void *data, enum dtype type, int row)
{
	size_t n = (size_t)w->hidden, bytes = n * dtype_size(type);
	const uint16_t *halves = (const uint16_t *)w->row;

	backend_download(w->b, w->row, (const char *)data + (size_t)row * bytes, bytes);
	for (size_t i = 0; i < n; i++)
		if (!isfinite(type == DT_F32 ? w->row[i] : f32_from_bf16(halves[i])))
			return false;
	return true;
}

static void note(struct nan_watch *w, int token, int origin)
{
	const struct step *s = w->step;
	int seq = seq_of(s, token);
	char text[64];

	w->now[seq] = true;
	if (w->origin[seq])
		return;
	w->origin[seq] = (int16_t)origin;
	nan_text(origin, text, sizeof text);
	log_event(LOG_WARN, "NaN or infinity", " first_in=\"%s\" step=%d sequence=%d position=%d", text, s->head->no,
		  seq, s->pos[token]);
}

void nan_look(struct nan_watch *w, const void *data, enum dtype type, bool rows, int origin)
{
	const struct step *s = w ? w->step : NULL;

	for (int i = 0; s && i < (rows ? s->head->n_rows : s->head->n_tokens); i++)
		if (!row_is_finite(w, data, type, i))
			note(w, rows ? s->row[i] : i, origin);
}

int nan_origin(const struct nan_watch *w, int seq)
{
	return w ? w->origin[seq] : 0;
}

void nan_text(int origin, char *out, size_t size)
{
	if (!origin)
		snprintf(out, size, "the last norm or the head");
	else if (origin == NAN_EMBED)
		snprintf(out, size, "the embedding");
	else
		snprintf(out, size, "the %s of layer %d", origin % 2 ? "FFN" : "attention",
			 (origin - NAN_ATTENTION) / 2);
}
