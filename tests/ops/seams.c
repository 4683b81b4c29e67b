/* Seams that later features stand on: several rows a sequence (draft tokens that are right, wrong, or rolled
 * back by a smaller kv_len) give the tokens that one row at a time gives, and a mask may come after the
 * forward pass. */
#include "engine/models/model.h"
#include "engine/sample/sample.h"
#include "tests/check.h"

enum { VOCAB = 97, LENGTH = 60, BLOCK = 32, SEQS = 2, PROMPT = 5, DRAFTS = 3 };

struct rig {
	struct backend *b;
	struct comm *comm;
	struct model *m;
	struct kv kv;
	struct step step;
	struct sampler *sampler;
	struct sampling how;
	int no;
	float logits[SEQS * (PROMPT + DRAFTS + 1) * VOCAB];
};

/* The tokens known of a sequence and how many of them have K and V. */
struct line {
	int32_t token[LENGTH + DRAFTS + 1];
	int n, done;
};

static void rig_init(struct rig *r)
{
	struct model_config c = {.architecture = "LlamaForCausalLM",
				 .hidden = 64,
				 .ffn = 96,
				 .layers = 2,
				 .heads = 4,
				 .kv_heads = 2,
				 .head_dim = 16,
				 .vocab = VOCAB};
	struct step_limits lim = {
		.max_seqs = SEQS, .max_tokens = SEQS * (PROMPT + DRAFTS + 1), .max_blocks = 16, .rows = 4};
	struct cpu_options cpu = {
		.threads = 1, .compute = DT_F32, .max_tokens = 64, .max_context = 64, .max_cols = 128};
	struct model_options how = {.limits = lim, .max_context = 64, .size = 1, .dummy_seed = 3};
	struct comm_limits sums;
	struct kv_shape kv;

	memset(r, 0, sizeof *r);
	cpu.max_heads = 4;
	cpu.max_head_dim = 16;
	c.norm_eps = 1e-5f;
	c.rope_theta = 10000;
	c.max_pos = 64;
	c.torch_dtype = DT_F32;
	CHECK_EQ(backend_cpu_create(&r->b, &cpu, NULL), 0);
	sums = model_comm_limits(&c, &lim, 1);
	r->comm = comm_self_create(&sums);
	CHECK_EQ(model_create(&r->m, &c, NULL, r->b, r->comm, &how, NULL, NULL), 0);
	kv = model_kv_shape(r->m, BLOCK, DT_F32);
	kv_init(&r->kv, r->b, &kv, c.layers, 2 * SEQS + 2);
	step_init(&r->step, &lim);
	r->sampler = sampler_create(VOCAB);
	r->how = sampling_default();
	r->how.seed = 5;
}

static void rig_finish(struct rig *r)
{
	sampler_destroy(r->sampler);
	step_finish(&r->step);
	kv_finish(&r->kv);
	model_destroy(r->m);
	comm_destroy(r->comm);
	backend_destroy(r->b);
}

/* Runs all tokens of the lines that have no K and V yet; every one of them is a row. */
static void forward(struct rig *r, struct line *line)
{
	struct step *s = &r->step;
	int t = 0, b = 0, tokens = 0, blocks = 0;

	for (int i = 0; i < SEQS; i++) {
		tokens += line[i].n - line[i].done;
		blocks += div_up(line[i].n, BLOCK);
	}
	*s->head = (struct step_head){STEP_RUN, 0, r->no++, SEQS, tokens, tokens, blocks, SEQS, tokens, tokens};
	step_layout(s);
	for (int i = 0; i < SEQS; i++) {
		s->seq[i] = i;
		s->q_start[i] = t;
		s->block_start[i] = b;
		s->kv_len[i] = line[i].n;
		for (int k = 0; k * BLOCK < line[i].n; k++)
			s->blocks[b++] = 2 * k + i;
		for (int p = line[i].done; p < line[i].n; p++, t++) {
			s->token[t] = line[i].token[p];
			s->pos[t] = p;
			s->slot[t] = (2 * (p / BLOCK) + i) * BLOCK + p % BLOCK;
			s->row[t] = t;
		}
		line[i].done = line[i].n;
	}
	s->q_start[SEQS] = t;
	s->block_start[SEQS] = b;
	model_forward(r->m, &r->kv, s);
	for (int first = 0; first < tokens; first += 4)
		model_rows(r->m, first, min_int(4, tokens - first), r->logits + first * VOCAB);
}

