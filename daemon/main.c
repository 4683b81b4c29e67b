/* xversed: one rank. Rank 0 also holds the socket. */
#include <gnu/libc-version.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rank/device.h"
#include "daemon/rank/plan.h"
#include "daemon/rank/files.h"
#include "daemon/front/front.h"
#include "daemon/rank/place.h"
#include "daemon/rank/serve.h"
#include "engine/checkpoint/inspect.h"
#include "engine/models/generation.h"
#include "parallel/board.h"
#include "rpc/server/handover.h"

struct daemon {
	struct options opt;
	struct world world;
	struct core_share cores;
	struct node node;
	struct link link;
	struct front front;
	struct node_report *ranks;
	uint64_t begin; /* ns */
};

static void print_version(void)
{
	char mpi[256];

	world_library(mpi, sizeof mpi);
	printf("xversed %s (commit %s)\n", XV_VERSION, XV_COMMIT);
	printf("protocol:   %d, order of sums %d\n", RPC_PROTOCOL, ORDER_VERSION);
	printf("compute:    %s on this machine\n", cpu_isa_name(cpu_isa_best()));
	printf("built:      %s by gcc %s, glibc %d.%d\n", XV_BUILD_TYPE, __VERSION__, __GLIBC__, __GLIBC_MINOR__);
	printf("runs with:  glibc %s, %s\n", gnu_get_libc_version(), mpi);
	printf("CUDA:       %s\n", plugin_worth_trying() ? "a driver is installed" : "no NVIDIA driver is installed");
}

static void default_socket(struct options *o)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (o->uds)
		return;
	if (dir && *dir) {
		o->uds = xprintf("%s/xversed.sock", dir);
		return;
	}
	mkdir("/run/xversed", 0755); /* for root; whoever may not is told by the bind */
	o->uds = xstrdup("/run/xversed/xversed.sock");
}

