/* options.h - what xversed was told: flags, then XVERSED_* variables, then the --config file, then defaults.
 * One table (options_table.c) holds every option's name, kind, range, default and help. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/base.h"

enum { CHOICE_AUTO = 0 };
enum device_choice { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA };
enum compute_choice { COMPUTE_AUTO, COMPUTE_BF16, COMPUTE_F32, COMPUTE_F16 };
enum kv_choice { KV_AUTO, KV_BF16, KV_F16, KV_F32, KV_INT8, KV_FP8 };
enum quant_choice { QUANTISE_NONE, QUANTISE_INT8, QUANTISE_INT4, QUANTISE_SAME };
enum load_choice { LOAD_AUTO, LOAD_SAFETENSORS, LOAD_PT, LOAD_DUMMY };

struct options {
	/* model */
	char *model, *served_name, *generation_config, *pack_cache;
	int load_format, compute, kv_dtype, quantization, quantization_head;
	int64_t dummy_seed;
	/* ranks and device */
	int64_t tensor_parallel; /* 0: as many as MPI started */
	int device;
	char *cpu_isa;
	int64_t threads; /* 0: fair share of the allowed cores */
	bool pin;
	bool graphs;           /* CUDA: small steps are captured and replayed */
	bool overlap;          /* CUDA: a kernel may start before the one before it has ended */
	bool device_sample;    /* CUDA: words are sampled where the logits are */
	bool debug_nan;        /* every layer's output is looked at */
	bool step_ahead;       /* CUDA: a step is enqueued while the one before runs */
	bool wgmma;            /* CUDA: attention of prompts by Hopper's products, where there are any */
	bool tuning;           /* CUDA: time the algorithms of large products at start */
	bool deterministic;    /* CUDA: the same bits whatever the batch and the number of ranks */
	int64_t device_memory; /* for plans: bytes of one GPU; 0: ask it */
	int64_t gpu_percent;   /* of a GPU's memory that may be taken */
	/* memory and batching */
	int64_t max_model_len; /* 0: the config's, as far as the cache holds it */
	int64_t max_num_seqs, max_num_batched_tokens, block_size, kv_bytes, logits_rows;
	int64_t look_ahead; /* -1: all of max_tokens */
	bool prefix_caching;
	/* serving */
	char *chat_template;
	char *uds, *uds_group, *gateway_uid;
	int64_t max_queued_reqs, max_queued_tokens, max_connections;
	int64_t shutdown_timeout_s, watchdog_timeout_s;
	int log_level;
	char *pid_file, *log_file;
	/* one-shot */
	bool dry_run, json, help, version, inspect;
	/* for tests */
	char *hash_rows, *fault;
};

/* 0; ERR_INVALID with a text that names the flag, the value and the nearest right one. */
int options_parse(struct options *o, int argc, char **argv, struct why *why);
void options_settle(struct options *o); /* sets uds and served_name where they were not given */
void options_finish(struct options *o);
void options_help(void); /* to standard output, in groups */
/* "16k" = 16000, "16K" = 16384; likewise m, M, g, G. */
int options_number(const char *text, int64_t *out);

/* ---- the table ---- */
enum option_kind { OPT_FLAG, OPT_NO_FLAG /* --no-X clears */, OPT_NUMBER, OPT_TEXT, OPT_CHOICE };
struct option_row {
	const char *group, *name, *alias, *value, *help;
	enum option_kind kind;
	size_t offset; /* in struct options */
	int64_t fallback, low, high;
	const char *const *choices; /* NULL-terminated */
};
extern const struct option_row option_table[];
extern const int option_count;

#endif