static int32_t draw(struct rig *r, int row, int pos, const uint32_t *allow)
{
	float x[VOCAB];
	struct sample what = {.pos = pos, .given = -1, .n_top = -1, .how = &r->how, .allow = allow};
	struct sampled out;

	memcpy(x, r->logits + row * VOCAB, sizeof x);
	sample_token(r->sampler, x, &what, &out);
	return out.id;
}

static void prompt(struct line *line)
{
	memset(line, 0, SEQS * sizeof *line);
	for (int i = 0; i < SEQS; i++)
		for (line[i].n = 0; line[i].n < PROMPT; line[i].n++)
			line[i].token[line[i].n] = (7 * i + 11 * line[i].n) % VOCAB;
}

/* Expected result: one token at a time. */
static void plain(struct rig *r, struct line *line)
{
	prompt(line);
	while (line[0].n < LENGTH) {
		int row = -1;
		int brought[SEQS] = {line[0].n - line[0].done, line[1].n - line[1].done};
		forward(r, line);
		for (int i = 0; i < SEQS; i++) {
			row += brought[i];
			line[i].token[line[i].n] = draw(r, row, line[i].n, NULL);
			line[i].n++;
		}
	}
}

/* Rows of one sequence: each draw is kept; a draft is right when it equals the draw before it. Returns how many drafts
 * were right. */
static int accept(struct rig *r, struct line *line, int first_row, int known, int rows)
{
	int right = 0;

	for (int k = 0; k < rows; k++) {
		int pos = known + k;
		int32_t id = draw(r, first_row + k, pos, NULL);
		if (k < rows - 1 && line->token[pos] == id) {
			right++;
			continue;
		}
		line->token[pos] = id;
		line->n = pos + 1;
		line->done = pos; /* K and V of wrong drafts will be overwritten */
		break;
	}
	return right;
}

TEST(drafts_change_no_token)
{
	static struct rig r;
	static struct line want[SEQS], got[SEQS];
	int right = 0, steps = 0;

	rig_init(&r);
	plain(&r, want);
	prompt(got);
	for (; got[0].n < LENGTH && got[1].n < LENGTH; steps++) {
		int known[SEQS], brought[SEQS];
		for (int i = 0; i < SEQS; i++) {
			known[i] = got[i].n;
			for (int k = 0; k < DRAFTS; k++) { /* the true token, sometimes replaced by a wrong one */
				int32_t id = want[i].token[got[i].n];
				got[i].token[got[i].n++] = (steps + i + k) % 3 == 2 ? (id + 1) % VOCAB : id;
			}
			brought[i] = got[i].n - got[i].done;
		}
		forward(&r, got);
		for (int i = 0, row = 0; i < SEQS; row += brought[i++])
			right += accept(&r, &got[i], row + brought[i] - DRAFTS - 1, known[i], DRAFTS + 1);
	}
	for (int i = 0; i < SEQS; i++)
		for (int p = 0; p < LENGTH && p < got[i].n; p++)
			CHECK_EQ(got[i].token[p], want[i].token[p]);
	printf("  %d steps instead of %d, %d drafts right\n", steps, LENGTH - PROMPT, right);
	CHECK(right > 10 && steps < LENGTH - PROMPT);
	rig_finish(&r);
}

TEST(a_mask_after_the_forward)
{
	static struct rig r;
	static struct line line[SEQS];
	uint32_t allow[VOCAB / 32 + 1] = {0};

	rig_init(&r);
	prompt(line);
	forward(&r, line);
	allow[1] = 1u << 3 | 1u << 9;
	for (int pos = 0; pos < 50; pos++) {
		int32_t id = draw(&r, 2, pos, allow);
		CHECK(id == 35 || id == 41);
	}
	rig_finish(&r);
}

CHECK_MAIN()
