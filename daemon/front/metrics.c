#include "daemon/front/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/front/inside.h"
#include "parallel/board.h"
#include "parallel/trunk.h"
#include "parallel/world.h"

static const double latency_bounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
					1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
static const double token_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
				      0.3,   0.4,    0.5,   0.75, 1,     2.5,  5,     7.5, 10,   20};
static const double call_bounds[] = {0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,   1.5, 2,   2.5,  5,
				     10,   15,   20,  30,  60,  120, 240, 480, 960, 1920, 7680};

/* clang-format off */
#define BOUNDS(b)                                          \
	{                                                  \
		.bound = (b), .n = sizeof(b) / sizeof *(b) \
	}
/* clang-format on */

void front_metrics_init(struct front_metrics *m)
{
	const struct front_histogram call = BOUNDS(call_bounds);

	*m = (struct front_metrics){.first_token = BOUNDS(latency_bounds), .inter_token = BOUNDS(token_bounds)};
	m->e2e = m->queue = m->prefill = m->decode = call;
}

void front_histogram_add(struct front_histogram *h, double seconds, uint64_t times)
{
	int i = 0;

	while (i < h->n && seconds > h->bound[i])
		i++;
	h->count[i] += times;
	h->sum += seconds * (double)times;
}

/* The text being written; every sample carries the model's name. */
struct page {
	FILE *f;
	const char *model; /* escaped */
};

/* A label's value: backslash, quote and line end escaped. */
static char *escape(const char *text)
{
	char *out = xalloc(2 * strlen(text) + 1, 1), *to = out;

	for (; *text; text++) {
		if (*text == '\\' || *text == '"' || *text == '\n')
			*to++ = '\\';
		*to++ = *text == '\n' ? 'n' : *text;
	}
	return out;
}

static void head(const struct page *p, const char *name, const char *type, const char *help)
{
	fprintf(p->f, "# HELP xverse_%s %s\n# TYPE xverse_%s %s\n", name, help, name, type);
}

static void sample(const struct page *p, const char *name, const char *labels, double value)
{
	fprintf(p->f, "xverse_%s{model_name=\"%s\"%s%s} %.15g\n", name, p->model, *labels ? "," : "", labels, value);
}

static void one(const struct page *p, const char *name, const char *type, const char *help, double value)
{
	head(p, name, type, help);
	sample(p, name, "", value);
}

static void put_histogram(const struct page *p, const char *name, const char *help, const struct front_histogram *h)
{
	char full[96], label[40];
	uint64_t below = 0;

	head(p, name, "histogram", help);
	snprintf(full, sizeof full, "%s_bucket", name);
	for (int i = 0; i <= h->n; i++) {
		below += h->count[i];
		if (i < h->n)
			snprintf(label, sizeof label, "le=\"%g\"", h->bound[i]);
		else
			snprintf(label, sizeof label, "le=\"+Inf\"");
		sample(p, full, label, (double)below);
	}
	snprintf(full, sizeof full, "%s_sum", name);
	sample(p, full, "", h->sum);
	snprintf(full, sizeof full, "%s_count", name);
	sample(p, full, "", (double)below);
}

static void put_numbers(const struct page *p, const struct front *f)
{
	struct xv_status status = {0}, *s = &status;

	front_fill_counts(f, s);
#define SHARED(name, type, value, help) one(p, #name, #type, help, (double)(value));
#define DAEMON(name, type, value, help) one(p, #name, #type, help, (double)(value));
#include "proto/metrics.def"
}

/* By what was used up: shares of accounts, and of users of the socket. */
static void put_refused(const struct page *p, const struct front *f)
{
	const struct rpc_refused *r = rpc_refused(f->server);
	const struct {
		const char *share;
		uint64_t n;
	} row[] = {{"calls", f->accounts.refused[SHARE_CALLS] + r->calls},
		   {"tokens", f->accounts.refused[SHARE_TOKENS]},
		   {"bytes", f->accounts.refused[SHARE_BYTES] + r->input},
		   {"connections", r->connections}};
	char label[40];

	head(p, "requests_refused_by_share_total", "counter",
	     "Requests and connections refused because a share or the total was used up.");
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		snprintf(label, sizeof label, "share=\"%s\"", row[i].share);
		sample(p, "requests_refused_by_share_total", label, (double)row[i].n);
	}
}

