#include "engine/models/generation.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/pick.h"

struct reader {
	json_t *root;
	const char *path;
	struct generation_config *g;
	struct why *why;
};

static const struct range max_new_tokens = {1, INT32_MAX, RANGE_FROM}; /* as transformers: no default of nothing */

/* 1: there, *out is set; 0: absent or null. */
static int get_number(struct reader *r, const char *key, const struct range *range, double *out)
{
	json_t *v = json_object_get(r->root, key);
	char text[RANGE_TEXT];

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is not a number", r->path, key);
	*out = json_number_value(v);
	if (!range_holds(range, *out))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is %g, not %s", r->path, key, *out,
			    range_text(range, text));
	return 1;
}

static int read_real(struct reader *r, const char *key, enum generation_field f, const struct range *range, float *out)
{
	double x;
	int got = get_number(r, key, range, &x);

	if (got != 1)
		return got;
	*out = (float)x;
	r->g->has |= 1u << f;
	return 0;
}

static int read_whole(struct reader *r, const char *key, enum generation_field f, const struct range *range, int *out)
{
	double x;
	int got = get_number(r, key, range, &x);

	if (got != 1)
		return got;
	*out = (int)x;
	r->g->has |= 1u << f;
	return 0;
}

/* Here 0 is taken: transformers then keeps the likeliest token alone, as the least share above 0 does. */
static int read_top_p(struct reader *r)
{
	const struct range range = {sampling_ranges[SAMPLING_TOP_P].low, sampling_ranges[SAMPLING_TOP_P].high, RANGE_FROM};
	int err = read_real(r, "top_p", GENERATION_TOP_P, &range, &r->g->top_p);

	if (!err && r->g->has >> GENERATION_TOP_P & 1)
		r->g->top_p = fmaxf(r->g->top_p, FLT_MIN);
	return err;
}

static int read_eos(struct reader *r)
{
	json_t *v = json_object_get(r->root, "eos_token_id"), *one;
	size_t i;

	if (json_is_integer(v)) {
		r->g->eos[r->g->n_eos++] = (int)json_integer_value(v);
		return 0;
	}
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_array(v) || json_array_size(v) > 8)
		return fail(r->why, ERR_FORMAT,
			    "%s: \"eos_token_id\" is neither an id nor a list of at most 8", r->path);
	json_array_foreach(v, i, one)
	{
		if (!json_is_integer(one))
			return fail(r->why, ERR_FORMAT, "%s: \"eos_token_id\" holds what is no id", r->path);
		r->g->eos[r->g->n_eos++] = (int)json_integer_value(one);
	}
	return 0;
}

static int read_all(struct reader *r)
{
	struct generation_config *g = r->g;
	int err = read_real(r, "temperature", GENERATION_TEMPERATURE, &sampling_ranges[SAMPLING_TEMPERATURE], &g->temperature);

	if (!err)
		err = read_top_p(r);
	if (!err)
		err = read_real(r, "min_p", GENERATION_MIN_P, &sampling_ranges[SAMPLING_MIN_P], &g->min_p);
	if (!err)
		err = read_real(r, "repetition_penalty", GENERATION_REPETITION_PENALTY,
				&sampling_ranges[SAMPLING_REPETITION_PENALTY], &g->repetition_penalty);
	if (!err)
		err = read_whole(r, "top_k", GENERATION_TOP_K, &sampling_ranges[SAMPLING_TOP_K], &g->top_k);
	if (!err)
		err = read_whole(r, "max_new_tokens", GENERATION_MAX_NEW_TOKENS, &max_new_tokens, &g->max_new_tokens);
	if (!err)
		err = read_eos(r);
	if (!err && json_is_false(json_object_get(r->root, "do_sample"))) {
		g->temperature = 0;
		g->has |= 1u << GENERATION_TEMPERATURE;
	}
	return err;
}

int generation_config_read(struct generation_config *g, const char *dir, struct why *why)
{
	char *path = xprintf("%s/generation_config.json", dir);
	struct reader r = {.path = path, .g = g, .why = why};
	json_error_t error;
	int err = 0;

	memset(g, 0, sizeof *g);
	if (!access(path, F_OK)) {
		r.root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
		if (!r.root || !json_is_object(r.root))
			err = fail(why, ERR_FORMAT, "%s: line %d: %s", path, error.line,
				   r.root ? "not an object" : error.text);
		else
			err = read_all(&r);
		json_decref(r.root);
	}
	free(path);
	return err;
}
