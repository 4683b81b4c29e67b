/* generation.c - reads and checks generation_config.json. */
#include "engine/models/generation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "base/json/json.h"
#include "engine/sample/sample.h"

struct reader {
	const struct json *root;
	const char *path;
	struct generation_config *g;
	struct why *why;
};

static const struct range max_new_tokens = {1, INT32_MAX, RANGE_FROM}; /* as transformers: no default of nothing */

/* 1: *out is set; 0: the key is absent or null. */
static int get_number(struct reader *r, const char *key, double *out)
{
	const struct json *v = json_get(r->root, key);

	if (json_none(v))
		return 0;
	if (!json_is_num(v))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is not a number", r->path, key);
	*out = json_num(v);
	return 1;
}

static int check_number(struct reader *r, const char *key, enum sampling_number f, const struct range *range, double x)
{
	char text[RANGE_TEXT];

	if (!range_holds(range, x))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is %g, not %s", r->path, key, x, range_text(range, text));
	r->g->has |= 1u << f;
	return 0;
}

/* Checks the float that is used: a double above 0 may be too small for one. */
static int read_real(struct reader *r, const char *key, enum sampling_number f, const struct range *range, float *out)
{
	double x;
	int got = get_number(r, key, &x);

	if (got != 1)
		return got;
	*out = (float)x;
	return check_number(r, key, f, range, *out);
}

static int read_whole(struct reader *r, const char *key, enum sampling_number f, const struct range *range, int *out)
{
	double x;
	int got = get_number(r, key, &x);

	if (got != 1)
		return got;
	got = check_number(r, key, f, range, x);
	if (!got && x != trunc(x))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is %g, not a whole number", r->path, key, x);
	if (!got)
		*out = (int)x;
	return got;
}

/* The caller, which knows the vocabulary, handles ids that are no token. */
static int add_eos(struct reader *r, const struct json *v)
{
	int64_t id;

	if (!json_is_int(v))
		return fail(r->why, ERR_FORMAT, "%s: \"eos_token_id\" holds %s, which is no id", r->path,
			    json_kind_name(v));
	if (r->g->n_eos == GENERATION_MAX_EOS)
		return fail(r->why, ERR_UNSUPPORTED, "%s: \"eos_token_id\" has more than %d ids", r->path,
			    GENERATION_MAX_EOS);
	r->g->eos[r->g->n_eos++] = json_int(v, &id) && id >= 0 && id <= INT32_MAX ? (int)id : -1;
	return 0;
}

static int read_eos(struct reader *r)
{
	const struct json *v = json_get(r->root, "eos_token_id"), *one;
	int err = json_none(v) || json_is(v, JSON_IS_LIST) ? 0 : add_eos(r, v);

	for (size_t i = 0; !err && (one = json_at(v, i)); i++)
		err = add_eos(r, one);
	return err;
}

static int read_numbers(struct reader *r)
{
	struct generation_config *g = r->g;
	int err = 0;

#define SOURCE_REQUEST(...)
#define SOURCE_MODEL(NAME, field) \
	if (!err) \
		err = read_real(r, #field, SAMPLING_##NAME, &sampling_ranges[SAMPLING_##NAME], &g->field);
#define REAL(NAME, field, unset, bound, low, high, meaning, source) SOURCE_##source(NAME, field)
#include "proto/sampling.def"
	if (!err)
		err = read_whole(r, "top_k", SAMPLING_TOP_K, &sampling_ranges[SAMPLING_TOP_K], &g->top_k);
	if (!err)
		err = read_whole(r, "max_new_tokens", SAMPLING_MAX_TOKENS, &max_new_tokens, &g->max_tokens);
	return err;
}

static int read_all(struct reader *r)
{
	const struct json *sample = json_get(r->root, "do_sample");
	int err = read_numbers(r);

	if (!err)
		err = read_eos(r);
	if (!err && json_is(sample, JSON_IS_BOOL) && !json_yes(sample)) {
		r->g->temperature = 0;
		r->g->has |= 1u << SAMPLING_TEMPERATURE;
	}
	return err;
}

int generation_config_read(struct generation_config *g, const char *dir, struct why *why)
{
	char *path = xprintf("%s/generation_config.json", dir);
	struct reader r = {.path = path, .g = g, .why = why};
	struct json_doc *doc;
	int err = json_read_file(&doc, path, FILE_CONFIG, why);

	memset(g, 0, sizeof *g);
	r.root = json_root(doc);
	if (!err)
		err = read_all(&r);
	else if (err == ERR_UNKNOWN)
		err = 0;
	json_close(doc);
	free(path);
	return err;
}