/* The last part of the model's path. */
static void name_model(struct daemon *d)
{
	char *path = xstrdup(d->opt.served_name ? d->opt.served_name : d->opt.model);
	size_t n = strlen(path);
	char *slash;

	while (n > 1 && path[n - 1] == '/')
		path[--n] = 0;
	slash = d->opt.served_name ? NULL : strrchr(path, '/');
	snprintf(d->front.model_name, sizeof d->front.model_name, "%s", slash && slash[1] ? slash + 1 : path);
	free(path);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* Files, config and what overrides them: the same number means the same model. */
static void take_fingerprint(struct daemon *d)
{
	const struct node *n = &d->node;
	const unsigned char *c = (const unsigned char *)&n->cfg;
	uint64_t h = n->files ? checkpoint_fingerprint(n->files) : mix(1, (uint64_t)d->opt.dummy_seed);

	for (size_t i = 0; i < offsetof(struct model_config, note); i++) /* what was noted is no property */
		h = mix(h, c[i]);
	h = mix(h, d->front.tokenizer ? tokenizer_fingerprint(d->front.tokenizer) : 0);
	d->node.fingerprint = h;
	snprintf(d->front.fingerprint, sizeof d->front.fingerprint, "%016llx", (unsigned long long)h);
}

/* A format asked for must be there; without the model's own one the server does all but Chat, and tells why not. */
static int open_chat(struct daemon *d, struct why *why)
{
	struct front *f = &d->front;
	struct why inner = {""};
	int err = chat_open(&f->chat, d->opt.model, d->opt.chat_template, f->tokenizer, &inner);

	if (err && d->opt.chat_template)
		return fail(why, err, "%.500s", inner.text);
	snprintf(f->no_chat, sizeof f->no_chat, "%s", inner.text);
	if (err && err != ERR_UNKNOWN)
		log_at(LOG_WARN, "%s", inner.text);
	if (!err)
		log_event(LOG_INFO, "chat", " format=\"%s\"", chat_name(f->chat));
	return 0;
}

/* Rank 0: a model without tokenizer files is served by ids. */
static int open_words(struct daemon *d, struct why *why)
{
	int err;

	if (d->world.rank)
		return 0;
	snprintf(d->front.no_chat, sizeof d->front.no_chat, "this model has no tokenizer");
	err = tokenizer_open(&d->front.tokenizer, d->opt.model, why);
	if (err == ERR_UNKNOWN) {
		log_at(LOG_WARN, "%s: prompts must come as token ids", why->text);
		err = 0;
	}
	if (!err && d->front.tokenizer && tokenizer_vocab(d->front.tokenizer) > d->node.cfg.vocab) {
		log_at(LOG_WARN,
		       "%s: the tokenizer has %d words, the model %d: ids from there on are refused, and no text becomes one",
		       d->opt.model, tokenizer_vocab(d->front.tokenizer), d->node.cfg.vocab);
		err = tokenizer_limit(d->front.tokenizer, d->node.cfg.vocab, why);
	}
	return !err && d->front.tokenizer ? open_chat(d, why) : err;
}

static int open_front(struct daemon *d, struct why *why)
{
	if (d->world.rank)
		return 0;
	default_socket(&d->opt);
	d->front.link = &d->link;
	d->front.opt = &d->opt;
	d->front.board = d->world.board;
	d->front.node = &d->node;
	d->front.starter = world_starter();
	link_init(&d->link, d->node.limits.max_seqs);
	atomic_store(&d->link.state, LINK_LOADING);
	return front_start(&d->front, why);
}

static void last_words(void *arg, const struct blame *what)
{
	struct daemon *d = arg;
	struct rpc_error e = {.code = ERR_LOST_RANK, .rank = what->rank, .step = what->step, .pid = what->pid};
	char text[300];

	blame_text(what, text, sizeof text);
	e.text = text;
	if (d->world.rank == 0)
		front_last_words(&d->front, &e);
}

/* The launcher watches rank 0 as the other ranks do. */
static void tell_alive(void *arg)
{
	const struct daemon *d = arg;

	handover_say(d->front.beat_fd, HANDOVER_ALIVE);
}

static void start_watch(struct daemon *d)
{
	struct watch_options how = {.watchdog_ns = d->opt.watchdog_timeout_s * 1000000000,
				    .last_words = last_words,
				    .beat = d->world.rank == 0 ? tell_alive : NULL,
				    .arg = d};

	board_watch(d->world.board, &how);
}

static void tell_ready(void *arg)
{
	const struct daemon *d = arg;
	const struct node *n = &d->node;

	log_event(LOG_INFO, "ready",
		  " seconds=%.2f model=\"%s\" ranks=%d threads=%d device=\"%s\" class=%s weights_gib=%.2f kv_gib=%.2f "
		  "kv_tokens=%d socket=\"%s\"",
		  (double)(now_ns() - d->begin) / 1e9, d->front.model_name, d->world.size, n->threads, device_name(n),
		  n->numerics_class, (double)n->report.weight_bytes / (1 << 30), (double)n->report.kv_bytes / (1 << 30),
		  n->n_blocks * (int)d->opt.block_size, d->opt.uds);
}

static void run(struct daemon *d)
{
	d->ranks = xalloc((size_t)d->world.size, sizeof *d->ranks);
	world_gather(&d->world, &d->node.report, sizeof d->node.report, d->ranks);
	d->front.ranks = d->ranks;
	if (d->world.rank) {
		log_file_on_hangup();
		follow(&d->node);
		return;
	}
	take_fingerprint(d);
	serve(&d->node, &d->link, tell_ready, d);
	front_join(&d->front);
	link_finish(&d->link);
}

static int start(struct daemon *d, struct why *why)
{
	struct generation_config g;
	int err = node_agree(&d->world, log_file_open(d->opt.log_file, why), why);

	if (err)
		return err;
	place_rank(&d->cores, &d->world, &d->opt);
	err = node_prepare(&d->node, &d->opt, &d->world, &d->cores, why);
	if (!err)
		err = open_words(d, why);
	if (!err && d->world.rank == 0 && (!d->opt.generation_config || strcmp(d->opt.generation_config, "none"))) {
		err = generation_config_read(&g, d->opt.model, why);
		if (!err)
			front_defaults(&d->front, &g);
	}
	err = node_agree(&d->world, err, why);
	if (err)
		return err;
	name_model(d);
	err = open_front(d, why);
	if (!err && d->world.rank == 0)
		err = pid_file_write(d->opt.pid_file,
				     why); /* after the socket: a second daemon leaves the first one's alone */
	err = node_agree(&d->world, err, why);
	if (err)
		return err;
	start_watch(d);
	return node_load(&d->node, &d->link.progress, why);
}

static int inspect(const char *path)
{
	struct why why = {""};
	int err = inspect_checkpoint(stdout, path, &why);

	if (err)
		fprintf(stderr, "xversed: %s\n", why.text);
	return err ? EXIT_INPUT : 0;
}

int main(int argc, char **argv)
{
	static struct daemon d;
	struct why why = {""};
	int err;

	stdio_open();
	heap_init();
	json_set_alloc_funcs(heap_malloc, heap_free); /* trees of what clients send are part of an effort */
	err = options_parse(&d.opt, argc, argv, &why);
	if (err) {
		fprintf(stderr, "xversed: %s\n", why.text);
		return EXIT_USAGE;
	}
	d.begin = now_ns();
	if (d.opt.help || d.opt.version) {
		d.opt.help ? options_help() : print_version();
		return 0;
	}
	if (d.opt.inspect)
		return inspect(d.opt.model);
	if (d.opt.dry_run)
		return dry_run(&d.opt);
	front_block_signals(); /* MPI starts threads of its own */
	world_init(&d.world, &argc, &argv);
	log_init(d.world.rank, (enum log_level)d.opt.log_level);
	err = start(&d, &why);
	if (err) {
		if (d.world.rank == 0) {
			if (err == ERR_LIMIT && d.node.cuda)
				dry_run_ranks(stderr, &d.opt, d.world.size);
			start_failed(why.text);
			front_start_failed(&d.front, why.text);
			pid_file_remove();
		}
		world_finish(&d.world);
		_exit(node_exit_code(err));
	}
	run(&d);
	pid_file_remove();
	node_finish(&d.node);
	world_finish(&d.world);
	free(d.ranks);
	options_finish(&d.opt);
	return 0;
}
