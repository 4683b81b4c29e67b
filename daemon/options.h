/* options.h - options of xversed: flags win over XVERSED_* variables, these over the --config file, that over defaults.
 * One table (options_table.c) holds each option's name, kind, range, default and help. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdio.h>
#include <sys/types.h>

#include "base/base.h"

enum { CHOICE_AUTO = 0 };
enum device_choice { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA };
enum compute_choice { COMPUTE_AUTO, COMPUTE_BF16, COMPUTE_F32, COMPUTE_F16 };
enum kv_choice { KV_AUTO, KV_BF16, KV_F16, KV_F32, KV_INT8, KV_FP8 };
enum quant_choice { QUANTISE_NONE, QUANTISE_INT8, QUANTISE_INT4, QUANTISE_FP8, QUANTISE_AUTO }; /* as enum quant */
enum load_choice { LOAD_AUTO, LOAD_SAFETENSORS, LOAD_PT, LOAD_DUMMY, LOAD_BROADCAST };

/* Defaults of --max-num-batched-tokens and --max-num-seqs. A GPU needs larger steps than
 * a CPU to be busy with arithmetic rather than with reading weights (docs/performance.md, "CUDA"). */
#define STEP_TOKENS_CPU 512
#define STEP_TOKENS_CUDA 2048
#define STEP_SEQS_CPU 32
#define STEP_SEQS_CUDA 128

struct options {
	/* model */
	char *model, *served_name, *generation_config, *pack_cache;
	char *lora; /* lines NAME=DIR */
	bool lora_merge, list_goes_on /* while options are read: a list has values of this source already */;
	int64_t max_loras, max_lora_rank; /* 0: as those of `lora` need */
	int load_format, compute, kv_dtype, quantization, quantization_head;
	int64_t dummy_seed;
	/* ranks and device */
	int64_t tensor_parallel; /* 0: as many as MPI started */
	int device;
	char *cpu_isa;
	char *node_interface; /* NULL: the fastest network that all nodes are in */
	int64_t plan_nodes;   /* of a plan; 0: one */
	int64_t threads;      /* 0: a fair share of the allowed cores */
	bool pin;
	bool graphs;           /* CUDA: small steps are replayed as CUDA graphs */
	bool overlap;          /* CUDA: a kernel may start before the previous one has ended */
	bool device_sample;    /* CUDA: tokens are sampled on the device */
	bool debug_nan;        /* every layer's output is checked for NaN */
	bool step_ahead;       /* CUDA: a step is enqueued while the previous one runs */
	bool wgmma;            /* CUDA: prefill attention uses wgmma on Hopper */
	bool tuning;           /* CUDA: algorithms of large GEMMs are timed at start */
	bool deterministic;    /* CUDA: the same bits for any batch and number of ranks */
	int64_t device_memory; /* for plans: bytes of one GPU; 0: ask the driver */
	int64_t gpu_percent;   /* of a GPU's memory that may be used */
	/* memory and batching */
	int64_t max_model_len;                        /* 0: the config's, or what the KV cache holds */
	int64_t max_num_seqs, max_num_batched_tokens; /* 0: the device's default */
	int64_t block_size, kv_bytes, logits_rows;
	int64_t look_ahead; /* -1: all of max_tokens */
	bool prefix_caching;
	/* serving */
	char *tokenizer; /* a folder or a GGUF file, or NULL: the model's */
	char *chat_template;
	char *tool_call_parser, *reasoning_parser; /* NULL: by the template */
	char *hf_overrides;                        /* JSON object, or NULL */
	char *uds, *uds_group, *gateway_uid;
	char *limits; /* file of limits by user, or NULL */
	int64_t max_queued_reqs, max_queued_tokens, max_connections;
	int guided_whitespace; /* 1: JSON answers are compact where the request does not say */
	int64_t shutdown_timeout_s, watchdog_timeout_s;
	int log_level;
	char *pid_file, *log_file;
	/* one-shot */
	bool dry_run, json, help, version, inspect;
	/* for tests */
	char *hash_rows, *fault;
};

enum { OPTIONS_MAX_LORAS = 64 };
/* Reads all sources. `more`: names of options that the calling program has beside these, for "did you mean";
 * NULL-terminated, or NULL. ERR_INVALID with a text that names the flag, the value and the nearest valid one. *o must
 * be finished in any case. */
int options_parse(struct options *o, int argc, char **argv, const char *const *more, struct why *why);
/* Warns of variables XVERSED_* that name no option. */
void options_warn(FILE *to, char *const *environment);
/* Replaces model by the folder that it stands for, and sets served_name. The errors of model_find(). */
int options_find_model(struct options *o, struct why *why);
/* Whether an adapter may have this name of n bytes. */
bool options_is_name(const char *s, size_t n);
#define OPTIONS_NAME_RULE "it must be UTF-8, not be empty, nor hold blanks, quotes, backslashes or control characters"
/* Sets uds and served_name if they were not given. ERR_DENIED: there is no folder for the socket. ERR_INVALID: an
 * adapter has the model's name. */
int options_settle(struct options *o, struct why *why);
/* ERR_INVALID: an adapter has the model's name, which must be set. */
int options_check_names(const struct options *o, struct why *why);
/* The group that --uds-group names, else (gid_t)-1; the user of --gateway-uid, else this process's. ERR_INVALID: there
 * is none of that name. */
int options_find_group(const struct options *o, gid_t *out, struct why *why);
int options_find_gateway(const struct options *o, uid_t *out, struct why *why);
void options_finish(struct options *o);

/* Where options come from, to read them again while the server runs. */
struct options_source {
	int argc;
	char **argv;
	struct options start; /* as they were read first */
	int last_level;       /* --log-level as read last; `xverse log-level` may have changed the level since */
};
/* Keeps the pointers of argv, not argv itself. `now` was read from them. */
void options_source_open(struct options_source *s, const struct options *now, int argc, char **argv);
/* Reads all sources again. Takes over into *live what can change: --log-level (if it differs from the last reading),
 * --shutdown-timeout, and the limits of the queue up to their values at the start. Logs what changed and what needs a
 * restart. ERR_INVALID: nothing was taken. */
int options_reread(struct options_source *from, struct options *live, struct why *why);

void options_help(void); /* prints all options in groups to standard output */
/* A line of a file of options: "name: value" or "name = value", cut in place. # begins a comment. *name is NULL where
 * nothing is in it. ERR_INVALID: no colon. `source` names the line. */
int options_line(char *line, char **name, char **value, const char *source, struct why *why);
/* "16k" = 16000, "16K" = 16384; likewise m, M, g, G. 0, or without a text ERR_INVALID, or ERR_LIMIT: it has more than
 * 64 bits. */
int options_number(const char *text, int64_t *out);

/* ---- the table ---- */
enum option_kind {
	OPT_FLAG,
	OPT_NO_FLAG /* --no-X clears */,
	OPT_NUMBER,
	OPT_TEXT /* high: a list, whose values are joined by line feeds */,
	OPT_CHOICE
};
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
