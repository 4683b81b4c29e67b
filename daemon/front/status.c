#include "daemon/front/inside.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chat/chat.h"
#include "engine/sample/sampling.h"
#include "parallel/trunk.h"
#include "parallel/world.h"

enum { TOKEN_NAME = 128, RANKS = 64, OF_RANKS = RANKS * 96 /* a text of each */, OF_NODES = 32 * 256 };

static enum xv_state state_of(const struct front *f)
{
	if (f->draining)
		return XV_STATE_DRAINING;
	if (f->ready)
		return XV_STATE_READY;
	return atomic_load(&f->link->state) == LINK_STARTING ? XV_STATE_STARTING : XV_STATE_LOADING;
}

/* A phase that goes on is never complete, though rank 0 may have done its part. */
static void fill_phase(struct load_progress *p, struct xv_status *s)
{
	static const char *const names[LOAD_PHASES] = {"preparing", "memory", "weights", "packing",
						       "cache",     "graphs", "warm-up"};
	int phase = atomic_load(&p->phase);

	s->phase = names[phase];
	s->phase_total = phase == LOAD_WEIGHTS ? s->load_total : atomic_load(&p->of);
	s->phase_done = phase == LOAD_WEIGHTS ? s->load_bytes : atomic_load(&p->done);
	if (s->phase_done >= s->phase_total)
		s->phase_done = s->phase_total ? s->phase_total - 1 : 0;
}

static void fill_load(const struct front *f, struct xv_status *s)
{
	uint64_t ns = now_ns() - f->started_ns;

	s->load_bytes = atomic_load(&f->link->progress.bytes);
	s->load_total = atomic_load(&f->link->progress.total);
	if (ns && s->state == XV_STATE_LOADING)
		s->load_bytes_per_s = (uint64_t)((double)s->load_bytes * 1e9 / (double)ns);
	if (!f->ready)
		fill_phase(&f->link->progress, s);
}

/* The text that lies `at` bytes into each rank's report: once where all are equal, else rank by rank. */
static const char *of_ranks(const struct front *f, size_t at, char out[OF_RANKS])
{
	const char *first = (const char *)f->model->report + at;
	bool same = true;
	int len = 0;

	for (int r = 1; r < f->model->ranks; r++)
		same &= !strcmp(first, (const char *)&f->model->report[r] + at);
	for (int r = 0; !same && r < f->model->ranks; r++)
		len += snprintf(out + len, (size_t)(OF_RANKS - len), "%srank %d: %s", r ? "; " : "", r,
				(const char *)&f->model->report[r] + at);
	return same ? first : out;
}

/* "a: ranks 0 1; b: ranks 2 3, 1200 bytes sent, 3400 received", "" on one node. */
static const char *of_nodes(const struct world *w, char out[OF_NODES])
{
	char ranks[160];
	size_t at = 0;

	*out = 0;
	for (int i = 0; w->nodes.n > 1 && i < w->nodes.n && at < OF_NODES; i++) {
		nodes_ranks_text(&w->nodes, w->size, i, ranks, sizeof ranks);
		at += (size_t)snprintf(out + at, OF_NODES - at, "%s%s: %s", i ? "; " : "", w->nodes.node[i].name,
				       ranks);
		if (i && at < OF_NODES)
			at += (size_t)snprintf(out + at, OF_NODES - at, ", %ju bytes sent, %ju received",
					       (uintmax_t)trunk_bytes(w->trunk, i, true),
					       (uintmax_t)trunk_bytes(w->trunk, i, false));
	}
	return out;
}

/* What is constant once the model is loaded. */
static void fill_model(const struct front *f, struct xv_status *s, struct xv_rank_status *ranks, char text[2][OF_RANKS])
{
	const struct front_model *m = f->model;

	s->fingerprint = f->fingerprint;
	s->numerics_class = m->numerics_class;
	s->architecture = m->architecture;
	s->parameters = m->parameters;
	s->active_parameters = m->active_parameters;
	s->experts = (uint32_t)m->experts;
	s->experts_per_token = (uint32_t)m->experts_per_token;
	s->vocab = (uint32_t)m->vocab;
	s->block_size = (uint32_t)f->opt->block_size;
	s->max_model_len = (uint32_t)m->max_model_len;
	s->max_num_seqs = (uint32_t)m->max_seqs;
	s->max_num_batched_tokens = (uint32_t)m->max_tokens;
	s->threads = (uint32_t)m->threads;
	s->device = m->device;
	s->isa = m->isa;
	s->prompt_attention = of_ranks(f, offsetof(struct rank_report, prompt_attention), text[0]);
	s->kernel_overlap = of_ranks(f, offsetof(struct rank_report, kernel_overlap), text[1]);
	s->gpu_sums = m->gpu_sums;
	s->gpu_links = m->gpu_links;
	for (int r = 0; r < m->ranks; r++)
		ranks[r] = (struct xv_rank_status){.rank = (uint32_t)r,
						   .node = f->model->report[r].node,
						   .pid = f->model->report[r].pid,
						   .weight_bytes = f->model->report[r].weight_bytes,
						   .kv_bytes = f->model->report[r].kv_bytes,
						   .work_bytes = f->model->report[r].work_bytes,
						   .file_bytes = f->model->report[r].file_bytes,
						   .lora_bytes = f->model->report[r].lora_bytes};
	s->rank = ranks;
	s->n_rank = m->ranks;
}

