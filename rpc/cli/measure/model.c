#include "rpc/cli/measure/model.h"

#include <stdlib.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/receipt.h"

static int take_adapter(struct measure_model *m, const struct xv_status *s, const char *name, struct why *why)
{
	const struct xv_adapter *a = eval_adapter_find(s, name, why);

	if (!a)
		return ERR_INVALID;
	m->adapter = xstrdup(name);
	m->adapter_fingerprint = xstrdup(a->fingerprint);
	return 0;
}

int measure_model_ask(struct measure_model *m, struct xv_client *c, const char *adapter, struct why *why)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	const struct xv_status *s = &reply.status;
	int err = cli_ask(c, &r, &reply, why);

	*m = (struct measure_model){.name = NULL};
	if (err)
		return err;
	*m = (struct measure_model){.name = xstrdup(s->model),
				    .fingerprint = xstrdup(s->fingerprint),
				    .numerics_class = xstrdup(s->numerics_class),
				    .device = xstrdup(s->device),
				    .version = xstrdup(s->version),
				    .max_model_len = (int)s->max_model_len,
				    .vocab = (int)s->vocab};
	for (int i = 0; i < s->n_rank; i++) {
		m->weight_bytes += s->rank[i].weight_bytes;
		m->kv_bytes += s->rank[i].kv_bytes;
	}
	return adapter ? take_adapter(m, s, adapter, why) : 0;
}

void measure_model_finish(struct measure_model *m)
{
	free(m->name);
	free(m->fingerprint);
	free(m->numerics_class);
	free(m->device);
	free(m->version);
	free(m->adapter);
	free(m->adapter_fingerprint);
	*m = (struct measure_model){.name = NULL};
}

void measure_model_put(json_t *j, const struct measure_model *m)
{
	json_object_set_new(j, "model", json_string(m->name));
	json_object_set_new(j, "fingerprint", json_string(m->fingerprint));
	json_object_set_new(j, "numerics_class", json_string(m->numerics_class));
	if (m->adapter) {
		json_object_set_new(j, "adapter", json_string(m->adapter));
		json_object_set_new(j, "adapter_fingerprint", json_string(m->adapter_fingerprint));
	}
}

void measure_ppl_put(json_t *j, const struct measure_ppl *p)
{
	json_object_set_new(j, "tokens", json_integer((json_int_t)p->tokens));
	json_object_set_new(j, "bytes", json_integer((json_int_t)p->bytes));
	json_object_set_new(j, "nll", json_real(p->nll));
	json_object_set_new(j, "nll_error", json_real(p->error));
	json_object_set_new(j, "perplexity", json_real(p->perplexity));
	json_object_set_new(j, "bits_per_byte", json_real(p->bits_per_byte));
	json_object_set_new(j, "bits_per_token", json_real(p->bits_per_token));
}

int measure_window_set(int *window, int *stride, const struct measure_args *a, const struct measure_model *m,
		       struct why *why)
{
	enum { WINDOW = 2048 };
	const struct measure_args *given = a;

	*window = given->window ? (int)given->window : min_int(WINDOW, m->max_model_len);
	*stride = given->stride ? (int)given->stride : max_int(1, *window / 2);
	if (*window > m->max_model_len)
		return fail(why, ERR_INVALID, "--window %d: the server takes %d tokens", *window, m->max_model_len);
	if (*window < 2)
		return fail(why, ERR_INVALID, "--window %d: a token and one before it are the least", *window);
	if (*stride >= *window)
		return fail(why, ERR_INVALID, "--stride %d must be below the window of %d: tokens would be left out",
			    *stride, *window);
	return 0;
}

int measure_code(int err, const struct why *why)
{
	cli_say("xverse: eval: %s\n", why->text);
	return eval_exit_code(err);
}
