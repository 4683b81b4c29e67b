#include "daemon/rank/rank.h"

#include "daemon/rank/device.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/rank/fits.h"
#include "daemon/rank/memory.h"
#include "daemon/rank/place.h"
#include "engine/models/settle.h"
#include "parallel/agree.h"
#include "parallel/board.h"
#include "base/wait.h"

static void choose_quant(struct node *n)
{
	const struct options *o = n->opt;

	n->quant = (enum quant)o->quantization;
	if (o->quantization_head != QUANTISE_SAME)
		n->quant_head = (enum quant)o->quantization_head;
	else
		n->quant_head = n->quant == QUANT_NONE ? QUANT_NONE : QUANT_INT8;
}

/* "bf16", "int8", or "int4+int8" where embedding and head differ from the rest. */
static void weights_name(const struct node *n, enum dtype stored, char *out, size_t size)
{
	const char *const names[] = {dtype_name(stored), "int8", "int4"};

	if (n->quant == n->quant_head)
		snprintf(out, size, "%s", names[n->quant]);
	else
		snprintf(out, size, "%s+%s", names[n->quant], names[n->quant_head]);
}

static void choose_types(struct node *n)
{
	char weights[32];
	static const enum dtype kv_types[] = {DT_COUNT, DT_BF16, DT_F16, DT_F32, DT_I8, DT_F8};
	static const enum dtype computes[] = {DT_COUNT, DT_BF16, DT_F32, DT_F16};
	enum dtype stored = model_stored_type(&n->cfg, n->files);
	char device[32];

	n->compute = computes[n->opt->compute];
	if (n->compute == DT_COUNT && n->cuda)
		n->compute = stored == DT_F16 ? DT_F16 : DT_BF16;
	else if (n->compute == DT_COUNT)
		n->compute = stored == DT_BF16 ? DT_BF16 : DT_F32;
	n->kv_type = n->opt->kv_dtype == KV_AUTO ? n->compute : kv_types[n->opt->kv_dtype];
	choose_quant(n);
	weights_name(n, stored, weights, sizeof weights);
	device_class(n, device, sizeof device);
	snprintf(n->numerics_class, sizeof n->numerics_class, "%s/%s/%s/%s/%d", dtype_name(n->compute), weights,
		 dtype_name(n->kv_type), device, ORDER_VERSION);
}

static int open_files(struct node *n, struct why *why)
{
	static const enum checkpoint_format formats[] = {CK_ANY, CK_SAFETENSORS, CK_TORCH};
	int err;

	if (n->opt->load_format == LOAD_DUMMY)
		return 0;
	err = checkpoint_open_as(&n->files, n->opt->model, formats[n->opt->load_format], why);
	return err ? err : model_config_settle(&n->cfg, n->files, why);
}

static void log_notes(const struct node *n)
{
	for (int i = 0; n->world->rank == 0 && i < n->cfg.n_notes; i++)
		log_at(LOG_WARN, "config.json: %s", n->cfg.note[i]);
}

static int check_ranks(struct node *n, struct why *why)
{
	struct shard_shape shape = model_shard_shape(&n->cfg);
	int most = shard_max_ranks(&shape);

	if (n->opt->tensor_parallel && n->opt->tensor_parallel != n->world->size)
		return fail(why, ERR_INVALID,
			    "--tensor-parallel-size is %lld, but %d rank%s started: give mpirun -n %lld",
			    (long long)n->opt->tensor_parallel, n->world->size, n->world->size == 1 ? " was" : "s were",
			    (long long)n->opt->tensor_parallel);
	if (n->world->size > most)
		return fail(why, ERR_INVALID, "%d ranks are too many: a model with %d heads works on 1 to %d",
			    n->world->size, n->cfg.heads, most);
	return 0;
}

static void choose_limits(struct node *n)
{
	const struct options *o = n->opt;

	n->max_model_len = o->max_model_len ? (int)o->max_model_len : n->cfg.max_pos;
	n->limits.max_tokens = (int)o->max_num_batched_tokens;
	n->limits.max_seqs = min_int((int)o->max_num_seqs, n->limits.max_tokens);
	n->limits.rows = min_int((int)o->logits_rows, n->limits.max_tokens);
	n->threads = n->cores ? n->cores->threads : place_plan_threads(o, n->world->local_size);
}

