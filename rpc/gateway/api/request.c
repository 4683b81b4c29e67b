#include "rpc/gateway/api/request.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/api/constraint.h"
#include "rpc/gateway/api/unsupported.h"

enum { DEFAULT_MAX_TOKENS = 16, MAX_USER_BYTES = 512 };

static void *place(struct api_request *a, size_t at)
{
	return (char *)a + at;
}

static void set_bit(struct api_request *a, int bit)
{
	a->sampling.has |= 1u << bit;
}

/* Splits a number, whether written 5, 5.0 or 5e0, into size and sign. Returns false if it is not whole or beyond 64
 * bits. */
static bool whole(const struct json *v, bool *negative, uint64_t *size)
{
	double x = json_num(v);
	int64_t i;

	*negative = x < 0;
	if (json_uint(v, size))
		return true;
	if (json_int(v, &i)) {
		*size = 0 - (uint64_t)i;
		return true;
	}
	if (!json_is(v, JSON_IS_REAL) || x != floor(x) || fabs(x) >= 0x1p64)
		return false;
	*size = (uint64_t)fabs(x);
	return true;
}

/* 5 and 5.0 are whole numbers, true is not. The limits must be below 2^53. */
static int read_whole(const struct json *v, const char *name, double low, double high, int64_t *out, struct why *why)
{
	double x = json_num(v);
	bool negative;
	uint64_t size;

	if (!json_is_num(v) || (json_is(v, JSON_IS_REAL) && x != floor(x)))
		return fail(why, ERR_INVALID, "%s must be a whole number, not %s", name, json_kind_name(v));
	if (!(x >= low && x <= high) || !whole(v, &negative, &size))
		return fail(why, ERR_INVALID, "%s must be at %s %.0f", name, x < low ? "least" : "most",
			    x < low ? low : high);
	*out = negative ? -(int64_t)size : (int64_t)size;
	return 0;
}

static int read_float(struct api_request *a, const struct api_field *f, const struct json *v, struct why *why)
{
	double x = json_num(v);

	if (!json_is_num(v))
		return fail(why, ERR_INVALID, "%s must be a number, not %s", f->name, json_kind_name(v));
	if (!(x >= f->low && x <= f->high) || (f->above_low && !(x > f->low && (float)x > f->low)))
		return fail(why, ERR_INVALID, "%s must be %s %g and at most %g", f->name,
			    f->above_low ? "above" : "at least", f->low, f->high);
	*(float *)place(a, f->at) = (float)x;
	set_bit(a, f->bit);
	return 0;
}

static int read_seed(struct api_request *a, const struct json *v, struct why *why)
{
	bool negative = false;
	uint64_t size = 0;
	double x = json_num(v);

	if (!json_is_num(v) || (json_is(v, JSON_IS_REAL) && x != floor(x)))
		return fail(why, ERR_INVALID, "seed must be a whole number, not %s", json_kind_name(v));
	if (!whole(v, &negative, &size) || (negative && size > (uint64_t)1 << 63))
		return fail(why, ERR_INVALID,
			    x < 0 ? "seed must be at least %lld" : "seed must be at most 18446744073709551615",
			    (long long)INT64_MIN);
	a->sampling.seed = negative ? 0 - size : size;
	set_bit(a, XV_SEED);
	return 0;
}

/* Returns a string that C can hold; NULL if the value is not a string, or holds a NUL. */
static const char *plain(const struct json *v)
{
	const char *s = json_str(v);

	return s && strlen(s) == json_len(v) ? s : NULL;
}

static int add_stop(struct api_request *a, const struct json *v, struct why *why)
{
	const char *s = plain(v);

	if (!s || !*s)
		return fail(why, ERR_INVALID, "stop must be a non-empty string without U+0000, or a list of these");
	if (json_len(v) > RPC_MAX_STOP_BYTES)
		return fail(why, ERR_INVALID, "stop: a string has %zu bytes, at most %d are allowed", json_len(v),
			    RPC_MAX_STOP_BYTES);
	a->stop[a->sampling.n_stop++] = xstrdup(s);
	return 0;
}

