#include "daemon/rank/start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/text.h"
#include "daemon/rank/broadcast.h"
#include "daemon/rank/cross.h"
#include "daemon/rank/device.h"
#include "daemon/rank/fits.h"
#include "daemon/rank/loras.h"
#include "daemon/rank/model.h"
#include "daemon/rank/place.h"
#include "engine/grammar/grammar.h"
#include "engine/models/lora.h"
#include "engine/models/settle.h"
#include "engine/models/stored.h"
#include "engine/tokenizer/tokenizer.h"
#include "parallel/agree.h"
#include "parallel/ballot.h"
#include "parallel/board.h"

static void choose_quant(struct rank *self)
{
	const struct options *o = self->opt;

	self->as_files = o->quantization == QUANTISE_AUTO;
	self->head_as_files = self->as_files && o->quantization_head == QUANTISE_AUTO;
	self->quant = self->as_files ? QUANT_NONE : (enum quant)o->quantization;
	if (o->quantization_head != QUANTISE_AUTO)
		self->quant_head = (enum quant)o->quantization_head;
	else
		self->quant_head = self->quant == QUANT_NONE ? QUANT_NONE : QUANT_INT8;
}

/* "int4", or "int4,int8" where a model's matrices differ. Classes: bits 1 << enum quant. */
static void classes_name(unsigned classes, enum dtype stored, struct text *out)
{
	bool first = true;

	for (int q = 0; q < QUANT_COUNT; q++) {
		if (!(classes >> q & 1))
			continue;
		text_fmt(out, "%s%s", first ? "" : ",",
			 q == QUANT_NONE ? dtype_name(stored) : quant_name((enum quant)q));
		first = false;
	}
}

/* "bf16", "int8", or "int4+int8" where embedding and head differ from the rest. */
static void weights_name(const struct rank *self, enum dtype stored, struct text *out)
{
	struct quant_forms forms = self->device.ops->forms;
	unsigned rest = 1u << self->quant, head = 1u << self->quant_head;

	forms.merge = self->opt->lora_merge;
	if (self->as_files)
		rest = model_stored_quants(&self->cfg, self->files, &forms, false);
	if (self->head_as_files)
		head = model_stored_quants(&self->cfg, self->files, &forms, true);
	classes_name(rest, stored, out);
	if (head == rest)
		return;
	text_fmt(out, "+");
	classes_name(head, stored, out);
}

static void choose_types(struct rank *self)
{
	struct text weights = {0};
	static const enum dtype kv_types[] = {DT_COUNT, DT_BF16, DT_F16, DT_F32, DT_I8, DT_F8};
	static const enum dtype computes[] = {DT_COUNT, DT_BF16, DT_F32, DT_F16};
	enum dtype stored = model_stored_type(&self->cfg, self->files);
	char device[32], rope[40] = "";

	self->compute = computes[self->opt->compute];
	if (self->compute == DT_COUNT)
		self->compute = self->device.ops->compute(stored);
	self->kv_type = self->opt->kv_dtype == KV_AUTO ? self->compute : kv_types[self->opt->kv_dtype];
	choose_quant(self);
	weights_name(self, stored, &weights);
	self->device.ops->numerics(self, device, sizeof device);
	if (self->cfg.scaling == ROPE_DYNAMIC)
		snprintf(rope, sizeof rope, "/dynamic-rope-%d", self->max_model_len);
	if (self->cfg.scaling == ROPE_LONGROPE)
		snprintf(rope, sizeof rope, "/longrope-%s",
			 self->max_model_len > self->cfg.rope_original ? "long" : "short");
	snprintf(self->numerics_class, sizeof self->numerics_class, "%s/%s/%s/%s/%d%s", dtype_name(self->compute),
		 weights.data, dtype_name(self->kv_type), device, ORDER_VERSION, rope);
	text_finish(&weights);
}

static int open_files(struct rank *self, struct why *why)
{
	static const enum checkpoint_format formats[] = {CK_ANY, CK_SAFETENSORS, CK_TORCH, [LOAD_BROADCAST] = CK_ANY};
	int err;

	if (self->opt->load_format == LOAD_DUMMY)
		return 0;
	if (self->opt->dry_run && !checkpoint_exists(self->opt->model)) {
		err = checkpoint_refuse(self->opt->model, why);
		self->bare = err == ERR_IO; /* no weights of any kind: the download may still come */
		return self->bare ? 0 : err;
	}
	err = checkpoint_open_as(&self->files, self->opt->model, formats[self->opt->load_format], why);
	return err ? err : model_config_settle(&self->cfg, self->files, why);
}

static void log_notes(const struct rank *self)
{
	for (int i = 0; self->world->rank == 0 && i < self->cfg.n_notes; i++)
		log_at(LOG_WARN, "config.json: %s", self->cfg.note[i]);
}