int node_prepare(struct node *n, const struct options *o, struct world *w, struct core_share *cores, struct why *why)
{
	int err;

	memset(n, 0, sizeof *n);
	n->opt = o;
	n->world = w;
	n->cores = cores;
	if (cpu_isa_parse(o->cpu_isa ? o->cpu_isa : "auto", &n->isa))
		return fail(why, ERR_INVALID, "--cpu-isa: \"%s\" is none of auto, portable, avx2, avx512, avx512_bf16",
			    o->cpu_isa);
	err = fault_parse(&n->fault, o->fault, why);
	if (!err)
		err = model_config_read(&n->cfg, o->model, why);
	if (!err)
		err = check_ranks(n, why);
	if (!err)
		err = open_files(n, why);
	if (!o->dry_run)
		err = world_agree(w, err, why); /* what follows is agreed on by all */
	if (!err)
		err = device_choose(n, why);
	if (err)
		return err;
	log_notes(n);
	choose_types(n);
	choose_limits(n);
	if (n->max_model_len > n->cfg.max_pos && n->cfg.scaling == ROPE_NONE)
		log_event(LOG_WARN, "--max-model-len is beyond the positions that the model was trained on",
			  " max_model_len=%d trained=%d", n->max_model_len, n->cfg.max_pos);
	n->isa_forced = n->isa != CPU_AUTO;
	if (!n->isa_forced)
		n->isa = cpu_isa_best();
	return 0;
}

static int load_backend(struct node *n, bool dry, struct why *why)
{
	struct shard_shape shape = model_shard_shape(&n->cfg);
	struct shard s = shard_make(&shape, n->world->rank, n->world->size);
	struct cpu_options how = {.threads = n->threads,
				  .isa = n->isa_forced ? n->isa : CPU_AUTO,
				  .compute = n->compute,
				  .max_tokens = n->limits.max_tokens,
				  .max_context = n->max_model_len,
				  .max_cols =
					  max_int(n->cfg.hidden, max_int(n->cfg.ffn, n->cfg.heads * n->cfg.head_dim)),
				  .max_heads = s.heads.count,
				  .max_head_dim = n->cfg.head_dim,
				  .dry = dry};

	if (n->cuda)
		return device_backend(n, dry, why);
	if (dry)
		how.threads = 1;
	else {
		place_take(n->cores);
		wait_policy(n->cores->roomy && n->cores->pin == n->opt->pin ? 30000 : 0);
		how.cpu = n->cores->pin ? n->cores->cpu : NULL;
	}
	return backend_cpu_create(&n->backend, &how, why);
}

static int load_model(struct node *n, struct load_progress *progress, bool dry, struct why *why)
{
	struct comm_limits lim = model_comm_limits(&n->cfg, &n->limits, n->world->size);
	struct model_options how = {.limits = n->limits,
				    .max_context = n->max_model_len,
				    .rank = n->world->rank,
				    .size = n->world->size,
				    .dummy_seed = (uint64_t)n->opt->dummy_seed,
				    .pack_cache = n->opt->pack_cache,
				    .quant = n->quant,
				    .quant_head = n->quant_head,
				    .debug_nan = n->opt->debug_nan,
				    .dry = dry};

	if (!dry && n->cuda) {
		int err = device_comm(n, &lim, why);
		if (err)
			return err;
	} else if (!dry)
		n->comm = n->world->size == 1 ? comm_self_create(&lim) : comm_host_create(n->world, &lim);
	return model_create(&n->model, &n->cfg, n->files, n->backend, n->comm, &how, progress, why);
}

/* Logits that a test wants to see come to the host. */
static void make_sample(struct node *n, bool dry)
{
	if (n->world->rank == 0)
		n->sample = sample_phase_create(n->backend, n->limits.rows, n->cfg.vocab,
						n->opt->device_sample && !n->opt->hash_rows, dry);
}

int node_make_model(struct node *n, struct load_progress *progress, bool dry, struct why *why)
{
	int err = load_backend(n, dry, why);

	if (!err)
		err = load_model(n, progress, dry, why);
	if (!err)
		make_sample(n, dry);
	return err;
}

/* The same on all ranks. */
static int load_cache(struct node *n, struct why *why)
{
	struct kv_shape shape = model_kv_shape(n->model, (int)n->opt->block_size, n->kv_type);
	int err = backend_kv_check(n->backend, &shape, why); /* the same on all ranks */
	uint64_t block;

	if (err)
		return err;
	block = (uint64_t)backend_kv_bytes(n->backend, &shape) * (uint64_t)n->cfg.layers;
	err = fits_cache(n, n->backend->held, block, why);
	if (err)
		return err;
	kv_init(&n->kv, n->backend, &shape, n->cfg.layers, n->n_blocks);
	n->report.kv_bytes = block * (uint64_t)n->n_blocks;
	return 0;
}

static void count_op(void *board)
{
	board_op(board);
}

