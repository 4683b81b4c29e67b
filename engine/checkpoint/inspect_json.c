/* inspect_json.c - what a checkpoint has, and what is wrong with it, as JSON. */
#include <inttypes.h>
#include <sys/stat.h>

#include "base/text.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/inspect.h"
#include "engine/models/settle.h"
#include "engine/tokenizer/tokenizer.h"

struct report {
	struct text t;
	struct text wrong; /* texts, with commas */
	int first;
	struct why *why;
};

static void note(struct report *r, int err, const struct why *found)
{
	if (!err)
		return;
	if (r->wrong.len)
		text_str(&r->wrong, ", ");
	text_json_str(&r->wrong, found->text);
	if (r->first)
		return;
	r->first = err;
	*r->why = *found;
}

static void put_text(struct text *t, const char *key, const char *value)
{
	text_fmt(t, ", \"%s\": ", key);
	text_json_str(t, value);
}

static void put_tensor(struct report *r, const struct checkpoint *c, const struct ck_tensor *x)
{
	struct text *t = &r->t;

	text_str(t, "\n{\"name\": ");
	text_json_str(t, x->name);
	put_text(t, "type", x->type_name);
	put_text(t, "reads_as", x->type < DT_COUNT ? dtype_name(x->type) : "none");
	text_str(t, ", \"shape\": [");
	for (int i = 0; i < x->n_dims; i++)
		text_fmt(t, "%s%" PRId64, i ? ", " : "", x->shape[i]);
	text_fmt(t, "], \"bytes\": %" PRIu64, x->bytes);
	put_text(t, "file", checkpoint_file(c, x->file));
	text_str(t, "}");
}

static void put_checkpoint(struct report *r, const struct checkpoint *c)
{
	struct text *t = &r->t;

	text_fmt(t, ", \"bytes\": %" PRIu64 ", \"fingerprint\": \"%016" PRIx64 "\", \"files\": [", checkpoint_bytes(c),
		 checkpoint_fingerprint(c));
	for (int i = 0; i < checkpoint_files(c); i++) {
		text_str(t, i ? ", " : "");
		text_json_str(t, checkpoint_file(c, i));
	}
	text_str(t, "], \"tensors\": [");
	for (int i = 0; i < checkpoint_count(c); i++) {
		text_str(t, i ? "," : "");
		put_tensor(r, c, checkpoint_tensor(c, i));
	}
	text_str(t, "]");
}

static void put_config(struct report *r, const struct model_config *c)
{
	struct text *t = &r->t;

	text_str(t, ", \"model\": {\"architecture\": ");
	text_json_str(t, c->architecture);
	text_fmt(t,
		 ", \"parameters\": %" PRIu64 ", \"layers\": %d, \"hidden\": %d, \"heads\": %d, \"kv_heads\": %d, "
		 "\"head_dim\": %d, \"ffn\": %d, \"vocab\": %d, \"positions\": %d, \"tied\": %s, \"notes\": [",
		 model_parameters(c), c->layers, c->hidden, c->heads, c->kv_heads, c->head_dim, c->ffn, c->vocab,
		 c->max_pos, c->tied ? "true" : "false");
	for (int i = 0; i < c->n_notes; i++) {
		text_str(t, i ? ", " : "");
		text_json_str(t, c->note[i]);
	}
	text_str(t, "]}");
}

static void put_tokenizer(struct report *r, const char *path)
{
	struct tokenizer *k;
	struct why found = {""};
	int err = tokenizer_open(&k, path, &found);

	note(r, err, &found);
	if (err)
		return;
	text_str(&r->t, ", \"tokenizer\": {\"kind\": ");
	text_json_str(&r->t, tokenizer_kind(k));
	text_fmt(&r->t, ", \"tokens\": %d, \"bos\": %d, \"eos\": %d}", tokenizer_vocab(k), tokenizer_bos(k),
		 tokenizer_eos(k));
	tokenizer_close(k);
}

static void put_directory(struct report *r, const char *path, const struct checkpoint *c)
{
	struct model_config cfg;
	struct why found = {""};
	int err = model_config_read(&cfg, path, &found);

	if (!err && c)
		err = model_config_settle(&cfg, c, &found);
	if (!err)
		put_config(r, &cfg);
	note(r, err, &found);
	put_tokenizer(r, path);
}

int inspect_json(FILE *out, const char *path, struct why *why)
{
	struct report r = {.why = why};
	struct checkpoint *c;
	struct why found = {""};
	struct stat st;
	int err = checkpoint_open(&c, path, &found);

	text_str(&r.t, "{\"path\": ");
	text_json_str(&r.t, path);
	note(&r, err, &found);
	if (!err)
		put_checkpoint(&r, c);
	if (!stat(path, &st) && (S_ISDIR(st.st_mode) || (!err && checkpoint_is_gguf(c))))
		put_directory(&r, path, err ? NULL : c);
	if (!err)
		checkpoint_close(c);
	fprintf(out, "%s, \"wrong\": [%s]}\n", r.t.data, r.wrong.len ? r.wrong.data : "");
	text_finish(&r.t), text_finish(&r.wrong);
	return r.first;
}
