/* cores.h - plans which CPUs of a node each of its ranks uses. Pure arithmetic: the caller passes the node's CPUs in
 * topology order and what each rank may use, and gets disjoint shares that keep a rank within one package if possible.
 */
#ifndef BASE_CORES_H
#define BASE_CORES_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* A CPU as the operating system numbers it (a hardware thread). `sibling` counts the hardware threads of one core from
 * 0. */
struct core_unit {
	int cpu, sibling;
};

/* What one rank may use. */
struct core_ask {
	cpu_set_t mask; /* CPUs that it may run on */
	int64_t quota;  /* CPU time of its control group in thousandths of a CPU; 0: no quota */
	uint64_t group; /* ranks of the same number share that quota */
	int threads;    /* requested; 0: as many as its share has CPUs */
};

struct core_share {
	int threads; /* at least 1 */
	bool pin;    /* cpu[] holds one CPU a thread, which neither another rank nor `taken` has */
	bool roomy;  /* every thread of every rank has a CPU and the quota for it, so that waiting threads may spin */
	bool alone;  /* every rank has at least one CPU that no other rank has */
	int n_cpu;   /* CPUs of the share, at least 1 */
	int cpu[CPU_SETSIZE]; /* the share: `threads` CPUs to pin to first, distinct cores before second hardware
				 threads */
};

/* Plans for `ranks` ranks of one node. unit: its CPUs in the order of the topology (package, core, hardware thread);
 * CPUs of a mask that are not in it come last, by number. taken: CPUs that another program has pinned threads to.
 *
 * A rank's share has as many CPUs as its mask, each counted by the number of ranks whose masks hold it; ranks with the
 * smallest masks choose first, and each takes its CPUs in the order of the topology. A quota bounds the number of
 * threads unless the option sets it. */
void cores_plan(const struct core_unit *unit, int units, const struct core_ask *ask, int ranks, const cpu_set_t *taken,
		struct core_share *out /* (ranks) */);

/* Writes a list such as "0-15,32-47" (sorted). */
void cores_text(const int *cpu, int n, char *out, int size);

#endif
