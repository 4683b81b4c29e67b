/* status.c - `xverse status`: a table, also of a start that goes on. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rpc/cli/cli.h"

enum { LEFT = 17 }; /* columns of the names in the table of status */

static double gib(uint64_t bytes)
{
	return (double)bytes / (1 << 30);
}

/* "5.05 million", "12.82 billion". */
static const char *amount(uint64_t n, char out[32])
{
	if (n >= 1000000000)
		snprintf(out, 32, "%.2f billion", (double)n / 1e9);
	else
		snprintf(out, 32, "%.2f million", (double)n / 1e6);
	return out;
}

static void print_rank(const struct xv_rank_status *r)
{
	char name[24];

	snprintf(name, sizeof name, "rank %u", r->rank);
	cli_row(name, LEFT, "pid %" PRId64 ", %.3f GiB of weights, %.3f KV cache, %.3f workspace, %.3f read", r->pid,
		gib(r->weight_bytes), gib(r->kv_bytes), gib(r->work_bytes), gib(r->file_bytes));
}

/* What is known of a model once it is loaded. */
static void print_model(const struct xv_status *s)
{
	char n[32];

	cli_row("model", LEFT, "%s (%s, %s parameters)", s->model, s->architecture, amount(s->parameters, n));
	if (s->experts)
		cli_row("experts", LEFT, "%u, a token takes %u: %s parameters", s->experts, s->experts_per_token,
			amount(s->active_parameters, n));
	cli_row("numerics", LEFT, "%s, fingerprint %s", s->numerics_class, s->fingerprint);
	cli_row("runs on", LEFT, "%u rank%s x %u thread%s, %s %s", s->ranks, s->ranks == 1 ? "" : "s", s->threads,
		s->threads == 1 ? "" : "s", s->device, s->isa);
	if (*s->nodes)
		cli_row("nodes", LEFT, "%s", s->nodes);
	if (*s->prompt_attention)
		cli_row("prompts", LEFT, "attention by %s", s->prompt_attention);
	if (*s->kernel_overlap)
		cli_row("overlap", LEFT, "of kernels %s", s->kernel_overlap);
	if (*s->gpu_sums)
		cli_row("sums", LEFT, "%s", s->gpu_sums);
	if (*s->gpu_links)
		cli_row("GPU links", LEFT, "%s", s->gpu_links);
	cli_row("calls", LEFT, "%u running, %u waiting (%" PRIu64 " tokens), step %" PRId64, s->running, s->waiting,
		s->waiting_tokens, s->step);
	cli_row("KV cache", LEFT, "%u of %u blocks of %u tokens held, %" PRIu64 " pre-emptions", s->kv_blocks_held,
		s->kv_blocks, s->block_size, s->preemptions);
	if (s->limits)
		cli_row("by user", LEFT, "%u entries of --limits, which refused %" PRIu64 " calls", s->limits,
			s->limits_refused);
	cli_row("limits", LEFT, "%u tokens a sequence, %u sequences, %u tokens a step", s->max_model_len,
		s->max_num_seqs, s->max_num_batched_tokens);
	cli_row("tokens", LEFT, "%" PRIu64 " of prompts (%" PRIu64 " cached), %" PRIu64 " generated", s->prompt_tokens,
		s->cached_tokens, s->output_tokens);
	if (s->max_loras)
		cli_row("adapters", LEFT, "%u slot%s for ranks up to %u", s->max_loras, s->max_loras == 1 ? "" : "s",
			s->max_lora_rank);
	for (int i = 0; i < s->n_adapter; i++)
		print_adapter(&s->adapter[i], LEFT);
	cli_row("tokenizer", LEFT, "%s, vocabulary %u", *s->tokenizer ? s->tokenizer : "none", s->vocab);
}

/* Before that: what the start does. */
static void print_start(const struct xv_status *s)
{
	char line[160];

	cli_row("model", LEFT, "%s", s->model);
	cli_row("runs on", LEFT, "%u rank%s, %s", s->ranks, s->ranks == 1 ? "" : "s", s->device);
	loading_line(line, sizeof line, s, !strcmp(s->phase, "weights") ? (double)s->load_bytes_per_s : 0);
	cli_row("start", LEFT, "%s", line);
}

static void print_status(const struct xv_status *s)
{
	cli_row("state", LEFT, "%s", state_name(s->state));
	if (s->n_rank)
		print_model(s);
	else
		print_start(s);
	cli_row("version", LEFT, "%s, up %.0f s", s->version, (double)s->uptime_ns / 1e9);
	for (int i = 0; i < s->n_rank; i++)
		print_rank(&s->rank[i]);
}

int run_status(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	struct why why;
	int err = cli_ask(c, &r, &reply, &why);

	if (err)
		return cli_give_up(err, &why);
	if (a->json)
		json_print(json_of_status(&reply.status));
	else
		print_status(&reply.status);
	return 0;
}
