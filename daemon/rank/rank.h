/* node.h - one rank, ready to run: model, cache, communicator, and what it holds in bytes. */
#ifndef DAEMON_RANK_RANK_H
#define DAEMON_RANK_RANK_H

#include "daemon/rank/fault.h"
#include "daemon/rank/report.h"
#include "daemon/options.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/backend/kv.h"
#include "engine/models/model.h"
#include "engine/sample/phase.h"
#include "engine/backend/cuda_plugin.h"
#include "engine/step.h"
#include "base/cores.h"
#include "parallel/world.h"

/* The order of sums: rises with any change of bits. */
enum { ORDER_VERSION = 1 };

struct node {
	struct world *world; /* borrowed */
	const struct options *opt;
	struct model_config cfg;
	struct checkpoint *files;  /* NULL: dummy */
	const struct plugin *cuda; /* NULL: the CPU computes */
	struct cuda_device gpu;    /* cuda */
	int device, sharing;       /* cuda: its number on this node; ranks that share it */
	struct backend *backend;
	struct comm *comm;
	struct model *model;
	struct sample_phase *sample; /* rank 0; else NULL */
	struct kv kv;
	struct step step; /* ranks above 0 */
	struct step_limits limits;
	int threads, max_model_len, n_blocks;
	struct core_share *cores; /* borrowed; NULL in a plan */
	enum dtype compute, kv_type;
	enum quant quant, quant_head;
	enum cpu_isa isa;
	bool isa_forced; /* by option */
	char numerics_class[96];
	uint64_t fingerprint;
	struct node_report report;
	struct fault fault; /* tests only */
};

/* What needs no weights: config, checkpoint's list of tensors, device, types, limits. Collective, but for a plan (cores
 * NULL); every rank fails alike. */
int node_prepare(struct node *n, const struct options *o, struct world *w, struct core_share *cores, struct why *why);
/* Backend, communicator, weights, cache. Collective: a refusal on one rank is one on all (the text is on that
 * rank). */
int node_load(struct node *n, struct load_progress *progress, struct why *why);
/* Backend and model of n->world's rank alone. dry: they take no memory and read no weights, for plans (no
 * communicator is made). */
int node_make_model(struct node *n, struct load_progress *progress, bool dry, struct why *why);
/* The program's status after a refusal. */
int node_exit_code(int err);
void node_finish(struct node *n);

/* Rows of logits of one step, R at a time, on every rank; rank 0 gives `take`, called when they are on their way to
 * n->sample. Waits for none. */
void node_rows(struct node *n, const struct step *s, void (*take)(void *arg, int first, int count), void *arg);

/* Ranks other than 0: run what rank 0 plans until it says stop. */
void follow(struct node *n);

#endif