/* k: calls in the batch, calls that wait, tokens that are left of this minute. */
static void put_held(const struct page *p, const struct front *f, int k)
{
	static const char *const names[] = {"limit_running", "limit_waiting", "limit_tokens_left"},
				 *const help[] = {"Calls of an entry of --limits in the batch.",
						  "Calls of an entry of --limits that wait.",
						  "Tokens that an entry of --limits may still spend, of a minute's."},
				 *const kinds[] = {"default", "user", "group", "key"};

	head(p, names[k], "gauge", help[k]);
	for (int i = 0; i < QUOTA_BUCKETS; i++)
		for (const struct quota *q = f->quotas.bucket[i]; q; q = q->next) {
			char *name = q->limit ? escape(q->limit->name) : NULL, label[2 * RPC_MAX_ASKER_BYTES + 64];
			double v = k == 0 ? q->running : k == 1 ? q->waiting : q->tokens;

			if (name && q->kind != LIMIT_DEFAULT && (k < 2 || q->limit->tokens > 0)) {
				snprintf(label, sizeof label, "kind=\"%s\",name=\"%.256s\"", kinds[q->kind], name);
				sample(p, names[k], label, v);
			}
			free(name);
		}
}

/* What the file of --limits names; the default's accounts are not listed. */
static void put_quotas(const struct page *p, const struct front *f)
{
	static const char *const reasons[] = {"max-waiting", "tokens-per-minute", "adapters", "models"};
	char label[64];

	if (!f->opt->limits)
		return;
	head(p, "limit_refused_total", "counter", "Calls refused by --limits, by what the limit is of.");
	for (int i = 0; i < QUOTA_REFUSALS; i++) {
		snprintf(label, sizeof label, "limit=\"%s\"", reasons[i]);
		sample(p, "limit_refused_total", label, (double)f->quotas.refused[i]);
	}
	for (int k = 0; k < 3; k++)
		put_held(p, f, k);
}

static void put_ends(const struct page *p, const struct front_metrics *m)
{
	static const char *const reasons[] = {[XV_FINISH_STOP] = "stop",
					      [XV_FINISH_LENGTH] = "length",
					      [XV_FINISH_CANCELLED] = "abort",
					      [XV_FINISH_DEADLINE] = "deadline",
					      [XV_FINISH_SCORED] = "scored"};
	char label[64];

	head(p, "request_success_total", "counter", "Calls that ended, by reason.");
	for (int i = XV_FINISH_STOP; i <= XV_FINISH_SCORED; i++) {
		snprintf(label, sizeof label, "finished_reason=\"%s\"", reasons[i]);
		sample(p, "request_success_total", label, (double)m->finished[i]);
	}
	sample(p, "request_success_total", "finished_reason=\"error\"", (double)m->failed);
	head(p, "errors_total", "counter", "Errors sent to clients, by code.");
	for (int i = 1; i < METRICS_CODES; i++) {
		const char *name = err_name(-i);
		int n = snprintf(label, sizeof label, "code=\"%s\"", strncmp(name, "ERR_", 4) ? name : name + 4);
		for (int k = 6; k < n; k++)
			label[k] = (char)tolower(label[k]);
		sample(p, "errors_total", label, (double)m->errors[i]);
	}
}

static void put_times(const struct page *p, const struct front_metrics *m)
{
	put_histogram(p, "time_to_first_token_seconds", "Time from a call's arrival to its first token.",
		      &m->first_token);
	put_histogram(p, "inter_token_latency_seconds", "Time between tokens of a call.", &m->inter_token);
	put_histogram(p, "e2e_request_latency_seconds", "Time from a call's arrival to its end.", &m->e2e);
	put_histogram(p, "request_queue_time_seconds", "Time of a call in the queue.", &m->queue);
	put_histogram(p, "request_prefill_time_seconds", "Time from a call's admission to its first token.",
		      &m->prefill);
	put_histogram(p, "request_decode_time_seconds", "Time from a call's first token to its last.", &m->decode);
}

