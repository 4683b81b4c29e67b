/* The bytes of a connection, all the way: server, codec, front, tokenizer, chat, scheduler, sampling, and the replies
 * back. Only the forward pass is left out: logits are noise, and now and then a row is not finite. */
#include <math.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/front/inside.h"
#include "engine/chat/chat.h"
#include "parallel/board.h"
#include "parallel/world.h"
#include "rpc/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/numbers.h"

enum { CONTEXT = 96, SEQS = 4, TOKENS = 32, BLOCK = 32, ROWS = 4, KINDS = 61 };

static struct front f;
static struct link l;
static struct rank_report ranks[1];
static const struct world alone = {.size = 1, .local_size = 1, .nodes.n = 1};
static const struct step_limits limits = {.max_seqs = SEQS, .max_tokens = TOKENS, .max_blocks = 64, .rows = ROWS};
static struct front_model model = {.max_seqs = SEQS,
				   .ranks = 1,
				   .architecture = "architecture",
				   .numerics_class = "class",
				   .device = "device",
				   .isa = "isa",
				   .n_blocks = 8,
				   .max_model_len = CONTEXT,
				   .max_tokens = TOKENS,
				   .threads = 1,
				   .report = ranks};
static struct options opt;
static struct blocks *blocks;
static struct sched *sched;
static struct step step;
static struct sampler *sampler;
static struct sampled sampled[TOKENS];
static float *noise, *row; /* (vocab + KINDS), (vocab) */
static char path[64];

static void trap(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s\n", why);
	__builtin_trap();
}

