#include "rpc/gateway/ask.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAX_TOKENS = 16, MAX_USER_BYTES = 512 };

static void *place(struct ask *a, size_t at)
{
	return (char *)a + at;
}

static void set_bit(struct ask *a, int bit)
{
	a->sampling.has |= 1u << bit;
}

/* 5 and 5.0 are whole numbers, true is not. */
static int read_whole(const json_t *v, const char *name, double low, double high, int64_t *out, struct why *why)
{
	double x = json_is_number(v) ? json_number_value(v) : NAN;

	if (!json_is_number(v) || (json_is_real(v) && x != floor(x)))
		return fail(why, ERR_INVALID, "%s: a whole number is wanted", name);
	if (!(x >= low && x <= high))
		return fail(why, ERR_INVALID, "%s must be at %s %.0f", name, x < low ? "least" : "most",
			    x < low ? low : high);
	*out = json_is_integer(v) ? json_integer_value(v) : (int64_t)x;
	return 0;
}

static int read_float(struct ask *a, const struct ask_field *f, const json_t *v, struct why *why)
{
	double x;

	if (!json_is_number(v))
		return fail(why, ERR_INVALID, "%s: a number is wanted", f->name);
	x = json_number_value(v);
	if (!(x >= f->low && x <= f->high) || (f->above_low && !(x > f->low && (float)x > f->low)))
		return fail(why, ERR_INVALID, "%s must be %s %g and at most %g", f->name,
			    f->above_low ? "above" : "at least", f->low, f->high);
	*(float *)place(a, f->at) = (float)x;
	set_bit(a, f->bit);
	return 0;
}

static int read_seed(struct ask *a, const json_t *v, struct why *why)
{
	if (!json_is_integer(v))
		return fail(why, ERR_INVALID, "seed: a whole number of 64 bits is wanted");
	a->sampling.seed = (uint64_t)json_integer_value(v);
	set_bit(a, RPC_SEED);
	return 0;
}

static int add_stop(struct ask *a, const json_t *v, struct why *why)
{
	const char *s = json_string_value(v);
	size_t len = s ? json_string_length(v) : 0;

	if (!s || !len || strlen(s) != len)
		return fail(why, ERR_INVALID, "stop: not empty strings without NUL are wanted");
	if (len > RPC_MAX_STOP_BYTES)
		return fail(why, ERR_INVALID, "stop: a string of %zu bytes; at most %d are taken", len, RPC_MAX_STOP_BYTES);
	a->stop[a->sampling.n_stop++] = xstrdup(s);
	return 0;
}

static int read_stop(struct ask *a, const json_t *v, struct why *why)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	int err = 0;

	if (!json_is_array(v) && !json_is_string(v))
		return fail(why, ERR_INVALID, "stop: a string or a list of strings is wanted");
	if (n > ASK_MAX_STOP)
		return fail(why, ERR_INVALID, "stop: %zu strings; at most %d are taken", n, ASK_MAX_STOP);
	a->stop = xalloc(n + 1, sizeof *a->stop);
	a->sampling.stop = (const char *const *)a->stop;
	for (size_t i = 0; !err && i < n; i++)
		err = add_stop(a, json_is_array(v) ? json_array_get(v, i) : v, why);
	return err;
}

int ask_ids(const json_t *value, const char *name, int most, int32_t **out, int *n, struct why *why)
{
	size_t size = json_array_size(value), i;

	if (!json_is_array(value))
		return fail(why, ERR_INVALID, "%s: a list of token ids is wanted", name);
	if (size > (size_t)most)
		return fail(why, ERR_INVALID, "%s: %zu ids; at most %d are taken", name, size, most);
	*out = xalloc(size + 1, sizeof **out);
	for (i = 0; i < size; i++) {
		const json_t *v = json_array_get(value, i);
		if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX) {
			free(*out);
			*out = NULL;
			return fail(why, ERR_INVALID, "%s: entry %zu is not a token id", name, i);
		}
		(*out)[i] = (int32_t)json_integer_value(v);
	}
	*n = (int)size;
	return 0;
}

static int add_bias(struct ask *a, const char *key, const json_t *v, struct why *why)
{
	char *end;
	long id = strtol(key, &end, 10);
	double x = json_is_number(v) ? json_number_value(v) : NAN;

	if (*key < '0' || *key > '9' || *end || id > INT32_MAX)
		return fail(why, ERR_INVALID, "logit_bias: %.40s is not a token id", key);
	if (!(x >= -100 && x <= 100))
		return fail(why, ERR_INVALID, "logit_bias: %.40s is not given a number from -100 to 100", key);
	a->bias[a->sampling.n_bias++] = (struct rpc_bias){(int32_t)id, (float)x};
	return 0;
}

static int read_bias(struct ask *a, json_t *v, struct why *why)
{
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return fail(why, ERR_INVALID, "logit_bias: an object of token ids and numbers is wanted");
	if (json_object_size(v) > ASK_MAX_BIAS)
		return fail(why, ERR_INVALID, "logit_bias: %zu entries; at most %d are taken", json_object_size(v),
			    ASK_MAX_BIAS);
	a->bias = xalloc(json_object_size(v) + 1, sizeof *a->bias);
	a->sampling.bias = a->bias;
	json_object_foreach (v, key, value) {
		int err = add_bias(a, key, value, why);
		if (err)
			return err;
	}
	return 0;
}