static void put_ranks(const struct page *p, const struct front *f)
{
	char label[64];

	head(p, "rank_memory_bytes", "gauge", "Memory that a rank allocated.");
	for (int r = 0; r < f->model->ranks; r++) {
		const struct rank_report *n = &f->model->report[r];
		const struct {
			const char *kind;
			uint64_t bytes;
		} part[] = {{"weights", n->weight_bytes}, {"kv_cache", n->kv_bytes}, {"workspace", n->work_bytes}};
		for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
			snprintf(label, sizeof label, "rank=\"%d\",kind=\"%s\"", r, part[i].kind);
			sample(p, "rank_memory_bytes", label, (double)part[i].bytes);
		}
	}
}

static void put_nodes(const struct page *p, const struct world *w)
{
	char label[128];

	if (w->nodes.n < 2)
		return;
	head(p, "node_ranks", "gauge", "Ranks of a node.");
	for (int i = 0; i < w->nodes.n; i++) {
		snprintf(label, sizeof label, "node=\"%d\",host=\"%s\"", i, w->nodes.node[i].name);
		sample(p, "node_ranks", label, w->nodes.node[i].ranks);
	}
	head(p, "node_link_bytes_total", "counter", "Bytes that rank 0's link to a node carried.");
	for (int i = 1; i < w->nodes.n; i++)
		for (int sent = 0; sent < 2; sent++) {
			snprintf(label, sizeof label, "node=\"%d\",host=\"%s\",direction=\"%s\"", i,
				 w->nodes.node[i].name, sent ? "sent" : "received");
			sample(p, "node_link_bytes_total", label, (double)trunk_bytes(w->trunk, i, sent));
		}
	head(p, "node_link_retransmits_total", "counter", "Packets that rank 0's machine sent again to a node.");
	for (int i = 1; i < w->nodes.n; i++) {
		snprintf(label, sizeof label, "node=\"%d\",host=\"%s\"", i, w->nodes.node[i].name);
		sample(p, "node_link_retransmits_total", label,
		       (double)trunk_data_packets(w->trunk, i).again + trunk_beat_packets(w->trunk, i).again);
	}
	head(p, "node_heartbeat_age_seconds", "gauge", "Time since a node was heard; the job ends at 7 s.");
	for (int i = 1; i < w->nodes.n; i++) {
		snprintf(label, sizeof label, "node=\"%d\",host=\"%s\"", i, w->nodes.node[i].name);
		sample(p, "node_heartbeat_age_seconds", label, (double)board_node_age(w->board, i) * 1e-9);
	}
}

static void put_model(const struct page *p, const struct front *f)
{
	const struct front_model *m = f->model;
	char label[256];

	snprintf(label, sizeof label, "block_size=\"%d\",num_blocks=\"%d\",max_model_len=\"%d\",max_num_seqs=\"%d\"",
		 (int)f->opt->block_size, m->n_blocks, m->max_model_len, m->max_seqs);
	head(p, "cache_config_info", "gauge", "Always 1; the labels describe the KV cache.");
	sample(p, "cache_config_info", label, 1);
	put_ranks(p, f);
	put_nodes(p, m->world);
}

/* The caller frees it. */
static char *metrics_text(const struct front *f, size_t *len)
{
	char *text = NULL, *model = escape(f->opt->served_name);
	struct page p = {.f = open_memstream(&text, len), .model = model};

	if (!p.f)
		die("out of memory for the metrics");
	head(&p, "build_info", "gauge", "Always 1; the labels hold version and commit.");
	sample(&p, "build_info", "version=\"" XV_VERSION "\",commit=\"" XV_COMMIT "\"", 1);
	put_numbers(&p, f);
	put_refused(&p, f);
	put_quotas(&p, f);
	put_ends(&p, &f->metrics);
	put_times(&p, &f->metrics);
	if (f->ready)
		put_model(&p, f);
	fclose(p.f);
	free(model);
	return text;
}

void front_send_metrics(struct front *f, uint64_t call)
{
	struct xv_reply r = {.kind = XV_R_METRICS};
	char *text = metrics_text(f, &r.text.text_len);

	r.text.text = text;
	rpc_send(f->server, call, &r);
	free(text);
}