static void swallow(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static void open_engine(void)
{
	const struct sched_limits lim = {.step = limits,
					 .max_model_len = CONTEXT,
					 .max_waiting = 8,
					 .max_waiting_tokens = 1000,
					 .look_ahead = INT32_MAX,
					 .open_look_ahead = 8,
					 .vocab = model.vocab};
	uint32_t x = 1;

	blocks = blocks_create(8, BLOCK, true);
	sched = sched_create(&lim, blocks);
	step_init(&step, &limits);
	sampler = sampler_create(model.vocab);
	row = xalloc((size_t)model.vocab, sizeof *row);
	noise = xalloc((size_t)model.vocab + KINDS, sizeof *noise);
	for (int i = 0; i < model.vocab + KINDS; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (float)(x >> 8) * 0x1p-21f;
	}
}

static void open_server(void)
{
	struct rpc_handler h = {
		.ctx = &f, .request = front_request, .cancel = front_cancel, .queue_place = front_place};
	struct rpc_server_options how = {.path = path,
					 .listen_fd = -1,
					 .group = (gid_t)-1,
					 .version = "fuzz",
					 .served_model = "m",
					 .max_buffered = 1 << 20,
					 .max_calls = 16};
	struct why why = {""};

	snprintf(path, sizeof path, "/tmp/xv-fuzz-%d", (int)getpid());
	MUST(!rpc_server_open(&f.server, &how, &h, &why));
}

static void close_server(void)
{
	rpc_server_close(f.server, 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char name[] = "m";
	static const char dir[] = "tests/fuzz/model"; /* a word a byte; from the top of the tree */
	struct why why = {""};

	(void)argc, (void)argv;
	on_die(trap, NULL);
	log_sink(swallow, NULL);
	opt = (struct options){.served_name = name,
			       .block_size = BLOCK,
			       .max_queued_reqs = 4,
			       .max_queued_tokens = 1000,
			       .shutdown_timeout_s = 1};
	f = (struct front){.link = &l, .opt = &opt, .model = &model, .ready = true, .beat_fd = -1, .signal_fd = -1};
	if (tokenizer_open(&f.tokenizer, dir, &why) || chat_open(&f.chat, dir, "plain", f.tokenizer, &why))
		trap(NULL, why.text);
	model.vocab = tokenizer_vocab(f.tokenizer);
	model.world = &alone;
	snprintf(f.fingerprint, sizeof f.fingerprint, "print");
	f.board = board_join(xalloc(1, board_bytes(1)), 0, 1, getpid());
	front_metrics_init(&f.metrics);
	front_accounts_init(&f.accounts);
	front_accounts_limit(&f.accounts, SHARE_CALLS, 8);
	front_accounts_limit(&f.accounts, SHARE_TOKENS, opt.max_queued_tokens);
	front_accounts_limit(&f.accounts, SHARE_BYTES, 1 << 20);
	link_init(&l, SEQS);
	atomic_store(&l.state, LINK_READY);
	open_engine();
	open_server();
	atexit(close_server);
	return 0;
}

/* ---- the engine, between polls ---- */

static void report(const struct event *e, int refused, const char *text)
{
	struct link_report r = {.event = *e, .refused = refused};

	if (e->finish == FINISH_BROKEN)
		r.refused = ERR_INTERNAL, text = "NaN";
	snprintf(r.text, sizeof r.text, "%s", text);
	if (e->detail != UINT32_MAX && !r.refused) {
		r.n_details = e->n;
		memcpy(r.detail, sched_details(sched) + e->detail, (size_t)e->n * sizeof *r.detail);
	}
	front_report(&f, &r);
}

static void take_commands(void)
{
	struct link_command c;
	struct why why;

	while (mailbox_take(&l.commands, &c)) {
		struct event e = {.call = c.call, .detail = UINT32_MAX};
		if (c.kind == COMMAND_CANCEL)
			sched_cancel(sched, c.call, c.reason);
		if (c.kind != COMMAND_ADD)
			continue;
		int err = sched_add(sched, c.add, &why);
		atomic_fetch_add(&l.adds_taken, 1);
		if (err)
			report(&e, err, why.text);
	}
}

static void sample_row(const struct sample *what, struct sampled *out)
{
	unsigned kind = what->n_tokens ? (unsigned)(what->tokens[what->n_tokens - 1] * 31 + what->n_tokens) : 0;

	memcpy(row, noise + kind % KINDS, (size_t)model.vocab * sizeof *row);
	if (kind % 127 == 0)
		row[kind % (unsigned)model.vocab] = kind % 2 ? NAN : INFINITY;
	sample_token(sampler, row, what, out);
	MUST(out->id >= 0 && out->id < model.vocab && out->n_top <= SAMPLE_MAX_TOP && out->broken == (kind % 127 == 0));
}

static void send_events(void)
{
	struct event e;

	while (sched_events(sched, &e, 1))
		report(&e, 0, "");
}

static void run_engine(void)
{
	struct sched_stats stats;

	take_commands();
	send_events();
	while (sched_next(sched, &step)) {
		const struct sample *what = sched_samples(sched, &step);
		for (int i = 0; i < step.head->n_rows; i++)
			sample_row(&what[i], &sampled[i]);
		sched_done(sched, &step, sampled);
		send_events();
		take_commands();
		send_events();
	}
	sched_stats(sched, &stats);
	atomic_store(&l.waiting, stats.waiting);
	atomic_store(&l.waiting_tokens, stats.waiting_tokens);
}

/* ---- the client ---- */

static int connect_client(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(to.sun_path, path, strlen(path) + 1);
	MUST(fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof to));
	return fd;
}

/* What came is whole replies that can be read; false: nothing came. */
static bool read_replies(int fd)
{
	static uint8_t in[8 << 20];
	static size_t n;
	const uint8_t *payload;
	size_t size, at = 0;
	ssize_t got = recv(fd, in + n, sizeof in - n, 0);
	long taken;

	if (got <= 0) {
		n = 0;
		return false;
	}
	for (n += (size_t)got; (taken = frame_next(in + at, n - at, UINT32_MAX, &payload, &size)) > 0;
	     at += (size_t)taken) {
		struct xv_reply reply;
		struct why why = {""};
		MUST(!rpc_reply_decode(&reply, payload, size, &why) && reply.kind != XV_R_NONE);
		if (reply.kind == XV_R_ERROR)
			MUST(reply.error.code < 0 && *reply.error.text);
		rpc_reply_free(&reply);
	}
	MUST(taken == 0);
	memmove(in, in + at, n - at);
	n -= at;
	return true;
}

/* The helper threads' jobs, one after the other. */
static void run_jobs(void)
{
	for (int i = 0; i < 2; i++) {
		struct front_job **in = &f.helpers.helper[i].in, *job;

		while ((job = *in)) {
			*in = job->next;
			front_job_run(job, f.tokenizer);
			if (job->keep)
				front_tokenized(&f, job);
			else
				front_encoded(&f, job);
		}
	}
}

static void serve_all(int fd)
{
	for (int idle = 0; idle < 3;) {
		rpc_server_poll(f.server, 0);
		run_jobs();
		run_engine();
		front_retry_cancels(&f);
		front_expire(&f);
		idle = read_replies(fd) ? 0 : idle + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] = {4, 0x12, 2, 8, 1};
	bool own = size && data[0] == hello[0]; /* it brings a Hello of its own */
	int fd;

	size -= own, data += own;
	if (own && frame_is_http(data, size)) /* gets an answer that is no reply */
		return 0;
	fd = connect_client();
	if (!own)
		MUST(send(fd, hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello);
	MUST(!size || send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	serve_all(fd);
	MUST(rpc_open_calls(f.server) == 0);
	shutdown(fd, SHUT_WR);
	serve_all(fd);
	close(fd);
	for (int i = 0; i < 3 || rpc_connections(f.server); i++)
		rpc_server_poll(f.server, 0);
	run_engine();
	MUST(!front_open_calls(&f) && !f.waiting && !f.tokenizing && !f.cancels_due);
	sched_check_idle(sched);
	f.draining = false;
	return 0;
}