static int read_stop(struct api_request *a, const struct json *v, struct why *why)
{
	bool list = json_is(v, JSON_IS_LIST);
	size_t n = list ? json_size(v) : 1;
	int err = 0;

	if (n > API_MAX_STOP)
		return fail(why, ERR_INVALID, "stop: %zu strings, at most %d are allowed", n, API_MAX_STOP);
	a->stop = xalloc(n + 1, sizeof *a->stop);
	a->sampling.stop = (const char *const *)a->stop;
	for (size_t i = 0; !err && i < n; i++)
		err = add_stop(a, list ? json_at(v, i) : v, why);
	return err;
}

int api_read_ids(const struct json *value, const char *name, int most, int32_t **out, int *n, struct why *why)
{
	size_t size = json_size(value), i;

	if (!json_is(value, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "%s must be a list of token ids, not %s", name, json_kind_name(value));
	if (size > (size_t)most)
		return fail(why, ERR_INVALID, "%s: %zu ids, at most %d are allowed", name, size, most);
	*out = xalloc(size + 1, sizeof **out);
	for (i = 0; i < size; i++) {
		bool negative;
		uint64_t id;
		if (!json_is_num(json_at(value, i)) || !whole(json_at(value, i), &negative, &id) || id > INT32_MAX ||
		    (negative && id)) {
			free(*out);
			*out = NULL;
			return fail(why, ERR_INVALID, "%s: entry %zu must be a token id", name, i);
		}
		(*out)[i] = (int32_t)id;
	}
	*n = (int)size;
	return 0;
}

static int add_bias(struct api_request *a, const char *key, const struct json *v, struct why *why)
{
	char *end;
	long id = strtol(key, &end, 10);
	double x = json_num(v);

	if (*key < '0' || *key > '9' || *end || id > INT32_MAX)
		return fail(why, ERR_INVALID, "logit_bias: %.40s must be a token id", key);
	if (!(x >= -100 && x <= 100))
		return fail(why, ERR_INVALID, "logit_bias: the value of %.40s must be a number from -100 to 100", key);
	a->bias[a->sampling.n_bias++] = (struct xv_bias){(int32_t)id, (float)x};
	return 0;
}

static int read_bias(struct api_request *a, const struct json *v, struct why *why)
{
	const struct json_member *m;
	int err = 0;

	if (!json_is(v, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "logit_bias must be an object of token ids and numbers, not %s",
			    json_kind_name(v));
	if (json_size(v) > API_MAX_BIAS)
		return fail(why, ERR_INVALID, "logit_bias: %zu entries, at most %d are allowed", json_size(v),
			    API_MAX_BIAS);
	a->bias = xalloc(json_size(v) + 1, sizeof *a->bias);
	a->sampling.bias = a->bias;
	for (size_t i = 0; !err && (m = json_member(v, i)); i++)
		err = add_bias(a, strlen(m->key) == m->key_len ? m->key : "", &m->value, why);
	return err;
}

static int read_user(struct api_request *a, const struct json *v, struct why *why)
{
	const char *s = plain(v);

	if (!s || strlen(s) > MAX_USER_BYTES)
		return fail(why, ERR_INVALID, "user must be a string of at most %d bytes without U+0000",
			    MAX_USER_BYTES);
	a->user = xstrdup(s);
	return 0;
}

static int read_switch(const struct json *v, const char *name, bool *out, struct why *why)
{
	if (!json_none(v) && !json_is(v, JSON_IS_BOOL))
		return fail(why, ERR_INVALID, "%s must be true or false, not %s", name, json_kind_name(v));
	*out = json_yes(v);
	return 0;
}

static int read_stream_options(struct api_request *a, const struct json *v, struct why *why)
{
	const struct json_member *m;
	int err = 0;

	if (!json_is(v, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "stream_options must be an object, not %s", json_kind_name(v));
	for (size_t i = 0; !err && (m = json_member(v, i)); i++) {
		if (strlen(m->key) != m->key_len)
			continue;
		if (!strcmp(m->key, "include_usage"))
			err = read_switch(&m->value, "stream_options.include_usage", &a->include_usage, why);
		else if (!strcmp(m->key, "continuous_usage_stats"))
			err = read_switch(&m->value, "stream_options.continuous_usage_stats", &a->usage_each, why);
		else
			api_note_ignored(a->ignored, "stream_options.", m->key);
	}
	return err;
}

static const struct api_unsupported *find_unsupported(const char *name, enum api_where where)
{
	int n;
	const struct api_unsupported *u = api_unsupported_fields(&n);

	for (int i = 0; i < n; i++)
		if ((u[i].where & (int)where) && !strcmp(u[i].name, name))
			return &u[i];
	return NULL;
}

static bool is_neutral(const struct api_unsupported *u, const struct json *v)
{
	const char *at = u->neutral;
	bool equal = json_none(v);

	while (!equal && at && *at) {
		size_t n = strcspn(at, "|");
		struct json_error e;
		struct json_doc *taken = json_read(at, n, &json_of_files, &e);
		equal = taken && json_is(v, JSON_IS_BOOL) == json_is(json_root(taken), JSON_IS_BOOL) &&
			json_same(json_root(taken), v);
		json_close(taken);
		at += n + (at[n] == '|');
	}
	return equal;
}

static int check_unsupported(const struct api_unsupported *u, const struct json *v, struct why *why)
{
	if (is_neutral(u, v))
		return 0;
	return fail(why, ERR_INVALID, "%s is not supported%s%s", u->name, u->instead ? ": " : "",
		    u->instead ? u->instead : "");
}

static int read_number(struct api_request *a, const struct api_field *f, const struct json *v, struct why *why)
{
	int64_t x;
	int err = read_whole(v, f->name, f->low, f->high, &x, why);

	if (err)
		return err;
	if (f->kind == API_UINT)
		*(uint32_t *)place(a, f->at) = (uint32_t)x;
	else
		*(int *)place(a, f->at) = f->kind == API_TOP_K && x < 0 ? 0 : (int)x;
	if (f->kind != API_INT)
		set_bit(a, f->bit);
	return 0;
}

static int read_field(struct api_request *a, const struct api_field *f, const struct json *v, struct why *why)
{
	switch (f->kind) {
	case API_FLOAT:
		return read_float(a, f, v, why);
	case API_UINT:
	case API_TOP_K:
	case API_INT:
		return read_number(a, f, v, why);
	case API_SEED:
		return read_seed(a, v, why);
	case API_SWITCH:
		set_bit(a, f->bit);
		return read_switch(v, f->name, place(a, f->at), why);
	case API_BOOL:
		return read_switch(v, f->name, place(a, f->at), why);
	case API_STOP:
		return read_stop(a, v, why);
	case API_IDS:
		if (json_is(v, JSON_IS_LIST) && json_size(v) < (size_t)f->low)
			return fail(why, ERR_INVALID, "%s must not be empty; leave it out to allow every token",
				    f->name);
		return api_read_ids(v, f->name, (int)f->high, place(a, f->at), place(a, f->count_at), why);
	case API_BIAS:
		return read_bias(a, v, why);
	case API_USER:
		return read_user(a, v, why);
	case API_STREAM_OPTIONS:
		return read_stream_options(a, v, why);
	case API_OTHER:
		break;
	}
	return 0;
}

static const struct api_field *find(const char *name, enum api_where where)
{
	int n;
	const struct api_field *f = api_fields(&n);

	for (int i = 0; i < n; i++)
		if ((f[i].where & (int)where) && !strcmp(f[i].name, name))
			return &f[i];
	return NULL;
}

void api_note_ignored(char ignored[512], const char *prefix, const char *key)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t len = strlen(key), used = strlen(ignored);
	char name[128];
	const char *at;

	if (!len || strspn(key, allowed) != len || snprintf(name, sizeof name, "%s%s", prefix, key) >= (int)sizeof name)
		return;
	len = strlen(name);
	at = strstr(ignored, name); /* many messages may have the same key: it is named once */
	if (at && (at == ignored || at[-1] == ' ') && (!at[len] || at[len] == ','))
		return;
	if (used + len + 3 < 512)
		sprintf(ignored + used, "%s%s", used ? ", " : "", name);
}

static int read_max_completion(struct api_request *a, const struct json *v, struct why *why)
{
	int64_t x;
	int err;

	if (json_none(v))
		return 0;
	err = read_whole(v, "max_completion_tokens", 1, INT_MAX, &x, why);
	if (err)
		return err;
	if (a->sampling.has >> XV_MAX_TOKENS & 1 && a->sampling.max_tokens != (uint32_t)x)
		return fail(why, ERR_INVALID, "max_completion_tokens and max_tokens differ; set only one of them");
	a->sampling.max_tokens = (uint32_t)x;
	set_bit(a, XV_MAX_TOKENS);
	return 0;
}

/* Checks fields against each other. */
static int check_together(struct api_request *a, const struct json *body, enum api_where where, const char **param,
			  struct why *why)
{
	bool has_max = a->sampling.has >> XV_MAX_TOKENS & 1;
	bool options = !json_none(json_get(body, "stream_options"));

	*param = "max_tokens";
	if (has_max && !a->sampling.max_tokens && !a->echo)
		return fail(why, ERR_INVALID, "max_tokens must be at least 1");
	if (has_max && a->sampling.max_tokens && a->sampling.min_tokens > a->sampling.max_tokens)
		return fail(why, ERR_INVALID, "min_tokens must be at most max_tokens");
	*param = "stream_options";
	if (options && !a->stream)
		return fail(why, ERR_INVALID, "stream_options requires stream: true");
	*param = "prompt_logprobs";
	if (a->prompt_top >= 0 && a->stream)
		return fail(why, ERR_INVALID, "prompt_logprobs is not supported with stream: true");
	*param = "top_logprobs";
	if (where == API_CHAT && a->top > 0 && !a->logprobs)
		return fail(why, ERR_INVALID, "top_logprobs requires logprobs: true");
	*param = NULL;
	return 0;
}

static void set_defaults(struct api_request *a, enum api_where where)
{
	struct xv_sampling *s = &a->sampling;

	if (where == API_COMPLETIONS && !(s->has >> XV_MAX_TOKENS & 1)) {
		s->max_tokens = DEFAULT_MAX_TOKENS;
		set_bit(a, XV_MAX_TOKENS);
	}
	if (where == API_CHAT)
		a->top = a->logprobs ? max_int(a->top, 0) : -1;
	if (a->top >= 0) {
		s->logprobs = (uint32_t)a->top;
		set_bit(a, XV_LOGPROBS);
	}
	if (a->prompt_top >= 0 || (a->echo && a->top >= 0)) {
		s->prompt_logprobs = (uint32_t)max_int(a->prompt_top, a->echo ? a->top : -1);
		set_bit(a, XV_PROMPT_LOGPROBS);
	}
	s->stop_ids = a->stop_ids;
	s->allowed = a->allowed;
	s->bad = a->bad;
}

static int read_member(struct api_request *a, const struct json_member *m, enum api_where where, const char **param,
		       struct why *why)
{
	bool plain_key = strlen(m->key) == m->key_len;
	const struct api_field *f = plain_key ? find(m->key, where) : NULL;
	const struct api_unsupported *u = plain_key && !f ? find_unsupported(m->key, where) : NULL;

	*param = f ? f->name : u ? u->name : NULL;
	if (u)
		return check_unsupported(u, &m->value, why);
	if (f)
		return json_none(&m->value) ? 0 : read_field(a, f, &m->value, why);
	if (plain_key)
		api_note_ignored(a->ignored, "", m->key);
	return 0;
}

int api_request_read(struct api_request *a, const struct json *body, enum api_where where, const char **param,
		     struct why *why)
{
	const struct json_member *m;
	int err = 0;

	*a = (struct api_request){.n = 1, .top = -1, .prompt_top = -1};
	for (size_t i = 0; !err && (m = json_member(body, i)); i++)
		err = read_member(a, m, where, param, why);
	if (err)
		return err;
	err = api_constraint_read(a, body, param, why);
	if (err)
		return err;
	*param = "max_completion_tokens";
	err = where == API_CHAT ? read_max_completion(a, json_get(body, *param), why) : 0;
	if (!err)
		err = check_together(a, body, where, param, why);
	if (!err)
		set_defaults(a, where);
	return err;
}

size_t api_request_bytes(const struct api_request *a)
{
	const struct xv_sampling *s = &a->sampling;
	size_t n = ((size_t)s->n_stop_ids + (size_t)s->n_allowed + (size_t)s->n_bad) * sizeof(int32_t) +
		   (size_t)s->n_bias * sizeof *a->bias;

	for (int i = 0; i < s->n_stop; i++)
		n += strlen(a->stop[i]) + sizeof *a->stop;
	return n + (a->user ? strlen(a->user) : 0) + api_constraint_bytes(a);
}

void api_request_finish(struct api_request *a)
{
	for (int i = 0; a->stop && a->stop[i]; i++)
		free(a->stop[i]);
	free(a->stop);
	free(a->stop_ids);
	free(a->allowed);
	free(a->bad);
	free(a->bias);
	free(a->user);
	api_constraint_finish(a);
	*a = (struct api_request){0};
}
