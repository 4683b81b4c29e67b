#include "engine/sample/phase.h"

#include <stdlib.h>

struct pick_phase {
	struct backend *b;
	int rows, vocab;
	float *device; /* NULL: the host picks all */
	float *host;   /* (rows, vocab), or one row that the device left */
	bool *left;    /* (rows) */
	struct picker *picker;
	struct picked *out; /* (n_started) of what the device is asked for */
	int n_started;
	bool host_drew; /* a row of the last step */
};

struct pick_phase *pick_phase_create(struct backend *b, int rows, int vocab, bool device, bool dry)
{
	struct pick_phase *p = xalloc(1, sizeof *p);

	*p = (struct pick_phase){.b = b, .rows = rows, .vocab = vocab};
	p->device = device ? backend_pick_open(b, rows, vocab) : NULL;
	if (dry)
		return p;
	p->host = backend_host_alloc(b, (size_t)(p->device ? 1 : rows) * (size_t)vocab * sizeof *p->host);
	p->left = xalloc_touched((size_t)rows, sizeof *p->left);
	p->picker = picker_create(vocab);
	return p;
}

void pick_phase_destroy(struct pick_phase *p)
{
	if (!p)
		return;
	if (p->host)
		backend_host_free(p->b, p->host);
	free(p->left);
	picker_destroy(p->picker);
	free(p);
}

float *pick_phase_logits(struct pick_phase *p)
{
	return p->device ? p->device : p->host;
}

bool pick_phase_device(const struct pick_phase *p)
{
	return p->device;
}

static void on_host(struct pick_phase *p, int n, const struct pick *what, struct picked *out)
{
	backend_sync(p->b);
	for (int i = 0; i < n; i++)
		pick_token(p->picker, p->host + (size_t)i * (size_t)p->vocab, &what[i], &out[i]);
}

void pick_phase_wait(struct pick_phase *p)
{
	if (p->n_started)
		backend_picked(p->b, p->n_started, p->out);
	p->n_started = 0;
}

static void pick_left(struct pick_phase *p, int row, const struct pick *what, struct picked *out)
{
	size_t bytes = (size_t)p->vocab * sizeof *p->host;

	pick_phase_wait(p);
	backend_download(p->b, p->host, (const char *)p->device + (size_t)row * bytes, bytes);
	pick_token(p->picker, p->host, what, out);
}

void pick_phase_start(struct pick_phase *p, int first, int n, const struct pick *what, struct picked *out)
{
	REQUIRE(n <= p->rows);
	pick_phase_wait(p);
	if (!p->device) {
		on_host(p, n, what, out);
		return;
	}
	p->host_drew = first && p->host_drew;
	backend_pick(p->b, first, n, what, p->left);
	p->out = out, p->n_started = n;
	for (int i = 0; i < n; i++) {
		if (!p->left[i])
			continue;
		p->host_drew |= what[i].given < 0;
		pick_left(p, i, &what[i], &out[i]);
	}
}

bool pick_phase_ahead(const struct pick_phase *p)
{
	return p->device && p->b->drawn && !p->host_drew;
}
