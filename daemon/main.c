/* xversed: one rank. Rank 0 also serves the socket. */
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inherited.h"
#include "base/text.h"
#include "daemon/convert.h"
#include "daemon/front/front.h"
#include "daemon/front/model.h"
#include "daemon/link.h"
#include "daemon/options.h"
#include "daemon/rank/device_cuda.h"
#include "daemon/rank/files.h"
#include "daemon/rank/follow.h"
#include "daemon/rank/loras.h"
#include "daemon/rank/plan.h"
#include "daemon/rank/place.h"
#include "daemon/rank/same.h"
#include "daemon/rank/serve.h"
#include "daemon/rank/start.h"
#include "engine/checkpoint/inspect.h"
#include "engine/gguf/documents.h"
#include "parallel/agree.h"
#include "parallel/board.h"
#include "rpc/codec/codec.h"

struct daemon {
	struct options opt;
	struct world world;
	struct core_share cores;
	struct rank rank;
	struct link link;
	struct front *front; /* rank 0 */
	struct front_model model;
	struct rank_report *ranks;
	uint64_t begin; /* ns */
	struct options_source source;
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
	printf("CUDA:       %s\n",
	       device_cuda_worth_trying() ? "a driver is installed" : "no NVIDIA driver is installed");
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* Of files and config: the same number means the same model. */
static uint64_t model_fingerprint(const struct daemon *d)
{
	const struct rank *n = &d->rank;
	uint64_t files = n->files ? checkpoint_fingerprint(n->files) : mix(1, (uint64_t)d->opt.dummy_seed);

	uint64_t all = mix(files, model_config_hash(&n->cfg));

	for (int i = 0; n->loras.merge && i < n->loras.n; i++)
		all = mix(all, n->loras.at[i].fingerprint);
	return all;
}

/* Completes what clients see of the loaded model. */
static void fill_model(struct daemon *d)
{
	const struct rank *n = &d->rank;
	struct front_model *m = &d->model;

	m->lora = n->loras.at;
	m->n_loras = n->loras.n;
	m->lora_slots = n->loras.slots;
	m->lora_rank = n->loras.rank;
	m->lora_merged = n->loras.merge;
	m->ballot = n->loras.ballot;
	m->fingerprint = model_fingerprint(d);
	m->architecture = n->cfg.architecture;
	m->numerics_class = n->numerics_class;
	m->isa = n->device.name;
	m->gpu_sums = n->comm->about;
	m->gpu_links = n->device.links;
	m->parameters = model_parameters(&n->cfg);
	m->active_parameters = model_active_parameters(&n->cfg);
	m->experts = n->cfg.experts;
	m->experts_per_token = n->cfg.experts_per_token;
	m->n_blocks = n->n_blocks;
	m->max_model_len = n->max_model_len;
	m->max_tokens = n->limits.max_tokens;
	m->threads = n->threads;
	m->report = d->ranks;
	m->world = &d->world;
}

static void reread_options(void *arg)
{
	struct daemon *d = arg;
	struct why why = {""};

	if (options_reread(&d->source, &d->opt, &why))
		log_at(LOG_ERROR, "the options are wrong now, so the old ones stay: %s", why.text);
}

static int open_front(struct daemon *d, struct why *why)
{
	const struct rank *n = &d->rank;
	struct front_options how = {.opt = &d->opt,
				    .link = &d->link,
				    .board = d->world.board,
				    .model = &d->model,
				    .starter = world_starter(),
				    .reread = reread_options,
				    .arg = d};
	int err;

	if (d->world.rank)
		return 0;
	err = options_settle(&d->opt, why);
	if (err)
		return err;
	d->model = (struct front_model){.vocab = n->cfg.vocab,
					.n_eos = n->cfg.n_eos,
					.eos = n->cfg.eos,
					.eos_assumed = n->cfg.eos_assumed,
					.device = n->device.ops->name,
					.max_seqs = n->limits.max_seqs,
					.ranks = d->world.size};
	link_init(&d->link, n->limits.max_seqs);
	atomic_store(&d->link.state, LINK_LOADING);
	return front_open(&d->front, &how, why);
}

static void last_words(void *arg, const struct blame *what)
{
	struct daemon *d = arg;
	struct xv_error e = {.code = ERR_LOST_RANK, .rank = what->rank, .step = what->step, .pid = what->pid};
	char text[300];

	blame_text(what, text, sizeof text);
	e.text = text;
	front_last_words(d->front, &e);
}

/* The launcher watches rank 0, as the other ranks do. */
static void report_alive(void *arg)
{
	const struct daemon *d = arg;

	front_alive(d->front);
}

static void start_watch(struct daemon *d)
{
	struct watch_options how = {.watchdog_ns = d->opt.watchdog_timeout_s * 1000000000,
				    .last_words = last_words,
				    .beat = d->world.rank == 0 ? report_alive : NULL,
				    .arg = d};

	board_watch(d->world.board, &how);
}

static void log_ready(void *arg)
{
	const struct daemon *d = arg;
	const struct rank *n = &d->rank;

	log_event(LOG_INFO, "ready",
		  " seconds=%.2f model=\"%s\" ranks=%d threads=%d device=\"%s\" class=%s weights_gib=%.2f kv_gib=%.2f "
		  "kv_tokens=%d socket=\"%s\"",
		  (double)(now_ns() - d->begin) / 1e9, d->opt.served_name, d->world.size, n->threads, n->device.name,
		  n->numerics_class, (double)n->report.weight_bytes / (1 << 30), (double)n->report.kv_bytes / (1 << 30),
		  n->n_blocks * (int)d->opt.block_size, d->opt.uds);
}

static void run(struct daemon *d)
{
	d->ranks = xalloc((size_t)d->world.size, sizeof *d->ranks);
	if (!d->world.rank && !d->rank.device.ops->own_memory)
		d->rank.report.work_bytes += front_answer_bytes(d->front); /* as the plan counts it */
	world_gather(&d->world, &d->rank.report, sizeof d->rank.report, d->ranks);
	if (d->world.rank) {
		log_file_on_hangup();
		follow(&d->rank);
		return;
	}
	fill_model(d);
	serve(&d->rank, &d->link, log_ready, d);
	front_close(d->front);
	link_finish(&d->link);
}

/* What must be the same where the data of files comes from rank 0's node alone. */
static uint64_t model_layout(const struct rank *n)
{
	return mix(n->files ? checkpoint_layout(n->files) : 1, model_config_hash(&n->cfg));
}

/* Other nodes may hold other files under the same name. */
static int agree_on_model(const struct daemon *d, struct why *why)
{
	bool broadcast = d->opt.load_format == LOAD_BROADCAST;
	char fingerprint[AGREE_VALUE] = "";

	if (d->world.nodes.n < 2)
		return 0;
	if (d->world.local_rank == 0) /* its ranks read the same files */
		snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
			 broadcast ? model_layout(&d->rank) : model_fingerprint(d));
	node_bcast(&d->world, fingerprint, sizeof fingerprint);
	if (broadcast)
		return world_same(&d->world, "the hash of config and sizes of files", fingerprint,
				  "all nodes must have files of the same names and sizes", why);
	return world_same(
		&d->world, "the model's fingerprint", fingerprint,
		"copy the same files to all nodes, or let rank 0's read them for all (--load-format broadcast)", why);
}