void front_fill_counts(const struct front *f, struct xv_status *s)
{
	struct link *l = f->link;

	s->step = atomic_load(&l->step);
	s->running = (uint32_t)atomic_load(&l->running);
	s->waiting = (uint32_t)(atomic_load(&l->waiting) + f->n_held);
	s->limits = (uint32_t)f->quotas.limits.n;
	s->limits_refused = 0;
	for (int i = 0; i < QUOTA_REFUSALS; i++)
		s->limits_refused += f->quotas.refused[i];
	s->waiting_tokens = (uint64_t)atomic_load(&l->waiting_tokens);
	s->kv_blocks = f->ready ? (uint32_t)f->model->n_blocks : 0;
	s->kv_blocks_held = (uint32_t)atomic_load(&l->kv_held);
	s->prompt_tokens = atomic_load(&l->prompt_tokens);
	s->output_tokens = atomic_load(&l->output_tokens);
	s->cached_tokens = atomic_load(&l->cached_tokens);
	s->preemptions = atomic_load(&l->preemptions);
}

/* What a call gets for each number that its request leaves unset. */
static void fill_defaults(const struct front *f, struct xv_sampling *out)
{
	const struct sampling plain = sampling_default();

	*out = f->defaults;
#define FILL(NAME, field) \
	if (!front_has(out, XV_##NAME)) \
		out->field = plain.field; \
	out->has |= 1u << XV_##NAME;
#define REAL(NAME, field, ...) FILL(NAME, field)
#include "proto/sampling.def"
	FILL(TOP_K, top_k)
#undef FILL
}

/* The text of a token, "" for none. */
static void name_token(const struct front *f, int id, char out[TOKEN_NAME])
{
	size_t len = f->tokenizer && id >= 0 ? tokenizer_token_text(f->tokenizer, id, out, TOKEN_NAME - 1) : 0;

	out[len] = 0;
}

void front_send_status(struct front *f, uint64_t call)
{
	struct xv_rank_status ranks[RANKS];
	struct xv_adapter adapters[OPTIONS_MAX_LORAS];
	char bos[TOKEN_NAME], eos[TOKEN_NAME], text[2][OF_RANKS], nodes[OF_NODES];
	struct xv_reply r = {.kind = XV_R_STATUS};
	struct xv_status *s = &r.status;

	name_token(f, f->tokenizer ? tokenizer_bos(f->tokenizer) : -1, bos);
	name_token(f, f->tokenizer ? tokenizer_eos(f->tokenizer) : -1, eos);
	*s = (struct xv_status){
#define TEXT(field, ...) .field = "",
#include "proto/status.def"
	};
	s->state = state_of(f);
	s->model = f->opt->served_name;
	s->version = XV_VERSION;
	s->device = f->model->device;
	s->tokenizer = f->tokenizer ? tokenizer_kind(f->tokenizer) : "";
	s->chat = f->chat ? chat_name(f->chat) : "";
	s->tool_parser = f->chat && f->forms.calls ? f->forms.calls->name : "";
	s->reasoning_parser = f->chat && f->forms.reasoning ? f->forms.reasoning->name : "";
	s->no_chat = f->chat ? "" : f->no_chat;
	fill_defaults(f, &s->defaults);
	s->bos_token = bos;
	s->eos_token = eos;
	s->ranks = (uint32_t)f->model->ranks;
	s->uptime_ns = now_ns() - f->started_ns;
	fill_load(f, s);
	front_fill_counts(f, s);
	if (f->ready) {
		fill_model(f, s, ranks, text);
		s->nodes = of_nodes(f->model->world, nodes);
	}
	front_lora_list(f, s, adapters);
	rpc_send(f->server, call, &r);
}
