/* info.c - the endpoints that tell what is there; answered from the last Status. */
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/gateway.h"

static const char *const state_names[] = {
	[MODEL_UNREACHABLE] = "unreachable", [MODEL_SILENT] = "silent",
	[MODEL_LOADING] = "loading",         [MODEL_READY] = "ready",
	[MODEL_DRAINING] = "draining",
};

static void unavailable(struct exchange *x, const struct model *m)
{
	static const char *const texts[] = {[MODEL_UNREACHABLE] = "The daemon cannot be reached",
					    [MODEL_SILENT] = "The daemon does not answer",
					    [MODEL_LOADING] = "Loading model",
					    [MODEL_READY] = "Ready",
					    [MODEL_DRAINING] = "Draining"};

	answer_error(x, 503, state_names[m->state], NULL, "%s", texts[m->state]);
}

static void fine(struct exchange *x)
{
	answer_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

/* Alive: the work goes on, though maybe not for new requests. */
void get_health(struct exchange *x)
{
	for (int i = 0; i < x->g->n_models; i++)
		if (x->g->models[i].state >= MODEL_READY) {
			fine(x);
			return;
		}
	unavailable(x, &x->g->models[0]);
}

/* A request would be taken, whatever model it names. */
void get_ready(struct exchange *x)
{
	for (int i = 0; i < x->g->n_models; i++)
		if (x->g->models[i].state != MODEL_READY) {
			unavailable(x, &x->g->models[i]);
			return;
		}
	fine(x);
}

static json_t *model_json(const struct model *m)
{
	const struct rpc_status *s = model_status(m);
	json_t *j = json_pack("{s:s, s:s, s:I, s:s}", "id", model_name(m), "object", "model", "created",
			      (json_int_t)m->created, "owned_by", "xversed");

	if (s && s->max_model_len)
		json_object_set_new(j, "max_model_len", json_integer(s->max_model_len));
	return j;
}

void get_models(struct exchange *x)
{
	json_t *list = json_array();

	for (int i = 0; i < x->g->n_models; i++)
		json_array_append_new(list, model_json(&x->g->models[i]));
	answer_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

void get_model(struct exchange *x)
{
	if (!*x->tail) {
		get_models(x);
		return;
	}
	for (int i = 0; i < x->g->n_models; i++)
		if (!strcmp(model_name(&x->g->models[i]), x->tail)) {
			answer_json(x, 200, model_json(&x->g->models[i]));
			return;
		}
	answer_error(x, 404, "model_not_found", NULL, "there is no model %.100s here", x->tail);
}

void get_version(struct exchange *x)
{
	json_t *j = json_pack("{s:s, s:s}", "version", XV_VERSION, "commit", XV_COMMIT);
	json_t *daemons = json_object();

	for (int i = 0; i < x->g->n_models; i++) {
		const struct rpc_status *s = model_status(&x->g->models[i]);
		json_object_set_new(daemons, model_name(&x->g->models[i]), s ? json_string(s->version) : json_null());
	}
	json_object_set_new(j, "daemons", daemons);
	answer_json(x, 200, j);
}

static void set_number(json_t *j, const char *name, uint64_t value)
{
	json_object_set_new(j, name, json_integer((json_int_t)value));
}

static json_t *ranks_json(const struct rpc_status *s)
{
	json_t *list = json_array();

	for (int i = 0; i < s->n_rank; i++) {
		json_t *r = json_object();
		set_number(r, "rank", s->rank[i].rank);
		set_number(r, "weight_bytes", s->rank[i].weight_bytes);
		set_number(r, "kv_bytes", s->rank[i].kv_bytes);
		set_number(r, "work_bytes", s->rank[i].work_bytes);
		set_number(r, "file_bytes", s->rank[i].file_bytes);
		json_array_append_new(list, r);
	}
	return list;
}

static void set_sizes(json_t *j, const struct rpc_status *s)
{
	set_number(j, "parameters", s->parameters);
	set_number(j, "vocab_size", s->vocab);
	set_number(j, "ranks", s->ranks);
	set_number(j, "threads_per_rank", s->threads);
	set_number(j, "max_model_len", s->max_model_len);
	set_number(j, "max_num_seqs", s->max_num_seqs);
	set_number(j, "max_num_batched_tokens", s->max_num_batched_tokens);
	set_number(j, "kv_blocks", s->kv_blocks);
	set_number(j, "kv_blocks_held", s->kv_blocks_held);
	set_number(j, "block_size", s->block_size);
	set_number(j, "running", s->running);
	set_number(j, "waiting", s->waiting);
	set_number(j, "steps", (uint64_t)s->step);
	set_number(j, "load_bytes", s->load_bytes);
	set_number(j, "load_total", s->load_total);
	set_number(j, "uptime_s", s->uptime_ns / 1000000000u);
}

static json_t *server_json(const struct model *m)
{
	const struct rpc_status *s = model_status(m);
	json_t *j = json_pack("{s:s, s:s}", "id", model_name(m), "state", state_names[m->state]);

	if (!s)
		return j;
	json_object_set_new(j, "architecture", json_string(s->architecture));
	json_object_set_new(j, "fingerprint", json_string(s->fingerprint));
	json_object_set_new(j, "numerics_class", json_string(s->numerics_class));
	json_object_set_new(j, "tokenizer", json_string(s->tokenizer));
	json_object_set_new(j, "device", json_string(s->device));
	json_object_set_new(j, "isa", json_string(s->isa));
	json_object_set_new(j, "prompt_attention", json_string(s->prompt_attention));
	json_object_set_new(j, "kernel_overlap", json_string(s->kernel_overlap));
	json_object_set_new(j, "version", json_string(s->version));
	set_sizes(j, s);
	json_object_set_new(j, "rank", ranks_json(s));
	return j;
}

void get_server_info(struct exchange *x)
{
	json_t *list = json_array();

	for (int i = 0; i < x->g->n_models; i++)
		json_array_append_new(list, server_json(&x->g->models[i]));
	answer_json(x, 200, json_pack("{s:o}", "models", list));
}
