/* Weights of this rank: names and shapes of the checkpoint bound to packed matrices, read in slices by a few
 * threads. */
#include "engine/checkpoint/checkpoint.h"
#include "engine/models/dummy.h"
#include "engine/models/llama.h"
#include "engine/models/settle.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAGING = 4 << 20, MAX_THREADS = 8, MAX_PIECES = 3, WHOLE = 32 /* rows that are packed fastest together */ };

/* A block of a tensor of the whole model that this rank needs. */
struct piece {
	char name[96];
	const struct ck_tensor *t; /* NULL: dummy */
	int64_t rows, width;       /* of the whole tensor as the model wants it */
	int64_t at;                /* where it starts inside `t` (packed q, k, v), rows */
	struct span row, col;      /* of it, this rank's */
	float mean, std;           /* dummy */
};

/* One matrix (or vector of norm weights) made of pieces under each other. */
struct target {
	struct weight **w; /* filled on creation; NULL: a vector */
	float **vector;
	struct split k;
	enum dtype stored;
	enum quant quant;
	bool paired;
	struct piece piece[MAX_PIECES];
	int n_pieces;
};

struct loader {
	struct model *m;
	struct checkpoint *ck;
	struct load_progress *progress;
	struct target *target;
	int n_targets, max_targets;
	bool *used; /* [tensors of the checkpoint] */
	_Atomic int next, err;
	pthread_mutex_t lock;
	struct why *why;
};

static struct target *add_target(struct loader *l, struct weight **w, float **vector, struct split k)
{
	if (l->n_targets == l->max_targets) {
		l->max_targets = l->max_targets ? 2 * l->max_targets : 64;
		l->target = xgrow(l->target, (size_t)l->max_targets, sizeof *l->target);
	}
	l->target[l->n_targets] = (struct target){.w = w, .vector = vector, .k = k, .quant = l->m->how.quant};
	return &l->target[l->n_targets++];
}

static struct piece *add_piece(struct target *t, const char *name, int64_t rows, int64_t width, struct span row,
			       struct span col)
{
	struct piece *p = &t->piece[t->n_pieces++];

	*p = (struct piece){.rows = rows, .width = width, .row = row, .col = col, .std = 1 / sqrtf((float)width)};
	snprintf(p->name, sizeof p->name, "%s", name);
	return p;
}

/* A vector of n is seen as (n, 1). */
static bool shape_is(const struct ck_tensor *t, int64_t rows, int64_t width)
{
	if (width == 1 && t->n_dims == 1)
		return t->shape[0] == rows;
	return t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == width;
}

static int check_shape(struct loader *l, const struct ck_tensor *t, int64_t rows, int64_t width)
{
	char found[96];

	if (t->type != DT_F32 && t->type != DT_F16 && t->type != DT_BF16 && t->type != DT_F64)
		return fail(l->why, ERR_UNSUPPORTED, "%s: tensor %s has type %s; wanted: f32, f16, bf16 or f64",
			    checkpoint_file(l->ck, t->file), t->name, t->type_name);
	if (shape_is(t, rows, width))
		return 0;
	ck_shape_text(t, found, sizeof found);
	if (width == 1)
		return fail(l->why, ERR_FORMAT, "%s: tensor %s has shape %s; wanted: [%lld]",
			    checkpoint_file(l->ck, t->file), t->name, found, (long long)rows);
	return fail(l->why, ERR_FORMAT, "%s: tensor %s has shape %s; wanted: [%lld, %lld]",
		    checkpoint_file(l->ck, t->file), t->name, found, (long long)rows, (long long)width);
}

static void mark_used(struct loader *l, const struct ck_tensor *t)
{
	l->used[t - checkpoint_tensor(l->ck, 0)] = true;
}

/* q, k and v (or gate and up) may lie in one tensor, rows under each other. */
static const struct ck_tensor *find_packed(struct loader *l, const char *name, int64_t *at, int64_t *total)
{
	static const struct {
		const char *part, *packed[3];
		int place, of;
	} known[] = {{"self_attn.q_proj", {"self_attn.qkv_proj", "self_attn.W_pack"}, 0, 3},
		     {"self_attn.k_proj", {"self_attn.qkv_proj", "self_attn.W_pack"}, 1, 3},
		     {"self_attn.v_proj", {"self_attn.qkv_proj", "self_attn.W_pack"}, 2, 3},
		     {"mlp.gate_proj", {"mlp.gate_up_proj"}, 0, 2},
		     {"mlp.up_proj", {"mlp.gate_up_proj"}, 1, 2}};
	const struct model_config *c = &l->m->cfg;
	int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
	char full[128];

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const char *at_part = strstr(name, known[i].part);
		for (int j = 0; at_part && known[i].packed[j]; j++) {
			const struct ck_tensor *t;
			snprintf(full, sizeof full, "%.*s%s.weight", (int)(at_part - name), name, known[i].packed[j]);
			t = checkpoint_find(l->ck, full);
			*at = known[i].of == 2 ? known[i].place * (int64_t)c->ffn
			      : known[i].place ? q + (known[i].place - 1) * kv
					       : 0;
			*total = known[i].of == 2 ? 2 * (int64_t)c->ffn : q + 2 * kv;
			if (t)
				return t;
		}
	}
	return NULL;
}

