/* plan.c - creates every rank on a dry backend, which counts memory without allocating it. */
#include "daemon/rank/plan.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rank/cross.h"
#include "daemon/rank/fits.h"
#include "daemon/rank/loras.h"
#include "daemon/rank/memory.h"
#include "daemon/rank/model.h"
#include "daemon/rank/start.h"
#include "engine/sched/blocks.h"

struct plan {
	struct rank rank;
	struct world world;
	struct rank_need *need; /* (world.size) */
	uint64_t memory;
	int64_t blocks, wanted,
		longest; /* KV blocks; those of one sequence of max_model_len; those of the longest that fits */
	bool shortened;  /* max_model_len was reduced to what the KV cache holds */
};

/* A number of this process's job from the environment of Open MPI or Slurm. */
static int from_environment(const char *ompi, const char *slurm, int fallback)
{
	const char *text = getenv(ompi);

	if (!text)
		text = getenv(slurm);
	return text ? atoi(text) : fallback;
}

/* Ranks of the node of a rank. */
static int ranks_beside(const struct plan *p, int r)
{
	return p->world.nodes.node[p->world.nodes.of_rank[r]].ranks;
}

static int plan_rank(struct plan *p, int r, struct why *why)
{
	p->rank.world = &p->world;
	p->world.rank = r;
	p->world.nodes.mine = p->world.nodes.of_rank[r];
	p->world.local_rank = r - p->world.nodes.node[p->world.nodes.mine].leader;
	p->world.local_size = ranks_beside(p, r);
	return rank_need(&p->rank, &p->need[r], why);
}

static bool own_memory(const struct plan *p)
{
	return p->rank.device.ops->own_memory;
}

static uint64_t work(const struct plan *p, int r)
{
	const struct rank_need *n = &p->need[r];

	return n->work + n->comm + p->rank.device.ops->context_bytes +
	       (r || own_memory(p) ? 0 : fits_sampler(&p->rank));
}

static uint64_t held(const struct plan *p, int r)
{
	return p->need[r].weights + p->need[r].loras + p->need[r].graphs + work(p, r);
}

/* With tables for sequences of max_model_len, unless the device has memory of its own. */
static uint64_t with_tables(const struct plan *p, int r)
{
	uint64_t books = r ? 0 : (uint64_t)p->blocks * blocks_bytes((int)p->rank.opt->block_size);

	return held(p, r) + (own_memory(p) ? 0 : fits_tables(&p->rank, r, p->rank.max_model_len) + books);
}

/* The rank with least room decides, as at a real start (fits.c). */
static void plan_cache(struct plan *p)
{
	struct rank *n = &p->rank;

	p->wanted = div_up(n->max_model_len, (int)n->opt->block_size);
	p->longest = p->wanted;
	for (int r = 0; r < p->world.size; r++) {
		int64_t longest = fits_longest(n, r, held(p, r), p->need[r].block, ranks_beside(p, r));
		p->longest = longest < p->longest ? longest : p->longest;
	}
	if (p->longest > 0 && p->longest < p->wanted && !n->opt->max_model_len) {
		n->max_model_len = (int)(p->longest * n->opt->block_size);
		p->wanted = p->longest;
		p->shortened = true;
	}
	p->blocks = INT64_MAX;
	for (int r = 0; r < p->world.size; r++) {
		int64_t blocks = fits_blocks(n, r, held(p, r), p->need[r].block, ranks_beside(p, r), n->max_model_len);
		p->blocks = blocks < p->blocks ? blocks : p->blocks;
	}
}

static uint64_t total(const struct plan *p, int r)
{
	return with_tables(p, r) + p->need[r].block * (uint64_t)p->blocks;
}

/* Bytes with `blocks` KV blocks: of the machine, or of the GPU, that holds most. */
static uint64_t with_cache(const struct plan *p, int64_t blocks)
{
	uint64_t sum = 0, most = 0, most_of_node = 0;

	for (int r = 0; r < p->world.size; r++) {
		uint64_t one = with_tables(p, r) + p->need[r].block * (uint64_t)blocks;

		/* in a plan, ranks of a node follow each other */
		sum = (r && p->world.nodes.of_rank[r] != p->world.nodes.of_rank[r - 1] ? 0 : sum) + one;
		most = one > most ? one : most;
		most_of_node = sum > most_of_node ? sum : most_of_node;
	}
	return own_memory(p) ? most * (uint64_t)p->rank.device.sharing : most_of_node;
}

static bool fits(const struct plan *p)
{
	return p->blocks >= p->wanted && with_cache(p, p->blocks) <= p->memory;
}

static double gib(uint64_t bytes)
{
	return (double)bytes / (1 << 30);
}

