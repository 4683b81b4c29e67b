/* model.h - the loaded model as clients see it. */
#ifndef DAEMON_FRONT_MODEL_H
#define DAEMON_FRONT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct ballot;
struct rank_lora;
struct rank_report;
struct world;

/* Constant once the link says READY. The first group must be set before front_open(). */
struct front_model {
	int vocab, n_eos, max_seqs, ranks;
	const int *eos;     /* (n_eos) of config.json */
	bool eos_assumed;   /* it names none: they are the class's */
	const char *device; /* "cpu", "cuda" */
	/* set before the link says READY */
	const struct rank_lora *lora; /* (n_loras) of --lora: number i is in slot i, unless they are merged */
	int n_loras, lora_slots, lora_rank;
	bool lora_merged;
	struct ballot *ballot; /* NULL without slots */
	uint64_t fingerprint;  /* of files and config; the front adds the tokenizer's */
	const char *architecture, *numerics_class, *isa;
	const char *gpu_sums, *gpu_links; /* "" where there are none between GPUs */
	uint64_t parameters, active_parameters;
	int experts, experts_per_token;
	int n_blocks, max_model_len, max_tokens /* a step */, threads;
	const struct rank_report *report; /* (ranks) */
	const struct world *world;        /* which rank is on which node, and their links */
};

#endif
