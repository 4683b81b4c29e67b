#include "engine/checkpoint/inspect.h"

#include <string.h>
#include <sys/stat.h>

#include "engine/checkpoint/checkpoint.h"
#include "engine/models/settle.h"
#include "engine/tokenizer/tokenizer.h"

static void print_config(FILE *out, const struct model_config *c)
{
	fprintf(out, "model        %s: %.3f billion parameters\n", c->architecture, (double)model_parameters(c) / 1e9);
	fprintf(out,
		"shape        %d layers, hidden %d, %d heads (%d for keys and values) x %d, FFN %d, "
		"vocabulary %d%s\n",
		c->layers, c->hidden, c->heads, c->kv_heads, c->head_dim, c->ffn, c->vocab, c->tied ? ", tied" : "");
	if (c->experts)
		fprintf(out,
			"experts      %d of %d, a token takes %d; shared %d; %.3f billion parameters for a token\n",
			c->experts, c->expert_ffn, c->experts_per_token, c->shared_ffn,
			(double)model_active_parameters(c) / 1e9);
	fprintf(out, "positions    %d\n", c->max_pos);
	for (int i = 0; i < c->n_notes; i++)
		fprintf(out, "note         %s\n", c->note[i]);
}

static void print_tokenizer(FILE *out, const struct tokenizer *t)
{
	fprintf(out, "tokenizer    %s, %d tokens, bos %d, eos %d\n", tokenizer_kind(t), tokenizer_vocab(t),
		tokenizer_bos(t), tokenizer_eos(t));
}

static void print_tensor(FILE *out, const struct checkpoint *c, const struct ck_tensor *t)
{
	char shape[128];

	fprintf(out, "%-15s %-18s %12.3f MiB  %s  (%s)\n", t->type_name, ck_shape_text(t, shape, sizeof shape),
		(double)t->bytes / (1 << 20), t->name, checkpoint_file(c, t->file));
}

/* What the totals call it: quantised tensors by their form, others by the type of their numbers. */
static const char *total_name(const struct ck_tensor *t)
{
	return t->quant || t->block ? t->type_name : t->type < DT_COUNT ? dtype_name(t->type) : "other";
}

enum { TOTALS = 48 };

static void print_totals(FILE *out, const struct checkpoint *c)
{
	struct {
		const char *name;
		uint64_t bytes;
		int count;
	} total[TOTALS] = {{NULL, 0, 0}};

	for (int i = 0, n; i < checkpoint_count(c); i++) {
		const struct ck_tensor *t = checkpoint_tensor(c, i);
		for (n = 0; n + 1 < TOTALS && total[n].name && strcmp(total[n].name, total_name(t));)
			n++;
		total[n].name = total_name(t);
		total[n].bytes += t->bytes;
		total[n].count++;
	}
	for (int n = 0; n < TOTALS && total[n].name; n++)
		fprintf(out, "%-12s %d tensors, %.3f GiB\n", total[n].name, total[n].count,
			(double)total[n].bytes / (1 << 30));
	fprintf(out, "in all       %d tensors in %d file%s, %.3f GiB\n", checkpoint_count(c), checkpoint_files(c),
		checkpoint_files(c) == 1 ? "" : "s", (double)checkpoint_bytes(c) / (1 << 30));
}

/* The first error is the result; later ones are printed, too. */
static void note(FILE *out, int *first, struct why *why, int err, const struct why *found)
{
	if (!err)
		return;
	fprintf(out, "WRONG        %s\n", found->text);
	if (*first)
		return;
	*first = err;
	*why = *found;
}

static void inspect_directory(FILE *out, const char *path, const struct checkpoint *c, int *first, struct why *why)
{
	struct model_config cfg;
	struct tokenizer *tokenizer;
	struct why found = {""};
	int err = model_config_read(&cfg, path, &found);

	if (!err && c)
		err = model_config_settle(&cfg, c, &found);
	if (!err)
		print_config(out, &cfg);
	note(out, first, why, err, &found);
	err = tokenizer_open(&tokenizer, path, &found);
	if (!err)
		print_tokenizer(out, tokenizer);
	if (!err && tokenizer_vocab(tokenizer) > cfg.vocab && !*first)
		fprintf(out, "note         the tokenizer has %d tokens, the model %d: higher ids are refused\n",
			tokenizer_vocab(tokenizer), cfg.vocab);
	else if (err)
		note(out, first, why, err, &found);
	if (!err)
		tokenizer_close(tokenizer);
}

int inspect_checkpoint(FILE *out, const char *path, struct why *why)
{
	struct checkpoint *c;
	struct why found = {""};
	struct stat st;
	int first = 0, err;

	err = checkpoint_open(&c, path, &found);
	for (int i = 0; !err && i < checkpoint_count(c); i++)
		print_tensor(out, c, checkpoint_tensor(c, i));
	if (!err)
		print_totals(out, c);
	note(out, &first, why, err, &found);
	if (!stat(path, &st) && (S_ISDIR(st.st_mode) || (!err && checkpoint_is_gguf(c))))
		inspect_directory(out, path, err ? NULL : c, &first, why);
	if (!err)
		checkpoint_close(c);
	fprintf(out, first ? "something is wrong with this checkpoint\n" : "nothing is wrong with it\n");
	return first;
}