static int start(struct daemon *d, struct why *why)
{
	int err = world_agree(&d->world, log_file_open(d->opt.log_file, why), why);

	if (err)
		return err;
	err = world_join(&d->world, d->opt.node_interface, why);
	if (!err)
		err = same_options(&d->world, &d->opt, why);
	if (!err)
		err = world_agree(&d->world, options_find_model(&d->opt, why), why);
	if (err)
		return err;
	place_rank(&d->cores, &d->world, &d->opt);
	err = rank_prepare(&d->rank, &d->opt, &d->world, &d->cores, why);
	err = world_agree(&d->world, err, why);
	if (!err)
		err = agree_on_model(d, why);
	if (err)
		return err;
	err = open_front(d, why);
	/* After the socket: a daemon that finds another one on it leaves that one's pid file alone. */
	if (!err && d->world.rank == 0)
		err = pid_file_write(d->opt.pid_file, why);
	err = world_agree(&d->world, err, why);
	if (err)
		return err;
	start_watch(d);
	return rank_load(&d->rank, &d->link.progress, why);
}

/* Sends the reason on every open call. */
static void end_calls(struct daemon *d, const char *reason)
{
	char *text = xprintf("the server could not start: %s", reason);
	struct xv_error e = {.code = ERR_INTERNAL, .text = text, .rank = -1, .step = -1, .pid = -1};

	front_last_words(d->front, &e);
	free(text);
}