static int check_ranks(struct rank *self, struct why *why)
{
	struct shard_shape shape = model_shard_shape(&self->cfg);
	int most = shard_max_ranks(&shape);

	if (self->opt->tensor_parallel && self->opt->tensor_parallel != self->world->size)
		return fail(why, ERR_INVALID,
			    "--tensor-parallel-size is %lld, but %d rank%s started: give mpirun -n %lld",
			    (long long)self->opt->tensor_parallel, self->world->size,
			    self->world->size == 1 ? " was" : "s were", (long long)self->opt->tensor_parallel);
	if (self->world->size > most)
		return fail(why, ERR_INVALID, "%d ranks are too many: a model with %d heads works on 1 to %d%s",
			    self->world->size, self->cfg.heads, most,
			    most < self->cfg.heads ? " (sums have a power of two of terms, 32 at most)" : "");
	return 0;
}

/* Positions beyond those that a network has. */
static int check_length(const struct rank *self, struct why *why)
{
	int length = self->max_model_len, most = self->cfg.max_pos;

	if (self->cfg.positions == POSITIONS_LEARNED && length > most)
		return fail(why, ERR_INVALID,
			    "--max-model-len %d is more than the %d positions that the model has learned", length,
			    most);
	if (model_rope_follows_length(&self->cfg) && !self->opt->max_model_len)
		return fail(
			why, ERR_UNSUPPORTED,
			"the rotary scaling is \"%s\", which follows the length; give --max-model-len N, and it is fixed for N tokens",
			self->cfg.scaling == ROPE_DYNAMIC ? "dynamic" : "longrope");
	return 0;
}

/* Those that depend on the device. */
static void choose_limits(struct rank *self)
{
	const struct options *o = self->opt;

	self->limits.max_tokens =
		o->max_num_batched_tokens ? (int)o->max_num_batched_tokens : self->device.ops->step_tokens;
	self->limits.max_seqs = o->max_num_seqs ? (int)o->max_num_seqs : self->device.ops->step_seqs;
	self->limits.max_seqs = min_int(self->limits.max_seqs, self->limits.max_tokens);
	self->limits.rows = min_int((int)o->logits_rows, self->limits.max_tokens);
	self->threads = self->cores ? self->cores->threads : place_plan_threads(o, self->world->local_size);
	self->answers = self->bare || tokenizer_exists(o->tokenizer ? o->tokenizer : o->model)
				? grammar_room_plan(self->cfg.vocab, (int)o->max_num_seqs)
				: 0;
}

/* Rank 0 alone reads it, after a plan that counts it. */
static int check_tokenizer(const struct rank *self, struct why *why)
{
	const char *named = self->opt->tokenizer;
	struct stat st;

	if (self->world->rank || !named || tokenizer_exists(named))
		return 0;
	if (stat(named, &st))
		return fail(why, ERR_IO, "--tokenizer: %.200s: %s", named, file_error(named, errno));
	return fail(why, ERR_IO, "--tokenizer: no tokenizer.json, tokenizer.model or vocab.json in %.300s", named);
}

int rank_prepare(struct rank *self, const struct options *o, struct world *w, struct core_share *cores, struct why *why)
{
	int err;

	memset(self, 0, sizeof *self);
	self->opt = o;
	self->world = w;
	self->cores = cores;
	if (cpu_isa_parse(o->cpu_isa ? o->cpu_isa : "auto", &self->isa))
		return fail(why, ERR_INVALID, "--cpu-isa: \"%s\" is none of auto, portable, avx2, avx512, avx512_bf16",
			    o->cpu_isa);
	self->isa_forced = self->isa != CPU_AUTO;
	if (!self->isa_forced)
		self->isa = cpu_isa_best();
	err = fault_parse(&self->fault, o->fault, why);
	if (!err)
		err = model_config_read_over(&self->cfg, o->model, o->hf_overrides, why);
	if (!err)
		err = check_ranks(self, why);
	if (!err)
		err = open_files(self, why);
	self->max_model_len = o->max_model_len ? (int)o->max_model_len : self->cfg.max_pos;
	if (!err)
		err = check_length(self, why);
	if (!err)
		err = check_tokenizer(self, why);
	if (!err)
		err = loras_open(self, why);
	if (!o->dry_run)
		err = world_agree(w, err, why); /* the device is chosen by all ranks together */
	if (!err)
		err = device_choose(self, why);
	if (err)
		return err;
	log_notes(self);
	choose_types(self);
	choose_limits(self);
	if (self->max_model_len > self->cfg.max_pos && self->cfg.scaling == ROPE_NONE)
		log_event(LOG_WARN, "--max-model-len is beyond the positions that the model was trained on",
			  " max_model_len=%d trained=%d", self->max_model_len, self->cfg.max_pos);
	return 0;
}

static void log_phase(const struct rank *self, const char *event, uint64_t begin, uint64_t bytes)
{
	double seconds = (double)(now_ns() - begin) / 1e9;

	if (self->world->rank == 0)
		log_event(LOG_INFO, event, " seconds=%.2f gib=%.3f gib_per_s=%.2f", seconds, (double)bytes / (1 << 30),
			  (double)bytes / (1 << 30) / (seconds > 1e-6 ? seconds : 1e-6));
}

