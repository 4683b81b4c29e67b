/* model.h - classes of numerics, a backend for one, and a whole model with steps to run. */
#ifndef TESTS_BENCH_MODEL_H
#define TESTS_BENCH_MODEL_H

#include "engine/backend/kv.h"
#include "engine/models/model.h"
#include "engine/step.h"
#include "tests/bench/measure.h"

#include <string.h>

enum { BLOCK = 32 };

static const struct class
{
	const char *name;
	enum dtype stored, compute, kv;
	double weight_bytes; /* of one element */
	enum rate rate;
	enum quant quant;
} classes[] = {{"bf16", DT_BF16, DT_BF16, DT_BF16, 2, RATE_BF16, QUANT_NONE},
	       {"f32", DT_F32, DT_F32, DT_F32, 4, RATE_FMA, QUANT_NONE},
	       {"int8", DT_BF16, DT_BF16, DT_I8, 34 / 32.0, RATE_INT8, QUANT_INT8},
	       {"int4", DT_BF16, DT_BF16, DT_BF16, 18 / 32.0, RATE_INT8, QUANT_INT4},
	       {"q4_k", DT_F32, DT_F32, DT_F32, 4.625 / 8, RATE_INT8, QUANT_Q4_K},
	       {"q5_k", DT_F32, DT_F32, DT_F32, 5.625 / 8, RATE_INT8, QUANT_Q5_K},
	       {"q6_k", DT_F32, DT_F32, DT_F32, 6.5625 / 8, RATE_INT8, QUANT_Q6_K},
	       {"q4_1", DT_F32, DT_F32, DT_F32, 5.0 / 8, RATE_INT8, QUANT_Q4_1},
	       {"iq4_nl", DT_F32, DT_F32, DT_F32, 4.5 / 8, RATE_INT8, QUANT_IQ4_NL},
	       {"q5_0", DT_F32, DT_F32, DT_F32, 5.5 / 8, RATE_INT8, QUANT_Q5_0},
	       {"q5_1", DT_F32, DT_F32, DT_F32, 6.0 / 8, RATE_INT8, QUANT_Q5_1},
	       {"iq4_xs", DT_F32, DT_F32, DT_F32, 4.3125 / 8, RATE_INT8, QUANT_IQ4_XS}};
enum { N_CLASSES = sizeof classes / sizeof *classes };

static struct backend *open_backend(const struct class *c)
{
	struct cpu_options how = {.threads = opt.threads,
				  .isa = opt.isa,
				  .compute = c->compute,
				  .max_tokens = 512,
				  .max_context = 16384 + 512,
				  .max_cols = 13824,
				  .max_heads = 40,
				  .max_head_dim = 128,
				  .cpu = bench_cpus(opt.threads)};
	struct backend *b;
	struct why why;

	if (backend_cpu_create(&b, &how, &why))
		die("%s", why.text);
	return b;
}

/* n_seqs sequences of `keys` keys each, the last `tokens` of them new. */
static void attn_step(struct step *s, int n_seqs, int tokens, int keys)
{
	int t = 0, b = 0, per = div_up(keys, BLOCK);

	*s->head = (struct step_head){.kind = STEP_RUN,
				      .n_seqs = n_seqs,
				      .n_tokens = n_seqs * tokens,
				      .n_blocks = n_seqs * per,
				      .pad_seqs = n_seqs,
				      .pad_tokens = n_seqs * tokens};
	step_layout(s);
	for (int q = 0; q < n_seqs; q++) {
		s->seq[q] = q;
		s->q_start[q] = t;
		s->kv_len[q] = keys;
		s->block_start[q] = b;
		for (int i = 0; i < per; i++, b++)
			s->blocks[b] = b;
		for (int p = keys - tokens; p < keys; p++, t++) {
			s->token[t] = 1;
			s->pos[t] = p;
			s->slot[t] = (q * per + p / BLOCK) * BLOCK + p % BLOCK;
		}
	}
	s->q_start[n_seqs] = t;
	s->block_start[n_seqs] = b;
}

struct model_case {
	struct backend *b;
	struct comm *comm;
	struct model *m;
	struct kv kv;
	struct step step;
	float *logits;
};

static void run_model(void *arg, int rep)
{
	struct model_case *c = arg;
	int rows = c->step.head->n_rows;

	(void)rep;
	model_forward(c->m, &c->kv, &c->step);
	for (int first = 0; first < rows; first += 32)
		model_rows(c->m, first, min_int(32, rows - first), c->logits);
}

/* The last token of each sequence wants logits. Work that is skipped for the others does not count. */
static struct work model_work(struct model_case *c, const struct class *cl, int n_seqs, int tokens, int keys)
{
	const struct model_config *m = model_config(c->m);
	double h = m->hidden, n = n_seqs * tokens, ffn = 3.0 * h * m->ffn, att = 4 * h * h, head = h * m->vocab,
	       kv = 4.0 * n_seqs * keys * h;
	struct work w = {.rate = cl->rate, .units = n};

	attn_step(&c->step, n_seqs, tokens, keys);
	c->step.head->n_rows = c->step.head->pad_rows = n_seqs;
	for (int i = 0; i < n_seqs; i++)
		c->step.row[i] = (i + 1) * tokens - 1;
	for (int i = 0; i < n_seqs * tokens; i++) /* the embedding's rows come from memory, as a text's do */
		c->step.token[i] = (int)((unsigned)i * 2654435761u % (unsigned)m->vocab);
	w.ops = 2 * (n * (att * m->layers + ffn * (m->layers - 1)) + n_seqs * (ffn + head));
	w.bytes = cl->weight_bytes * m->layers * (att + ffn) +
		  (cl->quant == QUANT_INT4 ? 34.0 / 32 /* int8 */ : cl->weight_bytes) * head +
		  kv * m->layers * (double)dtype_size(cl->kv) / 2;
	return w;
}

/* Weights from a checkpoint, or (NULL) random. */
static void model_open(struct model_case *c, const struct class *cl, const struct model_config *cfg,
		       struct checkpoint *files, const char *pack_cache)
{
	struct step_limits lim = {.max_seqs = 32, .max_tokens = 512, .max_blocks = 1024, .rows = 32};
	struct model_options how = {.limits = lim,
				    .max_context = 4096,
				    .size = 1,
				    .dummy_seed = 7,
				    .pack_cache = pack_cache,
				    .quant = cl->quant,
				    .quant_head = cl->quant == QUANT_NONE ? QUANT_NONE : QUANT_INT8};
	struct comm_limits comm = model_comm_limits(cfg, &lim, 1);
	struct kv_shape shape;
	struct why why;

	*c = (struct model_case){.b = open_backend(cl), .comm = comm_self_create(&comm)};
	if (model_create(&c->m, cfg, files, c->b, c->comm, &how, NULL, &why))
		die("%s", why.text);
	shape = model_kv_shape(c->m, BLOCK, cl->kv);
	kv_init(&c->kv, c->b, &shape, cfg->layers, 1024);
	step_init(&c->step, &lim);
	c->logits = xalloc((size_t)lim.rows * (size_t)cfg->vocab, sizeof *c->logits);
}

static void model_close(struct model_case *c)
{
	free(c->logits);
	step_finish(&c->step);
	kv_finish(&c->kv);
	model_destroy(c->m);
	comm_destroy(c->comm);
	backend_destroy(c->b);
}

#endif