static int missing(const struct loader *l, const struct piece *p)
{
	int n = checkpoint_files(l->ck);
	char more[40] = "";

	if (n > 1)
		snprintf(more, sizeof more, " and %d more file%s", n - 1, n > 2 ? "s" : "");
	return fail(l->why, ERR_FORMAT, "%s%s: tensor %s is missing; wanted: [%lld, %lld]", checkpoint_file(l->ck, 0),
		    more, p->name, (long long)p->rows, (long long)p->width);
}

static int bind_piece(struct loader *l, struct piece *p)
{
	int64_t total = p->rows;
	int err;

	if (!l->ck)
		return 0;
	p->t = checkpoint_find(l->ck, p->name);
	if (!p->t)
		p->t = find_packed(l, p->name, &p->at, &total);
	if (!p->t)
		return missing(l, p);
	err = check_shape(l, p->t, total, p->width);
	if (!err)
		mark_used(l, p->t);
	return err;
}

/* Pieces of one matrix may differ in type; then all become f32, which holds each exactly. f64 is rounded to
 * it. */
static enum dtype common_type(const struct loader *l, const struct target *t)
{
	enum dtype dummy = l->m->cfg.torch_dtype == DT_COUNT ? DT_BF16 : l->m->cfg.torch_dtype, type;

	if (t->vector)
		return DT_F32;
	type = t->piece[0].t ? t->piece[0].t->type : dummy;
	for (int i = 1; i < t->n_pieces; i++)
		if (t->piece[i].t && t->piece[i].t->type != type)
			type = DT_F32;
	return type == DT_F64 ? DT_F32 : type;
}

static void convert(void *dst, enum dtype to, const void *src, enum dtype from, size_t n)
{
	const uint16_t *h = src;
	const double *d = src;
	float *f = dst;

	REQUIRE(to == DT_F32);
	for (size_t i = 0; i < n; i++)
		f[i] = from == DT_F64 ? (float)d[i] : from == DT_BF16 ? f32_from_bf16(h[i]) : f32_from_f16(h[i]);
}

/* Rows [first, first + count) of this rank's part of a piece, in the target's type. */
static int read_rows(struct loader *l, const struct target *t, const struct piece *p, int64_t first, int64_t count,
		     void *raw, void *out, struct why *why)
{
	size_t n = (size_t)(count * p->col.count);
	int err;

	if (!p->t) {
		dummy_fill(out, t->stored, l->m->how.dummy_seed, p->name, p->width, p->row.first + first, count,
			   p->col.first, p->col.count, p->mean, p->std);
		atomic_fetch_add(&l->progress->bytes, n * dtype_size(t->stored));
		return 0;
	}
	if (p->t->type == t->stored)
		raw = out;
	err = checkpoint_read(l->ck, p->t, p->at + p->row.first + first, count, p->col.first, p->col.count, raw, why);
	if (err)
		return err;
	if (raw != out)
		convert(out, t->stored, raw, p->t->type, n);
	atomic_fetch_add(&l->progress->bytes, n * dtype_size(p->t->type));
	return 0;
}

static int load_piece(struct loader *l, const struct target *t, const struct piece *p, int at, void *raw, void *out,
		      struct why *why)
{
	int64_t step = STAGING / (p->col.count * 8 > 0 ? p->col.count * 8 : 1);
	int err = 0;

	step = step < 1 ? 1 : step > WHOLE ? step / WHOLE * WHOLE : step;
	for (int64_t r = 0, n; !err && p->col.count && r < p->row.count; r += n) {
		n = step > WHOLE ? step - (at + r) % WHOLE : step;
		n = p->row.count - r < n ? p->row.count - r : n;
		err = read_rows(l, t, p, r, n, raw, out, why);
		if (!err && t->w)
			weight_rows(*t->w, at + (int)r, (int)n, out, (size_t)p->col.count);
		else if (!err)
			backend_upload(l->m->b, *t->vector + r, out, (size_t)n * sizeof(float));
	}
	return err;
}