/* What rank 0 holds on the host beside GPUs: tables, blocks' books and constrained answers. */
static uint64_t beside_gpus(const struct plan *p)
{
	return fits_tables(&p->rank, 0, p->rank.max_model_len) +
	       (uint64_t)p->blocks * blocks_bytes((int)p->rank.opt->block_size) + p->rank.answers;
}

static uint64_t workspace(const struct plan *p, int r)
{
	return with_tables(p, r) - p->need[r].weights - p->need[r].loras - p->need[r].graphs;
}

static void print_ranks(FILE *to, const struct plan *p)
{
	const struct rank *n = &p->rank;
	char experts[64] = "", on_nodes[32] = "";

	if (p->world.nodes.n > 1)
		snprintf(on_nodes, sizeof on_nodes, " on %d nodes", p->world.nodes.n);

	if (n->cfg.experts)
		snprintf(experts, sizeof experts, " (%.2f for a token)",
			 (double)model_active_parameters(&n->cfg) / 1e9);
	fprintf(to, "%s: %.2f billion parameters%s, %s, %d rank%s%s\n\n", n->cfg.architecture,
		(double)model_parameters(&n->cfg) / 1e9, experts, n->numerics_class, p->world.size,
		p->world.size > 1 ? "s" : "", on_nodes);
	fprintf(to, "%srank      weights     KV cache    workspace%s%s        total   (GiB)\n",
		p->world.nodes.n > 1 ? "node " : "", n->loras.slots ? "     adapters" : "",
		own_memory(p) ? "       graphs" : "");
	for (int r = 0; r < p->world.size; r++) {
		if (p->world.nodes.n > 1)
			fprintf(to, "%4d ", p->world.nodes.of_rank[r]);
		fprintf(to, "%4d %12.3f %12.3f %12.3f", r, gib(p->need[r].weights),
			gib(p->need[r].block * (uint64_t)p->blocks), gib(workspace(p, r)));
		if (n->loras.slots)
			fprintf(to, " %12.3f", gib(p->need[r].loras));
		if (own_memory(p))
			fprintf(to, " %12.3f", gib(p->need[r].graphs));
		fprintf(to, " %12.3f\n", gib(total(p, r)));
	}
}

static void print_verdict(const struct plan *p)
{
	const struct rank *n = &p->rank;

	if (fits(p))
		printf("fits\n");
	else if (p->longest > 0 && p->longest < p->wanted)
		printf("does not fit: the largest is --max-model-len %lld\n",
		       (long long)(p->longest * n->opt->block_size));
	else if (with_cache(p, p->wanted) <= p->memory)
		printf("does not fit: --kv-cache-memory-bytes is %s\n",
		       p->blocks < p->wanted ? "less than one sequence takes" : "more than there is");
	else
		printf("does not fit: with one such sequence %.2f GiB would be held%s\n", gib(with_cache(p, p->wanted)),
		       own_memory(p) ? " on a GPU" : "");
}

static void print_table(const struct plan *p)
{
	const struct rank *n = &p->rank;
	int block = (int)n->opt->block_size;

	print_ranks(stdout, p);
	printf("\nKV cache: %lld tokens; %lld sequence%s of %d tokens at a time%s\n", (long long)(p->blocks * block),
	       (long long)(p->blocks / p->wanted), p->blocks / p->wanted == 1 ? "" : "s", n->max_model_len,
	       p->shortened ? " (--max-model-len is set to what the cache holds)" : "");
	printf("a step:   %d tokens, %d sequences at most\n", n->limits.max_tokens, n->limits.max_seqs);
	if (n->loras.slots)
		printf("adapters: %d slots for ranks up to %d\n", n->loras.slots, n->loras.rank);
	printf("memory:   %.2f GiB of %.2f GiB", gib(with_cache(p, p->blocks)), gib(p->memory));
	if (own_memory(p))
		printf(" of each GPU (%lld %% of %.2f GiB are used at most)\n", (long long)n->opt->gpu_percent,
		       gib(n->device.memory));
	else
		printf("%s (RAM or the control group's limit)\n", p->world.nodes.n > 1 ? " of each node" : "");
	if (own_memory(p))
		printf("host:     %.2f GiB of rank 0's machine, %.2f of them for constrained answers\n",
		       gib(beside_gpus(p)), gib(n->answers));
	if (p->world.nodes.n > 1)
		cross_print(n);
	if (n->bare)
		printf("weights:  none are here yet; the types are those that config.json names\n");
	print_verdict(p);
}

/* Names of files need not be UTF-8, and then their bytes are shown as question marks. */
static json_t *line_json(const char *line, size_t n)
{
	json_t *s = json_stringn(line, n);
	char *ascii;

	if (s)
		return s;
	ascii = xprintf("%.*s", (int)n, line);
	for (char *c = ascii; *c; c++)
		*c = *c & 0x80 ? '?' : *c;
	s = json_string(ascii);
	free(ascii);
	return s;
}