/* What the backend wants to have run before the first call comes; with the head and its gather, but nobody's. */
static void warm_up(struct node *n)
{
	const struct backend *b = n->backend;
	uint64_t start = now_ns();
	struct step s;
	int passes = 0;

	step_init(&s, &n->limits);
	for (; backend_warm(n->backend, passes, &s); passes++)
		model_forward(n->model, &n->kv, &s);
	if (passes) {
		node_rows(n, &s, NULL, NULL);
		backend_sync(n->backend);
		if (n->world->rank == 0)
			log_event(b->graphs_held > b->graphs ? LOG_WARN : LOG_INFO,
				  "steps of all small sizes are captured",
				  " passes=%d seconds=%.2f graphs_mib=%.3f planned_mib=%.3f", passes,
				  (double)(now_ns() - start) / 1e9, (double)b->graphs_held / (1 << 20),
				  (double)b->graphs / (1 << 20));
	}
	step_finish(&s);
}

static void fill_report(struct node *n)
{
	n->report.pid = getpid();
	n->report.weight_bytes = model_weight_bytes(n->model);
	n->report.work_bytes = n->backend->held + n->backend->graphs_held - n->report.weight_bytes - n->report.kv_bytes;
	n->report.file_bytes = n->files ? checkpoint_bytes_read(n->files) : 0;
	if (n->backend->prompt_attention)
		snprintf(n->report.prompt_attention, sizeof n->report.prompt_attention, "%s",
			 n->backend->prompt_attention);
	if (n->backend->kernel_overlap)
		snprintf(n->report.kernel_overlap, sizeof n->report.kernel_overlap, "%s", n->backend->kernel_overlap);
}

int node_load(struct node *n, struct load_progress *progress, struct why *why)
{
	int err;

	fault_start(&n->fault, n->world->rank);
	err = world_agree(n->world, n->cuda ? device_fits(n, why) : fits_cpu(n, why), why);
	if (!err)
		err = world_agree(n->world, load_backend(n, false, why), why);

	if (!err)
		err = world_agree(n->world, load_model(n, progress, false, why), why);
	if (!err)
		make_sample(n, false);
	if (!err)
		err = world_agree(n->world, load_cache(n, why), why);
	if (err)
		return err;
	backend_ready(n->backend);
	n->limits.max_blocks = n->limits.max_seqs * div_up(n->max_model_len, (int)n->opt->block_size);
	if (n->world->rank)
		step_init(&n->step, &n->limits);
	world_steps(n->world, step_bytes_max(&n->limits));
	warm_up(n);
	n->backend->on_op = count_op;
	n->backend->on_op_arg = n->world->board;
	fill_report(n);
	return 0;
}

int node_exit_code(int err)
{
	switch (err) {
	case ERR_INVALID:
		return EXIT_USAGE;
	case ERR_BUSY:
		return EXIT_AGAIN;
	case ERR_LIMIT:
	case ERR_UNKNOWN: /* no such device */
	case ERR_DENIED:  /* the socket's place */
		return EXIT_CONFIG;
	default:
		return EXIT_INPUT;
	}
}

void node_finish(struct node *n)
{
	step_finish(&n->step);
	if (n->kv.pool)
		kv_finish(&n->kv);
	sample_phase_destroy(n->sample);
	model_destroy(n->model);
	comm_destroy(n->comm);
	backend_destroy(n->backend);
	checkpoint_close(n->files);
}

void node_rows(struct node *n, const struct step *s, void (*take)(void *arg, int first, int count), void *arg)
{
	float *logits = n->sample ? sample_phase_logits(n->sample) : NULL;

	for (int first = 0; first < s->head->n_rows; first += n->limits.rows) {
		int count = min_int(n->limits.rows, s->head->n_rows - first);
		model_logits(n->model, first, count, logits);
		if (take)
			take(arg, first, count);
	}
}

/* A device's fault shows while its step runs, not when the next one comes, which may be there before the end of this
 * one. */
static void watch_step(struct node *n)
{
	struct timespec nap = {0, 20000};

	while (backend_busy(n->backend)) {
		if (world_posted(n->world))
			return;
		board_idle(n->world->board);
		nanosleep(&nap, NULL);
	}
	board_step(n->world->board, -1);
}

void follow(struct node *n)
{
	size_t max = step_bytes_max(&n->limits), bytes;

	for (;;) {
		bytes = world_take(n->world, n->step.head, max);
		step_receive(&n->step, &n->limits, bytes);
		if (n->step.head->kind == STEP_STOP)
			return;
		board_step(n->world->board, n->step.head->no);
		fault_step(&n->fault, n->world->rank, n->step.head->no);
		model_forward(n->model, &n->kv, &n->step);
		node_rows(n, &n->step, NULL, NULL);
		watch_step(n);
	}
}