/* A file of weights can be inspected by itself; what is no model at all is refused like elsewhere. */
static int inspect(struct options *o)
{
	struct why why = {""};
	struct stat st;
	int err = options_find_model(o, &why);

	if (err == ERR_IO && !stat(o->model, &st) && S_ISREG(st.st_mode))
		err = 0;
	if (!err)
		err = (o->json ? inspect_json : inspect_checkpoint)(stdout, o->model, &why);

	if (err)
		fprintf(stderr, "xversed: %s\n", why.text);
	return err ? EXIT_INPUT : 0;
}

/* As the starter says, before MPI does: what concerns all ranks alike is said once. */
static bool is_first_rank(void)
{
	static const char *const variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"};

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		if (getenv(variables[i]))
			return !strcmp(getenv(variables[i]), "0");
	return true;
}

static void print_refusals(const char *lines)
{
	fflush(stdout); /* they follow the plan where both go to one file */
	for (const char *end; lines && (end = strchr(lines, '\n')); lines = end + 1)
		fprintf(stderr, "xversed: %.*s\n", (int)(end - lines), lines);
}

/* The plan, and all else that a start would refuse. */
static int plan(struct options *o)
{
	struct text refused = {0};
	struct why why = {""};
	int err = options_find_model(o, &why), code;

	if (err) {
		fprintf(stderr, "xversed: %s\n", why.text);
		return rank_exit_code(err);
	}
	if (is_first_rank() && !getenv(PLAN_MEMORY_ONLY)) {
		log_level_set(LOG_WARN);
		err = front_check(o, &refused);
	}
	code = dry_run(o, refused.data);
	print_refusals(refused.data);
	text_finish(&refused);
	return code || !err ? code : rank_exit_code(err);
}

int main(int argc, char **argv)
{
	static struct daemon d;
	struct why why = {""};
	int err;

	inherited_mend();
	heap_init();
	json_set_alloc_funcs(heap_malloc, heap_free); /* JSON of clients counts in their efforts */
	gguf_serve_documents();
	if (argc > 1 && !strcmp(argv[1], "--convert"))
		return convert_main(argc - 2, argv + 2);
	err = options_parse(&d.opt, argc, argv, NULL, &why);
	if (err) {
		fprintf(stderr, "xversed: %s\n", why.text);
		return EXIT_USAGE;
	}
	if (is_first_rank())
		options_warn(stderr, environ);
	d.begin = now_ns();
	if (d.opt.help || d.opt.version) {
		d.opt.help ? options_help() : print_version();
		return 0;
	}
	if (d.opt.inspect)
		return inspect(&d.opt);
	if (d.opt.dry_run)
		return plan(&d.opt);
	options_source_open(&d.source, &d.opt, argc, argv);
	front_block_signals(); /* before MPI starts threads of its own */
	world_init(&d.world, &argc, &argv);
	log_init(d.world.rank, (enum log_level)d.opt.log_level);
	err = start(&d, &why);
	if (err) {
		if (d.world.rank == 0) {
			if (err == ERR_LIMIT && d.rank.device.ops && d.rank.device.ops->own_memory)
				dry_run_ranks(stderr, &d.opt, d.world.size);
			start_failed(why.text);
			end_calls(&d, why.text);
			pid_file_remove();
		}
		world_finish(&d.world);
		_exit(rank_exit_code(err));
	}
	run(&d);
	pid_file_remove();
	loras_close(&d.rank);
	rank_finish(&d.rank);
	world_finish(&d.world);
	free(d.ranks);
	options_finish(&d.opt);
	return 0;
}