static size_t staging_bytes(const struct loader *l)
{
	size_t widest = (size_t)max_int(l->m->cfg.hidden, max_int(l->m->cfg.ffn, l->m->cfg.heads * l->m->cfg.head_dim));

	return STAGING + 8 * widest;
}

static void *load_thread(void *arg)
{
	struct loader *l = arg;
	void *raw = xalloc(staging_bytes(l), 1), *out = xalloc(staging_bytes(l), 1);
	struct why why = {""};
	int i;

	while (!atomic_load(&l->err) && (i = atomic_fetch_add(&l->next, 1)) < l->n_targets) {
		const struct target *t = &l->target[i];
		int at = 0, err = 0;
		for (int j = 0; !err && j < t->n_pieces; at += t->piece[j++].row.count)
			err = load_piece(l, t, &t->piece[j], at, raw, out, &why);
		if (!err)
			continue;
		pthread_mutex_lock(&l->lock);
		if (!atomic_exchange(&l->err, err) && l->why)
			*l->why = why;
		pthread_mutex_unlock(&l->lock);
	}
	free(raw);
	free(out);
	return NULL;
}

/* Norm weights: a vector on every rank. */
static void want_norm(struct loader *l, const char *name, float **vector)
{
	struct span all = {0, l->m->cfg.hidden}, one = {0, 1};
	struct piece *p = add_piece(add_target(l, NULL, vector, split_whole(1)), name, l->m->cfg.hidden, 1, all, one);

	p->mean = 1;
	p->std = 0.1f;
}

static void want_layer(struct loader *l, int i)
{
	const struct model_config *c = &l->m->cfg;
	const struct shard *s = &l->m->shard;
	struct layer *layer = &l->m->layer[i];
	int d = c->head_dim;
	struct span q = {s->heads.first * d, s->heads.count * d}, kv = {s->kv_heads.first * d, s->kv_heads.count * d};
	struct span hidden = {0, c->hidden}, ffn = split_columns(&s->down);
	float deep = 1 / sqrtf(2 * (float)c->layers);
	struct target *t;
	char name[6][96];
	static const char *const parts[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
					    "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj"};

	for (int j = 0; j < 6; j++)
		snprintf(name[j], sizeof name[j], "model.layers.%d.%s.weight", i, parts[j]);
	t = add_target(l, &layer->qkv, NULL, s->hidden);
	add_piece(t, name[0], (int64_t)c->heads * d, c->hidden, q, hidden);
	add_piece(t, name[1], (int64_t)c->kv_heads * d, c->hidden, kv, hidden);
	add_piece(t, name[2], (int64_t)c->kv_heads * d, c->hidden, kv, hidden);
	t = add_target(l, &layer->o, NULL, s->o);
	add_piece(t, name[3], c->hidden, (int64_t)c->heads * d, hidden, q)->std *= deep;
	if (ffn.count) {
		t = add_target(l, &layer->gate_up, NULL, s->hidden);
		t->paired = true;
		add_piece(t, name[4], c->ffn, c->hidden, ffn, hidden);
		add_piece(t, name[5], c->ffn, c->hidden, ffn, hidden);
	}
	t = add_target(l, &layer->down, NULL, s->down);
	snprintf(name[0], sizeof name[0], "model.layers.%d.mlp.down_proj.weight", i);
	add_piece(t, name[0], c->hidden, c->ffn, hidden, ffn)->std *= deep;
	snprintf(name[0], sizeof name[0], "model.layers.%d.input_layernorm.weight", i);
	want_norm(l, name[0], &layer->norm_att);
	snprintf(name[0], sizeof name[0], "model.layers.%d.post_attention_layernorm.weight", i);
	want_norm(l, name[0], &layer->norm_ffn);
}

static void want_all(struct loader *l)
{
	struct model *m = l->m;
	const struct shard *s = &m->shard;
	struct span hidden = {0, m->cfg.hidden};
	struct target *t;

	t = add_target(l, &m->embed, NULL, s->hidden);
	t->quant = m->how.quant_head;
	add_piece(t, "model.embed_tokens.weight", m->cfg.vocab, m->cfg.hidden, s->vocab, hidden)->std = 1;
	for (int i = 0; i < m->cfg.layers; i++)
		want_layer(l, i);
	want_norm(l, "model.norm.weight", &m->norm_out);
	if (m->cfg.tied)
		return;
	t = add_target(l, &m->head, NULL, s->hidden);
	t->quant = m->how.quant_head;
	add_piece(t, "lm_head.weight", m->cfg.vocab, m->cfg.hidden, s->vocab, hidden)->std *= 4;
}