static int read_user(struct ask *a, const json_t *v, struct why *why)
{
	const char *s = json_string_value(v);

	if (!s || strlen(s) != json_string_length(v) || strlen(s) > MAX_USER_BYTES)
		return fail(why, ERR_INVALID, "user: a string of at most %d bytes is wanted", MAX_USER_BYTES);
	a->user = xstrdup(s);
	return 0;
}

static int read_stream_options(struct ask *a, const json_t *v, struct why *why)
{
	const json_t *usage = json_object_get(v, "include_usage");

	if (!json_is_object(v) || (usage && !json_is_boolean(usage) && !json_is_null(usage)))
		return fail(why, ERR_INVALID, "stream_options: {\"include_usage\": true or false} is wanted");
	a->include_usage = json_is_true(usage);
	return 0;
}

/* The value is one of those that change nothing. */
static int check_neutral(const struct ask_field *f, const json_t *v, struct why *why)
{
	const char *at = f->text;

	while (*at) {
		size_t n = strcspn(at, "|");
		json_t *taken = json_loadb(at, n, JSON_DECODE_ANY, NULL);
		bool equal = taken && json_equal(taken, v);
		json_decref(taken);
		if (equal)
			return 0;
		at += n + (at[n] == '|');
	}
	return fail(why, ERR_INVALID, "%s is not supported", f->name);
}

static int read_bool(const struct ask_field *f, const json_t *v, bool *out, struct why *why)
{
	if (!json_is_boolean(v))
		return fail(why, ERR_INVALID, "%s: true or false is wanted", f->name);
	*out = json_is_true(v);
	return 0;
}

static int read_number(struct ask *a, const struct ask_field *f, const json_t *v, struct why *why)
{
	int64_t x;
	int err = read_whole(v, f->name, f->low, f->high, &x, why);

	if (err)
		return err;
	if (f->kind == ASK_UINT)
		*(uint32_t *)place(a, f->at) = (uint32_t)x;
	else
		*(int *)place(a, f->at) = f->kind == ASK_TOP_K && x < 0 ? 0 : (int)x;
	if (f->kind != ASK_INT)
		set_bit(a, f->bit);
	return 0;
}

static int read_field(struct ask *a, const struct ask_field *f, json_t *v, struct why *why)
{
	switch (f->kind) {
	case ASK_FLOAT:
		return read_float(a, f, v, why);
	case ASK_UINT:
	case ASK_TOP_K:
	case ASK_INT:
		return read_number(a, f, v, why);
	case ASK_SEED:
		return read_seed(a, v, why);
	case ASK_SWITCH:
		set_bit(a, f->bit);
		return read_bool(f, v, place(a, f->at), why);
	case ASK_BOOL:
		return read_bool(f, v, place(a, f->at), why);
	case ASK_STOP:
		return read_stop(a, v, why);
	case ASK_IDS:
		if (json_is_array(v) && json_array_size(v) < (size_t)f->low)
			return fail(why, ERR_INVALID, "%s: the list is empty; leave it out to allow every token", f->name);
		return ask_ids(v, f->name, (int)f->high, place(a, f->at), place(a, f->count_at), why);
	case ASK_BIAS:
		return read_bias(a, v, why);
	case ASK_USER:
		return read_user(a, v, why);
	case ASK_STREAM_OPTIONS:
		return read_stream_options(a, v, why);
	case ASK_NEUTRAL:
		return check_neutral(f, v, why);
	case ASK_OTHER:
		break;
	}
	return 0;
}

static const struct ask_field *find(const char *name, enum ask_where where)
{
	int n;
	const struct ask_field *f = ask_fields(&n);

	for (int i = 0; i < n; i++)
		if ((f[i].where & (int)where) && !strcmp(f[i].name, name))
			return &f[i];
	return NULL;
}

/* Clients add keys of their own; a header tells which ones were not used. */
static void note_unknown(struct ask *a, const char *key)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t len = strlen(key), used = strlen(a->ignored);

	if (len && strspn(key, allowed) == len && used + len + 3 < sizeof a->ignored)
		sprintf(a->ignored + used, "%s%s", used ? ", " : "", key);
}

static int read_max_completion(struct ask *a, const json_t *v, struct why *why)
{
	int64_t x;
	int err;

	if (!v || json_is_null(v))
		return 0;
	err = read_whole(v, "max_completion_tokens", 1, INT_MAX, &x, why);
	if (err)
		return err;
	if (a->sampling.has >> RPC_MAX_TOKENS & 1 && a->sampling.max_tokens != (uint32_t)x)
		return fail(why, ERR_INVALID, "max_completion_tokens and max_tokens differ: give one of them");
	a->sampling.max_tokens = (uint32_t)x;
	set_bit(a, RPC_MAX_TOKENS);
	return 0;
}

