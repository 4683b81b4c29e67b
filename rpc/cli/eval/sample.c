/* sample.c - samples as lines of JSON. */
#include "rpc/cli/eval/sample.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rpc/cli/eval/load.h"

const char *const eval_rule_names[EVAL_RULES] = {"bare", "ctx", "max"};

int eval_rule_find(const char *name)
{
	for (int i = 0; i < EVAL_RULES; i++)
		if (!strcmp(eval_rule_names[i], name))
			return i;
	return strcmp(name, "sum") ? -1 : EVAL_CTX;
}

/* NaN is the greatest, as numpy has it. */
static int argmax(const float *x, int n)
{
	int best = 0;

	for (int i = 0; i < n; i++) {
		if (isnan(x[i]))
			return i;
		if (x[i] > x[best])
			best = i;
	}
	return best;
}

void eval_choose(struct eval_sample *s)
{
	const float *bare = s->sums ? s->bare_logprob : s->bare;
	float most[EVAL_LETTERS];

	for (int i = 0; i < s->options; i++)
		most[i] = s->ctx[i] <= bare[i] ? bare[i] : s->ctx[i];
	s->pred[EVAL_BARE] = argmax(s->bare, s->options);
	s->pred[EVAL_CTX] = argmax(s->ctx, s->options);
	s->pred[EVAL_MAX] = argmax(most, s->options);
}

static void put_numbers(struct text *out, const char *key, const float *x, int n)
{
	text_fmt(out, ", \"%s\": [", key);
	for (int i = 0; i < n; i++) {
		text_str(out, i ? ", " : "");
		if (isfinite(x[i]))
			text_number(out, x[i]);
		else
			text_str(out, isnan(x[i]) ? "NaN" : x[i] > 0 ? "Infinity" : "-Infinity");
	}
	text_str(out, "]");
}

static void put_letter(struct text *out, const char *key, int letter)
{
	if (letter < 0)
		text_fmt(out, ", \"%s\": null", key);
	else
		text_fmt(out, ", \"%s\": \"%c\"", key, 'A' + letter);
}

void eval_sample_write(struct text *out, const struct eval_sample *s)
{
	text_fmt(out, "{\"bench\": \"%s\", \"task\": \"%s\", \"index\": %d, \"id\": ", s->bench, s->task, s->index);
	if (s->id)
		text_json_str(out, s->id);
	else
		text_str(out, "null");
	text_fmt(out, ", \"k\": %d, \"n_tokens\": %d, \"truncated\": %s, \"prompt_sha256\": \"%s\"", s->k, s->tokens,
		 s->truncated ? "true" : "false", s->prompt_sha256);
	put_numbers(out, "logits", s->bare, s->options);
	if (s->sums)
		put_numbers(out, "logprobs", s->bare_logprob, s->options);
	put_numbers(out, s->sums ? "logprobs_ctx" : "logits_ctx", s->ctx, s->options);
	put_letter(out, "pred", s->pred[EVAL_BARE]);
	put_letter(out, "pred_ctx", s->pred[EVAL_CTX]);
	put_letter(out, "pred_max", s->pred[EVAL_MAX]);
	put_letter(out, "gold", s->gold);
	if (s->gold < 0)
		text_str(out, ", \"correct\": null}");
	else
		text_fmt(out, ", \"correct\": %s}", s->pred[EVAL_BARE] == s->gold ? "true" : "false");
}

static int read_numbers(const struct json *list, float *out)
{
	size_t n = json_size(list);

	for (size_t i = 0; i < n && i < EVAL_LETTERS; i++)
		out[i] = (float)json_num(json_at(list, i));
	return n > EVAL_LETTERS ? 0 : (int)n;
}

static int read_letter(const struct json *o, const char *key)
{
	const char *text = json_str(json_get(o, key));

	return text ? eval_letter(text) : -1;
}

int eval_sample_read(struct eval_sample *s, struct json_doc **doc, const char *line, size_t len, struct why *why)
{
	struct json_error e;
	const struct json *o;

	*s = (struct eval_sample){0};
	*doc = json_read(line, len, &json_of_files, &e);
	if (!*doc)
		return json_why(why, &e, "sample");
	o = json_root(*doc);
	s->bench = json_str(json_get(o, "bench"));
	s->task = json_str(json_get(o, "task"));
	s->id = json_str(json_get(o, "id"));
	s->index = (int)json_int_or(json_get(o, "index"), -1);
	s->k = (int)json_int_or(json_get(o, "k"), 0);
	s->tokens = (int)json_int_or(json_get(o, "n_tokens"), 0);
	s->truncated = json_yes(json_get(o, "truncated"));
	s->options = read_numbers(json_get(o, "logits"), s->bare);
	s->sums = json_size(json_get(o, "logprobs_ctx")) > 0;
	read_numbers(json_get(o, s->sums ? "logprobs_ctx" : "logits_ctx"), s->ctx);
	read_numbers(json_get(o, "logprobs"), s->bare_logprob);
	s->gold = read_letter(o, "gold");
	s->pred[EVAL_BARE] = read_letter(o, "pred");
	s->pred[EVAL_CTX] = read_letter(o, "pred_ctx");
	s->pred[EVAL_MAX] = read_letter(o, "pred_max");
	if (json_str(json_get(o, "prompt_sha256")))
		snprintf(s->prompt_sha256, sizeof s->prompt_sha256, "%s", json_str(json_get(o, "prompt_sha256")));
	if (!s->bench || !s->task || s->index < 0 || s->options < 2 || s->pred[EVAL_BARE] < 0 ||
	    s->pred[EVAL_CTX] < 0 || s->pred[EVAL_MAX] < 0)
		return fail(why, ERR_FORMAT, "no sample of xverse eval");
	return 0;
}
