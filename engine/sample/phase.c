#include "engine/sample/phase.h"

#include <stdlib.h>

struct sample_phase {
	struct backend *b;
	int rows, vocab;
	float *device; /* NULL: the host samples all rows */
	float *host;   /* (rows, vocab), or one row: that the device left */
	bool *left;    /* (rows) the host must sample these */
	struct sampler *sampler;
	struct sampled *out; /* (n_started) results of what the device samples */
	int n_started;
	bool host_drew; /* it sampled a row of the last step */
	/* rows with a late mask, as the device samples them: without it first, then again where they need it */
	struct sample *what;  /* (rows) */
	struct sampling *how; /* (rows) */
	uint32_t *mask;       /* (rows, mask_words(vocab)) */
	bool *again;          /* (rows) */
};

struct sample_phase *sample_phase_create(struct backend *b, int rows, int vocab, bool device, bool dry)
{
	struct sample_phase *p = xalloc(1, sizeof *p);

	*p = (struct sample_phase){.b = b, .rows = rows, .vocab = vocab};
	p->device = device ? backend_sample_open(b, rows, vocab) : NULL;
	if (dry)
		return p;
	p->host = backend_host_alloc(b, (size_t)(p->device ? 1 : rows) * (size_t)vocab * sizeof *p->host);
	p->left = xalloc_touched((size_t)rows, sizeof *p->left);
	if (p->device) {
		p->what = xalloc_touched((size_t)rows, sizeof *p->what);
		p->how = xalloc_touched((size_t)rows, sizeof *p->how);
		p->mask = xalloc_touched((size_t)rows * (size_t)mask_words(vocab), sizeof *p->mask);
		p->again = xalloc_touched((size_t)rows, sizeof *p->again);
	}
	p->sampler = sampler_create(vocab);
	return p;
}

void sample_phase_destroy(struct sample_phase *p)
{
	if (!p)
		return;
	if (p->host)
		backend_host_free(p->b, p->host);
	free(p->left);
	free(p->what);
	free(p->how);
	free(p->mask);
	free(p->again);
	sampler_destroy(p->sampler);
	free(p);
}

float *sample_phase_logits(struct sample_phase *p)
{
	return p->device ? p->device : p->host;
}

static void on_host(struct sample_phase *p, int n, const struct sample *what, struct sampled *out)
{
	backend_sync(p->b);
	for (int i = 0; i < n; i++)
		sample_token(p->sampler, p->host + (size_t)i * (size_t)p->vocab, &what[i], &out[i]);
}

void sample_phase_wait(struct sample_phase *p)
{
	if (p->n_started)
		backend_sampled(p->b, p->n_started, p->out);
	p->n_started = 0;
}

static void sample_left(struct sample_phase *p, int row, const struct sample *what, struct sampled *out)
{
	size_t bytes = (size_t)p->vocab * sizeof *p->host;

	sample_phase_wait(p);
	backend_download(p->b, p->host, (const char *)p->device + (size_t)row * bytes, bytes);
	sample_token(p->sampler, p->host, what, out);
}

static uint32_t *mask_of(const struct sample_phase *p, int row)
{
	return p->mask + (size_t)row * (size_t)mask_words(p->vocab);
}

/* The row with the late mask from the start. A token that is the only one needs no draw: nothing else counts then. */
static void put_mask(struct sample_phase *p, int row, const struct sample *what)
{
	uint32_t *mask = mask_of(p, row);
	int words = mask_words(p->vocab);

	for (int w = 0; w < words; w++)
		mask[w] = what->only ? 0 : what->allow[w] & (what->how->mask ? what->how->mask[w] : UINT32_MAX);
	p->how[row] = what->only ? sampling_default() : *what->how;
	if (what->only) {
		mask[(what->only - 1) / 32] |= 1u << (what->only - 1) % 32;
		p->how[row].temperature = 0;
	}
	p->how[row].mask = mask;
	p->what[row] = *what;
	p->what[row].allow = NULL;
	p->what[row].how = &p->how[row];
}

/* Whether a row has a late mask; p->what are then the rows for a first draw. */
static bool hide_masks(struct sample_phase *p, int n, const struct sample *what)
{
	bool any = false;

	for (int i = 0; i < n; i++)
		any |= what[i].allow != NULL;
	for (int i = 0; any && i < n; i++) {
		if (what[i].allow && what[i].only) {
			put_mask(p, i, &what[i]);
		} else {
			p->what[i] = what[i];
			p->what[i].allow = NULL;
		}
	}
	return any;
}

/* Draws again with the mask where the first token is not allowed, before the next step reads the tokens. */
static void draw_again(struct sample_phase *p, int first, int n, const struct sample *what, struct sampled *out)
{
	bool any = false;

	sample_phase_wait(p);
	for (int i = 0; i < n; i++) {
		p->again[i] = what[i].allow && !what[i].only && !p->left[i] && !out[i].broken &&
			      !sample_allows(what[i].allow, out[i].id);
		any |= p->again[i];
		if (p->again[i])
			put_mask(p, i, &what[i]);
		else /* there is nothing to do for the row */
			p->what[i].given = out[i].id, p->what[i].n_top = -1, p->what[i].targets = NULL;
	}
	if (!any)
		return;
	backend_sample(p->b, first, n, p->what, p->left);
	p->out = out, p->n_started = n;
	for (int i = 0; i < n; i++)
		if (p->again[i] && p->left[i]) {
			p->host_drew = true;
			sample_left(p, i, &what[i], &out[i]);
		}
}

void sample_phase_start(struct sample_phase *p, int first, int n, const struct sample *what, struct sampled *out)
{
	bool masked;

	REQUIRE(n <= p->rows);
	sample_phase_wait(p);
	if (!p->device) {
		on_host(p, n, what, out);
		return;
	}
	p->host_drew = first && p->host_drew;
	masked = hide_masks(p, n, what);
	backend_sample(p->b, first, n, masked ? p->what : what, p->left);
	p->out = out, p->n_started = n;
	for (int i = 0; i < n; i++) {
		if (!p->left[i])
			continue;
		p->host_drew |= what[i].given < 0 && !what[i].targets; /* nothing follows targets */
		sample_left(p, i, &what[i], &out[i]);
	}
	if (masked)
		draw_again(p, first, n, what, out);
}

bool sample_phase_ahead(const struct sample_phase *p)
{
	return p->device && p->b->sampled && !p->host_drew;
}