static int target_rows(const struct target *t)
{
	int rows = 0;

	for (int i = 0; i < t->n_pieces; i++)
		rows += t->piece[i].row.count;
	return rows;
}

static int make_targets(struct loader *l)
{
	struct model *m = l->m;
	int err = 0;

	for (int i = 0; !err && i < l->n_targets; i++) {
		struct target *t = &l->target[i];
		for (int j = 0; !err && j < t->n_pieces; j++)
			err = bind_piece(l, &t->piece[j]);
		if (err)
			break;
		t->stored = common_type(l, t);
		if (t->w)
			*t->w = weight_create_quant(m->b, target_rows(t), t->piece[0].col.count, t->stored, t->quant,
						    &t->k);
		else
			*t->vector = backend_alloc(m->b, (size_t)m->cfg.hidden * sizeof(float));
		if (t->paired)
			weight_pair(*t->w);
		for (int j = 0; j < t->n_pieces; j++) {
			const struct piece *p = &t->piece[j];
			uint64_t n = (uint64_t)p->row.count * (uint64_t)p->col.count;
			atomic_fetch_add(&l->progress->total, n * dtype_size(p->t ? p->t->type : t->stored));
		}
	}
	return err;
}

/* Tensors that nobody asked for: old rotary buffers are expected, others deserve a word. */
static void report_unused(const struct loader *l)
{
	int told = 0;

	for (int i = 0; i < checkpoint_count(l->ck); i++) {
		const struct ck_tensor *t = checkpoint_tensor(l->ck, i);
		if (l->used[i] || (l->m->cfg.tied && !strcmp(t->name, "lm_head.weight")))
			continue;
		if (tensor_is_harmless(t))
			log_event(LOG_DEBUG, "a tensor is not needed", " file=\"%s\" tensor=\"%s\"",
				  checkpoint_file(l->ck, t->file), t->name);
		else if (l->m->shard.rank == 0 && told++ < 5)
			log_event(LOG_WARN, "an unknown tensor is ignored", " file=\"%s\" tensor=\"%s\"",
				  checkpoint_file(l->ck, t->file), t->name);
	}
	if (told > 5)
		log_event(LOG_WARN, "more unknown tensors are ignored", " tensors=%d", told - 5);
}

/* Packing counts on zeros where nothing is put. */
static void touch_all(struct loader *l)
{
	for (int i = 0; i < l->n_targets; i++)
		if (l->target[i].w)
			weight_touch(*l->target[i].w);
}

static int load_all(struct loader *l)
{
	pthread_t threads[MAX_THREADS];
	int n = min_int(MAX_THREADS, max_int(1, (int)sysconf(_SC_NPROCESSORS_ONLN)));

	if (l->ck)
		checkpoint_prefetch(l->ck, l->m->shard.rank, l->m->shard.size);
	for (int i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, load_thread, l))
			die("cannot start a loader thread");
	load_thread(l);
	for (int i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&l->err);
}

int weights_load(struct model *m, struct checkpoint *ck, struct load_progress *progress, struct why *why)
{
	struct load_progress unseen = {0};
	struct loader l = {.m = m, .ck = ck, .progress = progress ? progress : &unseen, .why = why};
	int err;

	pthread_mutex_init(&l.lock, NULL);
	m->layer = xalloc((size_t)m->cfg.layers, sizeof *m->layer);
	l.used = ck ? xalloc((size_t)checkpoint_count(ck), sizeof *l.used) : NULL;
	want_all(&l);
	err = make_targets(&l);
	if (!err && !m->how.dry && !weights_unpack(m, ck, l.progress)) {
		touch_all(&l);
		err = load_all(&l);
		if (!err)
			weights_keep(m, ck);
	}
	if (!err && ck)
		report_unused(&l);
	if (m->cfg.tied)
		m->head = m->embed;
	free(l.used);
	free(l.target);
	pthread_mutex_destroy(&l.lock);
	return err;
}

static void free_vector(struct model *m, float *v)
{
	if (v)
		backend_free(m->b, v, (size_t)m->cfg.hidden * sizeof(float));
}

void weights_free(struct model *m)
{
	for (int i = 0; m->layer && i < m->cfg.layers; i++) {
		struct layer *l = &m->layer[i];
		weight_destroy(l->qkv);
		weight_destroy(l->o);
		weight_destroy(l->gate_up);
		weight_destroy(l->down);
		free_vector(m, l->norm_att);
		free_vector(m, l->norm_ffn);
	}
	if (m->head != m->embed)
		weight_destroy(m->head);
	weight_destroy(m->embed);
	free_vector(m, m->norm_out);
	free(m->layer);
}
