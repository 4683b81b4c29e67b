/* logits MODEL_DIR COMPUTE CHUNK [QUANT [KV [ADAPTER|merge=ADAPTER]]] < ids > rows: reads int32 ids, writes the f32
 * logits of every position. COMPUTE: f32 or bf16. QUANT: none, int8 or int4 (embedding and head int8), or auto: the
 * class of the files. KV: auto or int8. For tests against oracles; under mpirun the model is split over the ranks, and
 * rank 0 reads and writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/lora.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/gguf/documents.h"
#include "engine/models/lora.h"
#include "engine/models/model.h"
#include "engine/models/settle.h"
#include "base/wait.h"
#include "parallel/world.h"

enum { MAX_LEN = 1024, BLOCK = 32 };

static void fill_step(struct step *s, const int32_t *ids, int first, int n, int no, int adapter)
{
	int blocks = (first + n + BLOCK - 1) / BLOCK;

	*s->head = (struct step_head){.kind = STEP_RUN,
				      .no = no,
				      .n_seqs = 1,
				      .n_tokens = n,
				      .n_rows = n,
				      .n_blocks = blocks,
				      .pad_seqs = 1,
				      .pad_tokens = n,
				      .pad_rows = n};
	step_layout(s);
	s->seq[0] = 0;
	s->adapter[0] = adapter;
	s->q_start[0] = s->block_start[0] = 0;
	s->q_start[1] = n;
	s->kv_len[0] = first + n;
	s->block_start[1] = blocks;
	for (int b = 0; b < blocks; b++)
		s->blocks[b] = b;
	for (int t = 0; t < n; t++) {
		s->token[t] = ids[first + t];
		s->pos[t] = s->slot[t] = first + t;
		s->row[t] = t;
	}
}

/* Opens the adapter of the command line, if any, and says in `opt` what is to be done with it. */
static int open_adapter(struct adapter **a, const char *text, struct model_options *opt, struct why *why)
{
	bool merge = !strncmp(text, "merge=", 6);

	if (!*text)
		return 0;
	if (adapter_open(a, merge ? text + 6 : text, why))
		return ERR_FORMAT;
	opt->merge = a;
	opt->n_merge = merge;
	opt->loras = !merge;
	opt->lora_rank = (*a)->rank;
	return 0;
}

int main(int argc, char **argv)
{
	enum dtype compute = argc > 2 && !strcmp(argv[2], "bf16") ? DT_BF16 : DT_F32;
	int chunk = argc > 3 ? atoi(argv[3]) : 128, n;
	bool files = argc > 4 && !strcmp(argv[4], "auto"), int8 = argc > 4 && !strcmp(argv[4], "int8"),
	     int4 = argc > 4 && !strcmp(argv[4], "int4");
	struct step_limits lim = {.max_seqs = 1, .max_tokens = chunk, .max_blocks = MAX_LEN / BLOCK, .rows = chunk};
	struct model_options opt = {.limits = lim,
				    .max_context = MAX_LEN,
				    .size = 1,
				    .quant = int8   ? QUANT_INT8
					     : int4 ? QUANT_INT4
						    : QUANT_NONE,
				    .quant_head = int8 || int4 ? QUANT_INT8 : QUANT_NONE,
				    .as_files = files,
				    .head_as_files = files,
				    .forms = {.codes = CPU_CODES, .order = true}};
	static int32_t ids[MAX_LEN];
	struct model_config c;
	struct comm_limits cl;
	static struct world w;
	struct cpu_options how;
	struct backend *b;
	struct comm *comm;
	struct checkpoint *ck;
	struct model *m;
	struct adapter *adapter = NULL;
	struct kv kv;
	struct kv_shape shape;
	struct step step;
	struct why why = {""};
	float *rows;

	gguf_serve_documents();
	world_init(&w, &argc, &argv);
	opt.rank = w.rank, opt.size = w.size;
	wait_policy(0);
	if (argc < 2 || model_config_read(&c, argv[1], &why) || checkpoint_open(&ck, argv[1], &why) ||
	    model_config_settle(&c, ck, &why) || open_adapter(&adapter, argc > 6 ? argv[6] : "", &opt, &why))
		return fprintf(stderr, "%s\n", why.text), 66;
	for (int i = 0; i < c.n_notes && !w.rank; i++)
		fprintf(stderr, "%s\n", c.note[i]);
	how = (struct cpu_options){.threads = 1,
				   .compute = compute,
				   .max_tokens = chunk,
				   .max_context = MAX_LEN,
				   .max_cols = max_int(c.hidden, max_int(c.ffn, c.heads * c.head_dim)),
				   .max_heads = c.heads,
				   .max_head_dim = c.head_dim};
	if (backend_cpu_create(&b, &how, &why))
		return fprintf(stderr, "%s\n", why.text), 78;
	cl = model_comm_limits(&c, &lim, w.size);
	cl.max_cols = max_int(cl.max_cols, (int)round_up((size_t)opt.lora_rank, LORA_LANES));
	comm = w.size == 1 ? comm_self_create(&cl) : comm_host_create(&w, &cl);
	if (model_create(&m, &c, ck, b, comm, &opt, NULL, &why))
		return fprintf(stderr, "%s\n", why.text), 66;
	if (opt.loras && model_lora_fill(m, 0, adapter, &why))
		return fprintf(stderr, "%s\n", why.text), 66;
	if (opt.loras)
		model_lora_switch(m, 0);
	shape = model_kv_shape(m, BLOCK, argc > 5 && !strcmp(argv[5], "int8") ? DT_I8 : compute);
	kv_init(&kv, b, &shape, c.layers, MAX_LEN / BLOCK);
	step_init(&step, &lim);
	rows = xalloc((size_t)chunk * (size_t)c.vocab, sizeof *rows);
	n = w.rank ? 0 : (int)fread(ids, sizeof *ids, MAX_LEN, stdin);
	world_bcast(&w, &n, sizeof n);
	world_bcast(&w, ids, sizeof ids);
	for (int at = 0, no = 0; at < n; at += chunk, no++) {
		int count = min_int(chunk, n - at);
		fill_step(&step, ids, at, count, no, opt.loras);
		model_forward(m, &kv, &step);
		model_rows(m, 0, count, w.rank ? NULL : rows);
		if (!w.rank)
			fwrite(rows, sizeof *rows, (size_t)count * (size_t)c.vocab, stdout);
	}
	free(rows);
	step_finish(&step);
	kv_finish(&kv);
	model_destroy(m);
	comm_destroy(comm);
	backend_destroy(b);
	checkpoint_close(ck);
	adapter_close(adapter);
	fflush(stdout);
	world_finish(&w);
	return 0;
}
