#include "base/cores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { MILLI = 1000 };

/* The node's CPUs in planning order, and the ranks that may use them. */
struct plan {
	const struct core_ask *ask;
	int ranks, units;
	struct core_unit unit[CPU_SETSIZE];
	int sharers[CPU_SETSIZE]; /* by CPU: ranks whose masks hold it */
	bool used[CPU_SETSIZE];   /* by CPU: it is in a share */
};

static void add_unknown(struct plan *p)
{
	cpu_set_t known;

	CPU_ZERO(&known);
	for (int i = 0; i < p->units; i++)
		CPU_SET(p->unit[i].cpu, &known);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (p->sharers[cpu] && !CPU_ISSET(cpu, &known))
			p->unit[p->units++] = (struct core_unit){.cpu = cpu};
}

static void plan_init(struct plan *p, const struct core_unit *unit, int units, const struct core_ask *ask, int ranks)
{
	memset(p, 0, sizeof *p);
	p->ask = ask;
	p->ranks = ranks;
	for (int i = 0; i < units && p->units < CPU_SETSIZE; i++)
		if (unit[i].cpu >= 0 && unit[i].cpu < CPU_SETSIZE)
			p->unit[p->units++] = unit[i];
	for (int r = 0; r < ranks; r++)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			p->sharers[cpu] += CPU_ISSET(cpu, &ask[r].mask) != 0;
	add_unknown(p);
}

/* CPUs that a rank's share has: those of its mask, each divided by the ranks that hold it. Ranks with the same mask
 * differ by at most one, the first ones having more. */
static int fair_count(const struct plan *p, int rank)
{
	const cpu_set_t *mask = &p->ask[rank].mask;
	int64_t sum = 0, whole = (int64_t)1 << 40;
	int before = 0, same = 0, n;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, mask))
			sum += whole / p->sharers[cpu];
	for (int r = 0; r < p->ranks; r++) {
		bool equal = CPU_EQUAL(mask, &p->ask[r].mask);
		same += equal;
		before += equal && r < rank;
	}
	sum += (int64_t)p->ranks * CPU_SETSIZE; /* what the divisions dropped */
	n = (int)(sum * same / whole);
	return max_int(1, n / same + (before < n % same));
}

/* Ranks with few CPUs to choose from choose first. */
static void order_ranks(const struct plan *p, int *order)
{
	for (int r = 0; r < p->ranks; r++) {
		int at = r, count = CPU_COUNT(&p->ask[r].mask);

		while (at > 0 && CPU_COUNT(&p->ask[order[at - 1]].mask) > count) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = r;
	}
}

/* Takes up to `want` CPUs of the rank's mask into its share; `taken` ones only where `also_taken`. */
static void take_units(struct plan *p, int rank, int want, const cpu_set_t *taken, bool also_taken,
		       struct core_share *s)
{
	for (int i = 0; i < p->units && s->n_cpu < want; i++) {
		int cpu = p->unit[i].cpu;

		if (!CPU_ISSET(cpu, &p->ask[rank].mask) || p->used[cpu] || CPU_ISSET(cpu, taken) != also_taken)
			continue;
		p->used[cpu] = true;
		s->cpu[s->n_cpu++] = cpu;
	}
}

static int sibling_of(const struct plan *p, int cpu)
{
	for (int i = 0; i < p->units; i++)
		if (p->unit[i].cpu == cpu)
			return p->unit[i].sibling;
	return 0;
}

/* The first hardware threads of all cores before the second ones, as threads of one core share its vector units. */
static void cores_first(const struct plan *p, struct core_share *s, int n)
{
	for (int i = 1; i < n; i++) {
		int cpu = s->cpu[i], sibling = sibling_of(p, cpu), at = i;

		while (at > 0 && sibling_of(p, s->cpu[at - 1]) > sibling) {
			s->cpu[at] = s->cpu[at - 1];
			at--;
		}
		s->cpu[at] = cpu;
	}
}

/* The rank's part of its group's quota, in whole CPUs, at least one; INT_MAX without a quota. */
static int quota_threads(const struct plan *p, int rank)
{
	const struct core_ask *a = &p->ask[rank];
	int sharers = 0, before = 0, whole = (int)(a->quota / MILLI);

	if (!a->quota)
		return CPU_SETSIZE;
	for (int r = 0; r < p->ranks; r++) {
		bool same = p->ask[r].quota && p->ask[r].group == a->group;
		sharers += same;
		before += same && r < rank;
	}
	return max_int(1, whole / sharers + (before < whole % sharers));
}

/* Whether the quota of the rank's group suffices for all threads of the group. */
static bool quota_suffices(const struct plan *p, const struct core_share *out, int rank)
{
	int64_t need = 0;

	for (int r = 0; r < p->ranks; r++)
		if (p->ask[r].group == p->ask[rank].group)
			need += out[r].threads;
	return !p->ask[rank].quota || need * MILLI <= p->ask[rank].quota;
}

static void fill_share(struct plan *p, int rank, const cpu_set_t *taken, struct core_share *s)
{
	int want = fair_count(p, rank), asked = p->ask[rank].threads, free_cpus;

	*s = (struct core_share){.alone = true};
	take_units(p, rank, want, taken, false, s);
	free_cpus = s->n_cpu;
	take_units(p, rank, want, taken, true, s);
	cores_first(p, s, free_cpus);
	s->alone = s->n_cpu > 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && !s->n_cpu; cpu++) /* other ranks' shares hold its whole mask */
		if (CPU_ISSET(cpu, &p->ask[rank].mask))
			s->cpu[s->n_cpu++] = cpu;
	s->threads = asked ? asked : min_int(max_int(1, s->n_cpu), quota_threads(p, rank));
	s->pin = s->threads <= free_cpus;
}

void cores_plan(const struct core_unit *unit, int units, const struct core_ask *ask, int ranks, const cpu_set_t *taken,
		struct core_share *out)
{
	struct plan *p = xalloc(1, sizeof *p);
	int *order = xalloc((size_t)ranks, sizeof *order);
	bool roomy = true, alone = true;

	plan_init(p, unit, units, ask, ranks);
	order_ranks(p, order);
	for (int i = 0; i < ranks; i++)
		fill_share(p, order[i], taken, &out[order[i]]);
	for (int r = 0; r < ranks; r++) {
		roomy = roomy && out[r].pin && quota_suffices(p, out, r);
		alone = alone && out[r].alone;
	}
	for (int r = 0; r < ranks; r++) {
		out[r].roomy = roomy;
		out[r].alone = alone;
	}
	free(order);
	free(p);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void cores_text(const int *cpu, int n, char *out, int size)
{
	int *sorted = xalloc((size_t)n + 1, sizeof *sorted), used = 0;

	memcpy(sorted, cpu, (size_t)n * sizeof *cpu);
	qsort(sorted, (size_t)n, sizeof *sorted, by_number);
	*out = 0;
	for (int i = 0, last; i < n && used < size; i = last + 1) {
		for (last = i; last + 1 < n && sorted[last + 1] == sorted[last] + 1;)
			last++;
		used += snprintf(out + used, (size_t)(size - used), last > i ? "%s%d-%d" : "%s%d", i ? "," : "",
				 sorted[i], sorted[last]);
	}
	free(sorted);
}
