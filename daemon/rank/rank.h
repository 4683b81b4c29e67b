/* rank.h - one rank: its device, model, KV cache and communicator, and what they hold in bytes. */
#ifndef DAEMON_RANK_RANK_H
#define DAEMON_RANK_RANK_H

#include "base/cores.h"
#include "daemon/options.h"
#include "daemon/rank/adapters.h"
#include "daemon/rank/fault.h"
#include "daemon/rank/report.h"
#include "engine/backend/kv.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/models/model.h"
#include "engine/sample/phase.h"
#include "engine/step.h"
#include "parallel/world.h"

/* The order of sums: rises with any change of bits. */
enum { ORDER_VERSION = 2 };

struct rank;

/* A kind of device that ranks compute on. */
struct device_ops {
	const char *name;           /* "cpu", "cuda" */
	bool own_memory;            /* it has memory beside the host's, to which tables of the host do not count */
	struct quant_forms forms;   /* what it holds of quantised files */
	uint64_t context_bytes;     /* that its driver takes, about */
	int step_tokens, step_seqs; /* of a step at most, where the options do not say */
	enum dtype (*compute)(enum dtype stored); /* the compute type for weights of a stored type */
	/* The part of the numerics class that names the device. */
	void (*numerics)(const struct rank *self, char *out, size_t size);
	/* Creates self->backend. dry: for plans, without memory or driver. */
	int (*backend)(struct rank *self, bool dry, struct why *why);
	/* Collective. Creates self->comm. */
	int (*comm)(struct rank *self, const struct comm_limits *limits, struct why *why);
	uint64_t (*comm_bytes)(const struct rank *self, const struct comm_limits *limits);
	/* With own_memory, else NULL: bytes free now; bytes that this rank may still allocate of `percent` of the
	 * device. In a plan the rank holds `held`; otherwise the driver is asked. */
	int (*free)(const struct rank *self, uint64_t *bytes, struct why *why);
	uint64_t (*room)(const struct rank *self, uint64_t held, int percent);
};

struct device {
	const struct device_ops *ops;
	char name[64];   /* "NVIDIA H100 80GB HBM3", or the CPU's instruction set */
	uint64_t memory; /* bytes of its own; 0: none */
	int sharing;     /* ranks that share it; 0 on the CPU */
	int on_gpu;      /* these, and ranks on other MIG slices of the same GPU, between which NCCL makes no sums */
	int most_on_gpu; /* the same of any rank's device */
	char links[256]; /* how the ranks' GPUs reach each other; "" where there are not several */
};

struct rank {
	struct world *world; /* borrowed */
	const struct options *opt;
	struct model_config cfg;
	struct checkpoint *files; /* NULL: dummy */
	struct device device;
	struct backend *backend;
	struct comm *comm;
	struct model *model;
	struct rank_loras loras;
	struct sample_phase *sample; /* rank 0; else NULL */
	struct kv kv;
	struct step step; /* ranks above 0 */
	struct step_limits limits;
	int threads, max_model_len, n_blocks;
	uint64_t answers;         /* about what rank 0 holds on the host for constrained answers, in bytes */
	struct core_share *cores; /* borrowed; NULL in a plan */
	enum dtype compute, kv_type;
	enum quant quant, quant_head;
	bool as_files, head_as_files; /* in place of quant, quant_head: the class of the files */
	enum cpu_isa isa;
	bool isa_forced; /* by option */
	bool bare;       /* a plan of a folder without weights */
	char numerics_class[96];
	struct rank_report report;
	struct fault fault; /* tests only */
};

struct sched_limits;
/* Limits of rank 0's scheduler. */
struct sched_limits rank_sched_limits(const struct rank *self);
/* All ranks. Enqueues the logits of a step's rows, limits.rows at a time. Rank 0 passes `take`, which is called when
 * rows [first, first + count) are on their way to self->sample. */
void rank_rows(struct rank *self, const struct step *s, void (*take)(void *arg, int first, int count), void *arg);
/* The program's exit code after a refusal. */
int rank_exit_code(int err);
void rank_finish(struct rank *self);

#endif
