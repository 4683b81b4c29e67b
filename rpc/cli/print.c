/* print.c - replies as text and as JSON; keys are the proto's field names. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"
#include "base/text.h"
#include "base/utf8.h"

json_t *json_text(const char *text, size_t len)
{
	char *out = xalloc(3 * len + 1, 1);
	size_t n = 0;
	json_t *j;

	for (size_t i = 0; i < len;) {
		int k = utf8_char(text + i, len - i);
		memcpy(out + n, k ? text + i : "\xef\xbf\xbd", k ? (size_t)k : 3);
		n += k ? (size_t)k : 3;
		i += k ? (size_t)k : 1;
	}
	j = json_stringn(out, n);
	free(out);
	return j;
}

void cli_piece(struct text *t, const char *piece, size_t len)
{
	size_t whole = 0;

	text_str(t, "\"");
	for (size_t i = 0; i <= len;) {
		int n = i < len ? utf8_char(piece + i, len - i) : 0;

		if (n) {
			i += (size_t)n;
			continue;
		}
		if (i > whole) {
			struct text part = {0};

			text_json(&part, piece + whole, i - whole);
			text_put(t, part.data + 1, part.len - 2); /* without its quotes */
			text_finish(&part);
		}
		if (i < len)
			text_fmt(t, "\\x%02X", (unsigned char)piece[i]);
		whole = ++i;
	}
	text_str(t, "\"");
}

/* Floats of the wire have 32 bits: 9 digits tell all of them apart. */
void json_print(json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));

	REQUIRE(text);
	cli_write(text, strlen(text));
	cli_write("\n", 1);
	free(text);
	json_decref(j);
}

static const char *finish_name(enum xv_finish f)
{
	static const char *const names[] = {"none", "stop", "length", "cancelled", "deadline", "scored"};

	return f <= XV_FINISH_SCORED ? names[f] : "unknown";
}

const char *state_name(enum xv_state s)
{
	static const char *const names[] = {"starting", "loading", "ready", "draining"};

	return s <= XV_STATE_DRAINING ? names[s] : "unknown";
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* JSON's whole numbers end at 2^63 here. */
static json_t *seed_of(uint64_t seed)
{
	char text[24];

	if (seed <= INT64_MAX)
		return number(seed);
	snprintf(text, sizeof text, "%" PRIu64, seed);
	return json_string(text);
}

/* The shortest decimal that reads back as the same float. */
static json_t *real32(float x)
{
	char text[32];

	if (!isfinite(x))
		return json_null();
	for (int digits = 1; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)x);
		if (strtof(text, NULL) == x)
			break;
	}
	return json_real(strtod(text, NULL));
}

json_t *json_of_started(const struct xv_started *s)
{
	json_t *j = json_object(), *ids;

	json_object_set_new(j, "call", number(s->call));
	json_object_set_new(j, "seed", seed_of(s->seed));
	json_object_set_new(j, "fingerprint", json_string(s->fingerprint));
	json_object_set_new(j, "numerics_class", json_string(s->numerics_class));
	json_object_set_new(j, "prompt_tokens", number(s->prompt_tokens));
	if (*s->adapter) {
		json_object_set_new(j, "adapter", json_text(s->adapter, strlen(s->adapter)));
		json_object_set_new(j, "adapter_fingerprint", json_string(s->adapter_fingerprint));
	}
	if (s->n_prompt_ids) {
		ids = json_array();
		for (int i = 0; i < s->n_prompt_ids; i++)
			json_array_append_new(ids, json_integer(s->prompt_ids[i]));
		json_object_set_new(j, "prompt_ids", ids);
	}
	return j;
}

json_t *json_of_token(const struct xv_token *t)
{
	json_t *j = json_object(), *top;

	json_object_set_new(j, "id", json_integer(t->id));
	json_object_set_new(j, "piece", json_text(t->piece, t->piece_len));
	if (!t->has_logprob)
		return j;
	json_object_set_new(j, "logprob", real32(t->logprob));
	json_object_set_new(j, "rank", number(t->rank));
	json_object_set_new(j, "greedy", json_boolean(t->greedy));
	top = json_array();
	for (int i = 0; i < t->n_top; i++) {
		json_t *one = json_object();
		json_object_set_new(one, "id", json_integer(t->top[i].id));
		json_object_set_new(one, "piece", json_text(t->top[i].piece, t->top[i].piece_len));
		json_object_set_new(one, "logprob", real32(t->top[i].logprob));
		json_array_append_new(top, one);
	}
	json_object_set_new(j, "top", top);
	return j;
}

