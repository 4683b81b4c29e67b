/* nan.c - --debug-nan: which layer of which sequence first left a number that is not finite. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/models/llama.h"

struct nan_watch {
	int16_t *origin; /* (max_seqs) first one of what runs there, 0: none */
	bool *now;       /* (max_seqs) in this pass */
	float *row;      /* (hidden) */
	const struct step *step;
};

struct nan_watch *nan_create(const struct model *m)
{
	size_t seqs = (size_t)m->how.limits.max_seqs;
	struct nan_watch *w;

	if (!m->how.debug_nan || m->how.rank || m->how.dry)
		return NULL;
	w = xalloc(1, sizeof *w);
	w->origin = xalloc(seqs, sizeof *w->origin);
	w->now = xalloc(seqs, sizeof *w->now);
	w->row = xalloc((size_t)m->cfg.hidden, sizeof *w->row);
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

void nan_begin(struct model *m, const struct step *s)
{
	if (!m->nan)
		return;
	m->nan->step = s;
	for (int i = 0; i < s->head->n_seqs; i++)
		m->nan->now[s->seq[i]] = false;
}

/* A sequence that is clean again is another one in the same place. */
void nan_end(struct model *m)
{
	const struct step *s = m->nan ? m->nan->step : NULL;

	for (int i = 0; s && i < s->head->n_seqs; i++)
		if (!m->nan->now[s->seq[i]])
			m->nan->origin[s->seq[i]] = 0;
}

static int seq_of(const struct step *s, int token)
{
	int i = 0;

	while (s->q_start[i + 1] <= token)
		i++;
	return s->seq[i];
}

static bool row_is_finite(struct model *m, const float *data, int row)
{
	size_t n = (size_t)m->cfg.hidden;
	float *x = m->nan->row;

	backend_download(m->b, x, data + (size_t)row * n, n * sizeof *x);
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

static void note(struct model *m, int token, int origin)
{
	const struct step *s = m->nan->step;
	char text[MODEL_NAN_TEXT];
	int seq = seq_of(s, token);

	m->nan->now[seq] = true;
	if (m->nan->origin[seq])
		return;
	m->nan->origin[seq] = (int16_t)origin;
	log_event(LOG_WARN, "NaN or infinity", " first_in=\"%s\" step=%d sequence=%d position=%d",
		  model_nan_text(origin, text), s->head->no, seq, s->pos[token]);
}

void nan_look(struct model *m, const float *data, bool rows, int origin)
{
	const struct step *s = m->nan ? m->nan->step : NULL;

	for (int i = 0; s && i < (rows ? s->head->n_rows : s->head->n_tokens); i++)
		if (!row_is_finite(m, data, i))
			note(m, rows ? s->row[i] : i, origin);
}

int model_nan(const struct model *m, int seq)
{
	return m->nan ? m->nan->origin[seq] : 0;
}

const char *model_nan_text(int origin, char out[MODEL_NAN_TEXT])
{
	if (!origin)
		snprintf(out, MODEL_NAN_TEXT, "the last norm or the head");
	else if (origin == NAN_EMBED)
		snprintf(out, MODEL_NAN_TEXT, "the embedding");
	else
		snprintf(out, MODEL_NAN_TEXT, "the %s of layer %d", origin % 2 ? "FFN" : "attention",
			 (origin - NAN_ATTENTION) / 2);
	return out;
}
