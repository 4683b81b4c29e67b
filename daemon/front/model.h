/* model.h - the loaded model as clients see it. */
#ifndef DAEMON_FRONT_MODEL_H
#define DAEMON_FRONT_MODEL_H

#include <stdint.h>

struct rank_report;

/* Constant once the link says READY. The first group must be set before front_open(). */
struct front_model {
	int vocab, n_eos, max_seqs, ranks;
	const int *eos;     /* (n_eos) of config.json */
	const char *device; /* "cpu", "cuda" */
	/* set before the link says READY */
	uint64_t fingerprint; /* of files and config; the front adds the tokenizer's */
	const char *architecture, *numerics_class, *isa;
	const char *gpu_sums, *gpu_links; /* "" where there are none between GPUs */
	uint64_t parameters, active_parameters;
	int experts, experts_per_token;
	int n_blocks, max_model_len, max_tokens /* a step */, threads;
	const struct rank_report *report; /* (ranks) */
};

#endif