json_t *json_of_finished(const struct xv_finished *f)
{
	json_t *j = json_object();

	json_object_set_new(j, "reason", json_string(finish_name(f->reason)));
	if (f->stop_id >= 0)
		json_object_set_new(j, "stop_id", json_integer(f->stop_id));
	if (*f->stop_text)
		json_object_set_new(j, "stop_text", json_text(f->stop_text, strlen(f->stop_text)));
	json_object_set_new(j, "prompt_tokens", number(f->prompt_tokens));
	json_object_set_new(j, "output_tokens", number(f->output_tokens));
	json_object_set_new(j, "cached_tokens", number(f->cached_tokens));
	json_object_set_new(j, "queue_ns", number(f->queue_ns));
	json_object_set_new(j, "prefill_ns", number(f->prefill_ns));
	json_object_set_new(j, "decode_ns", number(f->decode_ns));
	return j;
}

json_t *json_of_error(const struct xv_error *e)
{
	json_t *j = json_object();

	json_object_set_new(j, "code", json_string(err_name(e->code)));
	json_object_set_new(j, "text", json_text(e->text, strlen(e->text)));
	json_object_set_new(j, "retryable", json_boolean(e->retryable));
	if (e->retry_after_ms)
		json_object_set_new(j, "retry_after_ms", number(e->retry_after_ms));
	if (e->rank >= 0)
		json_object_set_new(j, "rank", json_integer(e->rank));
	if (e->step >= 0)
		json_object_set_new(j, "step", json_integer(e->step));
	if (e->pid >= 0)
		json_object_set_new(j, "pid", json_integer(e->pid));
	return j;
}

/* A field without a key is left out. */
static void set_text(json_t *j, const char *key, const char *text)
{
	if (key)
		json_object_set_new(j, key, json_text(text, strlen(text)));
}

static void set_number(json_t *j, const char *key, int64_t value)
{
	if (key)
		json_object_set_new(j, key, json_integer(value));
}

static json_t *ranks_of(const struct xv_status *s)
{
	json_t *all = json_array();

	for (int i = 0; i < s->n_rank; i++) {
		const struct xv_rank_status *r = &s->rank[i];
		json_t *j = json_object();
#define RANK(field, type, cli, ...) set_number(j, cli, (int64_t)r->field);
#include "proto/status.def"
		json_array_append_new(all, j);
	}
	return all;
}

static const char *adapter_state(const struct xv_adapter *l)
{
	static const char *const names[] = {"loading", "ready", "unloading", "merged"};

	return l->state <= XV_ADAPTER_MERGED ? names[l->state] : "unknown";
}

json_t *json_of_adapter(const struct xv_adapter *l)
{
	return json_pack("{s:o,s:s,s:o,s:s,s:I,s:I,s:I}", "name", json_text(l->name, strlen(l->name)), "fingerprint",
			 l->fingerprint, "dir", json_text(l->dir, strlen(l->dir)), "state", adapter_state(l), "rank",
			 (json_int_t)l->rank, "calls", (json_int_t)l->calls, "total_calls", (json_int_t)l->total_calls);
}

json_t *json_of_adapters(const struct xv_status *s)
{
	json_t *all = json_array();

	for (int i = 0; i < s->n_adapter; i++)
		json_array_append_new(all, json_of_adapter(&s->adapter[i]));
	return all;
}

void print_adapter(const struct xv_adapter *l, int left)
{
	cli_row(l->name, left, "%s, rank %u, fingerprint %s, %u calls open, %ju in all, %s", adapter_state(l), l->rank,
		*l->fingerprint ? l->fingerprint : "unknown yet", l->calls, (uintmax_t)l->total_calls, l->dir);
}

json_t *json_of_status(const struct xv_status *s)
{
	json_t *j = json_object();

	set_text(j, "state", state_name(s->state));
#define TEXT(field, cli, ...) set_text(j, cli, s->field);
#define NUMBER(field, type, cli, ...) set_number(j, cli, (int64_t)s->field);
#include "proto/status.def"
	json_object_set_new(j, "rank", ranks_of(s));
	json_object_set_new(j, "adapters", json_of_adapters(s));
	return j;
}