static json_t *lines_json(const char *lines)
{
	json_t *all = json_array();

	for (const char *end; lines && (end = strchr(lines, '\n')); lines = end + 1)
		json_array_append_new(all, line_json(lines, (size_t)(end - lines)));
	return all;
}

static void print_json(const struct plan *p, const char *refused)
{
	json_t *ranks = json_array(), *all;

	for (int r = 0; r < p->world.size; r++)
		json_array_append_new(
			ranks, json_pack("{s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I}", "rank", r, "node",
					 p->world.nodes.of_rank[r], "weight_bytes", (json_int_t)p->need[r].weights,
					 "kv_bytes", (json_int_t)(p->need[r].block * (uint64_t)p->blocks), "work_bytes",
					 (json_int_t)workspace(p, r), "lora_bytes", (json_int_t)p->need[r].loras,
					 "graph_bytes", (json_int_t)p->need[r].graphs, "total_bytes",
					 (json_int_t)total(p, r)));
	all = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:i,s:i,s:i,s:I,s:I,s:I,s:i,s:I,s:b,s:o,s:o}", "architecture",
			p->rank.cfg.architecture, "numerics_class", p->rank.numerics_class, "parameters",
			(json_int_t)model_parameters(&p->rank.cfg), "active_parameters",
			(json_int_t)model_active_parameters(&p->rank.cfg), "kv_tokens",
			(json_int_t)(p->blocks * p->rank.opt->block_size), "sequences",
			(json_int_t)(p->blocks / p->wanted), "max_model_len", p->rank.max_model_len,
			"max_num_batched_tokens", p->rank.limits.max_tokens, "max_num_seqs", p->rank.limits.max_seqs,
			"memory_bytes", (json_int_t)p->memory, "answer_bytes", (json_int_t)p->rank.answers,
			"host_bytes", (json_int_t)(own_memory(p) ? beside_gpus(p) : 0), "nodes", p->world.nodes.n,
			"token_bytes_between_nodes", (json_int_t)cross_token_bytes(&p->rank), "fits", fits(p),
			"refused", lines_json(refused), "ranks", ranks);
	json_dumpf(all, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(all);
}

static int make_plan(struct plan *p, const struct options *o, struct why *why)
{
	int err = rank_prepare(&p->rank, o, &p->world, NULL, why);

	p->need = xalloc((size_t)p->world.size, sizeof *p->need);
	p->memory = !err && own_memory(p) ? p->rank.device.memory / 100 * (uint64_t)o->gpu_percent : memory_limit();
	for (int r = 0; !err && r < p->world.size; r++)
		err = plan_rank(p, r, why);
	if (!err)
		plan_cache(p);
	return err;
}

static void open_world(struct plan *p, int size, int nodes)
{
	p->world = (struct world){.size = size, .local_size = div_up(size, nodes)};
	nodes_even(&p->world.nodes, 0, size, nodes);
}

static void close_plan(struct plan *p)
{
	free(p->need);
	nodes_finish(&p->world.nodes);
	loras_close(&p->rank);
	checkpoint_close(p->rank.files);
}

void dry_run_ranks(FILE *to, const struct options *o, int size)
{
	static struct plan p;
	struct options plan = *o;
	struct why why;

	plan.dry_run = true;
	open_world(&p, size, 1);
	if (!make_plan(&p, &plan, &why))
		print_ranks(to, &p);
	close_plan(&p);
}

int dry_run(const struct options *o, const char *refused)
{
	static struct plan p;
	struct why why = {""};
	bool good;
	int err, size = o->tensor_parallel ? (int)o->tensor_parallel
					   : from_environment("OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS", 1);

	if (from_environment("OMPI_COMM_WORLD_RANK", "SLURM_PROCID", 0))
		return 0; /* the first one prints the plan */
	if (o->plan_nodes > max_int(1, size)) {
		fprintf(stderr, "xversed: --nodes %lld: there are %d ranks, and each node has one or more\n",
			(long long)o->plan_nodes, max_int(1, size));
		return EXIT_USAGE;
	}
	open_world(&p, max_int(1, size), max_int(1, (int)o->plan_nodes));
	err = make_plan(&p, o, &why);
	if (err) {
		fprintf(stderr, "xversed: %s\n", why.text);
		return rank_exit_code(err);
	}
	if (o->json)
		print_json(&p, refused);
	else
		print_table(&p);
	good = fits(&p);
	close_plan(&p);
	return good ? 0 : EXIT_CONFIG;
}
