/* One model, kept open, that runs steps on request, so that something else can be measured in between.
 *
 *   build/tests/bench/steps MODEL_DIR --class NAME [--threads N] [--pack-cache DIR]
 *
 * A line "SEQUENCES TOKENS KEYS REPS" on standard input is answered by one line of JSON: milliseconds of each
 * run, each after probes of the limits, and those. */
#include "engine/checkpoint/checkpoint.h"
#include "base/wait.h"
#include "tests/bench/model.h"

#include <unistd.h>

/* Not what is stored but what a peer's file of the same bits is compared with. */
static const struct class kinds[] = {{"bf16", DT_BF16, DT_BF16, DT_BF16, 2, RATE_BF16, QUANT_NONE},
				     {"f32", DT_BF16, DT_F32, DT_F32, 2, RATE_FMA, QUANT_NONE},
				     {"int8", DT_BF16, DT_BF16, DT_BF16, 34 / 32.0, RATE_INT8, QUANT_INT8},
				     {"int4", DT_BF16, DT_BF16, DT_BF16, 18 / 32.0, RATE_INT8, QUANT_INT4}};

static const struct class *kind_named(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (name && !strcmp(name, kinds[i].name))
			return &kinds[i];
	die("--class is bf16, f32, int8 or int4");
}

static void tell(json_t *line)
{
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static void run_steps(struct model_case *c, const struct class *k, int seqs, int tokens, int keys, int reps)
{
	struct work w = model_work(c, k, seqs, tokens, keys);
	json_t *ms = json_array(), *peak = json_array(), *read = json_array();

	run_model(c, 0);
	for (int r = 0; r < reps; r++) {
		uint64_t start;
		json_array_append_new(read, json_real(limits_probe(&limits, RATE_READ) / 1e9));
		json_array_append_new(peak, json_real(probe(k->rate) / 1e9));
		start = now_ns();
		run_model(c, r);
		json_array_append_new(ms, json_real((double)(now_ns() - start) / 1e6));
	}
	tell(json_pack("{s:o,s:o,s:o,s:f,s:f}", "ms", ms, "peak", peak, "read", read, "giga_ops", w.ops / 1e9,
		       "giga_bytes", w.bytes / 1e9));
}

static void serve_lines(struct model_case *c, const struct class *k)
{
	int seqs, tokens, keys, reps;
	char line[128];

	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%d %d %d %d", &seqs, &tokens, &keys, &reps) != 4 || seqs < 1 || seqs > 32 ||
		    tokens < 1 || tokens > 512 / seqs || keys < tokens || keys > 4096 ||
		    seqs * div_up(keys, BLOCK) > 1024)
			die("not a step: %s", line);
		else
			run_steps(c, k, seqs, tokens, keys, reps);
	}
}

int main(int argc, char **argv)
{
	const char *pack_cache = NULL;
	struct checkpoint *files;
	struct model_config cfg;
	struct model_case c;
	struct pool *pool;
	struct why why;

	opt.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	for (int i = 2; i + 1 < argc; i += 2) {
		opt.threads = strcmp(argv[i], "--threads") ? opt.threads : atoi(argv[i + 1]);
		opt.class = strcmp(argv[i], "--class") ? opt.class : argv[i + 1];
		pack_cache = strcmp(argv[i], "--pack-cache") ? pack_cache : argv[i + 1];
	}
	if (argc < 2 || model_config_read(&cfg, argv[1], &why) || checkpoint_open_as(&files, argv[1], CK_ANY, &why))
		die("%s", argc < 2 ? "wanted: MODEL_DIR" : why.text);
	wait_policy(30000);
	pool = pool_create(opt.threads, bench_cpus(opt.threads));
	limits_open(&limits, pool, cpu_isa_best(), (size_t)1 << 29);
	model_open(&c, kind_named(opt.class), &cfg, files, pack_cache);
	tell(json_pack("{s:s,s:i}", "isa", cpu_isa_name(cpu_isa_best()), "threads", opt.threads));
	serve_lines(&c, kind_named(opt.class));
	model_close(&c);
	checkpoint_close(files);
	limits_close(&limits);
	pool_destroy(pool);
	return 0;
}
