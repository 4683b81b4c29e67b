#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

static void set_number(json_t *j, const char *name, uint64_t value)
{
	json_object_set_new(j, name, json_integer((json_int_t)value));
}

static json_t *ranks_json(const struct xv_status *s)
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

static void set_sizes(json_t *j, const struct xv_status *s)
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

static json_t *server_json(const struct gateway_daemon *d)
{
	const struct xv_status *s = gateway_daemon_status(d);
	json_t *j = json_pack("{s:s, s:s}", "id", gateway_daemon_name(d), "state", gateway_daemon_state_name(d));

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

void api_server_info(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	json_t *list = json_array();

	for (int i = 0; i < all->n; i++)
		json_array_append_new(list, server_json(&all->daemon[i]));
	http_answer_json(x, 200, json_pack("{s:o}", "models", list));
}
