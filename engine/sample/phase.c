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

void sample_phase_start(struct sample_phase *p, int first, int n, const struct sample *what, struct sampled *out)
{
	REQUIRE(n <= p->rows);
	sample_phase_wait(p);
	if (!p->device) {
		on_host(p, n, what, out);
		return;
	}
	p->host_drew = first && p->host_drew;
	backend_sample(p->b, first, n, what, p->left);
	p->out = out, p->n_started = n;
	for (int i = 0; i < n; i++) {
		if (!p->left[i])
			continue;
		p->host_drew |= what[i].given < 0 && !what[i].targets; /* nothing follows targets */
		sample_left(p, i, &what[i], &out[i]);
	}
}

bool sample_phase_ahead(const struct sample_phase *p)
{
	return p->device && p->b->sampled && !p->host_drew;
}