/* What one field says about another. */
static int check_together(struct ask *a, json_t *body, enum ask_where where, const char **param, struct why *why)
{
	bool has_max = a->sampling.has >> RPC_MAX_TOKENS & 1;
	const json_t *options = json_object_get(body, "stream_options");

	*param = "max_tokens";
	if (has_max && !a->sampling.max_tokens && !a->echo)
		return fail(why, ERR_INVALID, "max_tokens must be at least 1");
	if (has_max && a->sampling.max_tokens && a->sampling.min_tokens > a->sampling.max_tokens)
		return fail(why, ERR_INVALID, "min_tokens is more than max_tokens");
	*param = "stream_options";
	if (options && !json_is_null(options) && !a->stream)
		return fail(why, ERR_INVALID, "stream_options goes only with stream: true");
	*param = "prompt_logprobs";
	if (a->prompt_top >= 0 && a->stream)
		return fail(why, ERR_INVALID, "prompt_logprobs does not go with stream: true");
	*param = "top_logprobs";
	if (where == ASK_CHAT && a->top >= 0 && !a->logprobs)
		return fail(why, ERR_INVALID, "top_logprobs goes only with logprobs: true");
	*param = NULL;
	return 0;
}

static void set_defaults(struct ask *a, enum ask_where where)
{
	struct rpc_sampling *s = &a->sampling;

	if (where == ASK_COMPLETIONS && !(s->has >> RPC_MAX_TOKENS & 1)) {
		s->max_tokens = DEFAULT_MAX_TOKENS;
		set_bit(a, RPC_MAX_TOKENS);
	}
	if (where == ASK_CHAT && a->logprobs)
		a->top = max_int(a->top, 0);
	if (a->top >= 0) {
		s->logprobs = (uint32_t)a->top;
		set_bit(a, RPC_LOGPROBS);
	}
	if (a->prompt_top >= 0 || (a->echo && a->top >= 0)) {
		s->prompt_logprobs = (uint32_t)max_int(a->prompt_top, a->echo ? a->top : -1);
		set_bit(a, RPC_PROMPT_LOGPROBS);
	}
	s->stop_ids = a->stop_ids;
	s->allowed = a->allowed;
	s->bad = a->bad;
}

int ask_read(struct ask *a, json_t *body, enum ask_where where, const char **param, struct why *why)
{
	const char *key;
	json_t *value;
	int err;

	*a = (struct ask){.n = 1, .top = -1, .prompt_top = -1};
	json_object_foreach (body, key, value) {
		const struct ask_field *f = find(key, where);
		if (!f) {
			note_unknown(a, key);
			continue;
		}
		*param = f->name;
		err = json_is_null(value) ? 0 : read_field(a, f, value, why);
		if (err)
			return err;
	}
	*param = "max_completion_tokens";
	err = where == ASK_CHAT ? read_max_completion(a, json_object_get(body, *param), why) : 0;
	if (!err)
		err = check_together(a, body, where, param, why);
	if (!err)
		set_defaults(a, where);
	return err;
}

void ask_finish(struct ask *a)
{
	for (int i = 0; a->stop && a->stop[i]; i++)
		free(a->stop[i]);
	free(a->stop);
	free(a->stop_ids);
	free(a->allowed);
	free(a->bad);
	free(a->bias);
	free(a->user);
	*a = (struct ask){0};
}

/* ---- prompts ---- */

static int read_prompt(struct rpc_prompt *p, const json_t *v, struct why *why)
{
	int32_t *ids;
	int err;

	if (json_is_string(v)) {
		*p = (struct rpc_prompt){
			.is_text = true, .text = json_string_value(v), .text_len = json_string_length(v)};
		return p->text_len ? 0 : fail(why, ERR_INVALID, "prompt: empty");
	}
	if (!json_array_size(v))
		return fail(why, ERR_INVALID, "prompt: a text or a list of token ids, not empty, is wanted");
	err = ask_ids(v, "prompt", INT_MAX, &ids, &p->n_ids, why);
	if (!err)
		p->ids = ids;
	return err;
}

int prompts_read(struct prompts *p, const json_t *value, struct why *why)
{
	const json_t *first = json_array_get(value, 0);
	bool list = first && !json_is_integer(first);
	size_t n = list ? json_array_size(value) : 1;
	int err = 0;

	*p = (struct prompts){0};
	if (!value || json_is_null(value))
		return fail(why, ERR_INVALID, "prompt: missing");
	if (n > ASK_MAX_PROMPTS)
		return fail(why, ERR_INVALID, "prompt: %zu prompts; at most %d are taken", n, ASK_MAX_PROMPTS);
	p->prompt = xalloc(n, sizeof *p->prompt);
	for (size_t i = 0; !err && i < n; i++) {
		err = read_prompt(&p->prompt[i], list ? json_array_get(value, i) : value, why);
		p->n = (int)i + 1;
	}
	return err;
}

void prompts_finish(struct prompts *p)
{
	for (int i = 0; i < p->n; i++)
		free((void *)p->prompt[i].ids);
	free(p->prompt);
	*p = (struct prompts){0};
}