static int load_weights(struct rank *self, struct load_progress *progress, struct why *why)
{
	uint64_t begin = now_ns();
	struct broadcast *from = NULL;
	int err = world_agree(self->world, broadcast_open(&from, self, why), why);

	if (!err)
		err = rank_load_model(self, progress, why);
	err = world_agree(self->world, err, why); /* then no rank reads any more */
	broadcast_close(from);
	if (!err)
		log_phase(self, "weights loaded", begin, atomic_load(&progress->bytes));
	return err;
}

/* The same on all ranks. */
static int load_cache(struct rank *self, struct load_progress *progress, struct why *why)
{
	uint64_t begin = now_ns();
	struct kv_shape shape = model_kv_shape(self->model, (int)self->opt->block_size, self->kv_type);
	int err = backend_kv_check(self->backend, &shape, why); /* the same on all ranks */
	uint64_t block;

	if (err)
		return err;
	block = (uint64_t)backend_kv_bytes(self->backend, &shape) * (uint64_t)self->cfg.layers;
	err = fits_cache(self, self->backend->held, block, why);
	if (err)
		return err;
	kv_init_counted(&self->kv, self->backend, &shape, self->cfg.layers, self->n_blocks, progress);
	self->report.kv_bytes = block * (uint64_t)self->n_blocks;
	log_phase(self, "KV cache touched", begin, self->report.kv_bytes);
	return 0;
}

static void count_op(void *board)
{
	board_op(board);
}

/* Runs the backend's warm-up steps, including logits and their gather, before the first request. */
static void warm_up(struct rank *self, struct load_progress *progress)
{
	const struct backend *b = self->backend;
	uint64_t start = now_ns();
	struct step s;
	int passes = 0, all = 0;

	step_init(&s, &self->limits);
	while (backend_warm(self->backend, all, &s))
		all++;
	if (all) /* a rank that hangs in a call of NCCL is found as in a step */
		board_step(self->world->board, 0);
	load_begin(progress, all ? LOAD_GRAPHS : LOAD_WARM_UP, (uint64_t)all);
	for (; backend_warm(self->backend, passes, &s); passes++) {
		model_forward(self->model, &self->kv, &s);
		load_add(progress, 1);
	}
	if (passes) {
		rank_rows(self, &s, NULL, NULL);
		backend_sync(self->backend);
		board_step(self->world->board, -1);
		if (self->world->rank == 0)
			log_event(b->graphs_held > b->graphs ? LOG_WARN : LOG_INFO, "CUDA graphs captured",
				  " passes=%d seconds=%.2f graphs_mib=%.3f planned_mib=%.3f", passes,
				  (double)(now_ns() - start) / 1e9, (double)b->graphs_held / (1 << 20),
				  (double)b->graphs / (1 << 20));
	}
	step_finish(&s);
	load_begin(progress, LOAD_WARM_UP, 0);
}

static void fill_report(struct rank *self)
{
	self->report.pid = getpid();
	self->report.node = (uint32_t)self->world->nodes.mine;
	self->report.weight_bytes = model_weight_bytes(self->model);
	self->report.lora_bytes = model_lora_bytes(self->model);
	self->report.work_bytes = self->backend->held + self->backend->graphs_held - self->report.weight_bytes -
				  self->report.kv_bytes - self->report.lora_bytes;
	self->report.file_bytes = self->files ? checkpoint_bytes_read(self->files) : 0;
	if (self->backend->prompt_attention)
		snprintf(self->report.prompt_attention, sizeof self->report.prompt_attention, "%s",
			 self->backend->prompt_attention);
	if (self->backend->kernel_overlap)
		snprintf(self->report.kernel_overlap, sizeof self->report.kernel_overlap, "%s",
			 self->backend->kernel_overlap);
}

int rank_load(struct rank *self, struct load_progress *progress, struct why *why)
{
	int err;

	fault_start(&self->fault, self->world->rank);
	cross_warn(self);
	err = world_agree(self->world, fits_start(self, why), why);
	if (!err)
		err = world_agree(self->world, self->device.ops->backend(self, false, why), why);

	if (!err)
		err = world_agree(self->world, load_weights(self, progress, why), why);
	if (!err)
		err = world_agree(self->world, loras_fill(self, why), why);
	if (!err)
		err = world_agree(self->world, load_cache(self, progress, why), why);
	if (err)
		return err;
	backend_ready(self->backend);
	self->limits.max_blocks = self->limits.max_seqs * div_up(self->max_model_len, (int)self->opt->block_size);
	if (self->world->rank)
		step_init(&self->step, &self->limits);
	world_steps(self->world, step_bytes_max(&self->limits));
	if (self->loras.slots)
		self->loras.ballot = ballot_open(self->world);
	self->backend->on_op = count_op;
	self->backend->on_op_arg = self->world->board;
	warm_up(self, progress);
	fill_report(self);
	return 0;
}
