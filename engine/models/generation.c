#include "engine/models/generation.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reader {
	json_t *root;
	const char *path;
	struct generation_config *g;
	struct why *why;
};

/* 1: there, *out is set; 0: absent or null. */
static int get_number(struct reader *r, const char *key, double low, double high, double *out)
{
	json_t *v = json_object_get(r->root, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is not a number", r->path, key);
	*out = json_number_value(v);
	if (!(*out >= low && *out <= high))
		return fail(r->why, ERR_FORMAT, "%s: \"%s\" is %g; wanted: %g to %g", r->path, key, *out, low,
			    high);
	return 1;
}

static int read_real(struct reader *r, const char *key, enum generation_field f, double high, float *out)
{
	double x;
	int got = get_number(r, key, 0, high, &x);

	if (got != 1)
		return got;
	*out = (float)x;
	r->g->has |= 1u << f;
	return 0;
}

static int read_whole(struct reader *r, const char *key, enum generation_field f, int *out)
{
	double x;
	int got = get_number(r, key, -1, 1e9, &x);

	if (got != 1)
		return got;
	*out = (int)x;
	r->g->has |= 1u << f;
	return 0;
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
	int err = read_real(r, "temperature", GENERATION_TEMPERATURE, 1000, &g->temperature);

	if (!err)
		err = read_real(r, "top_p", GENERATION_TOP_P, 1, &g->top_p);
	if (!err)
		err = read_real(r, "min_p", GENERATION_MIN_P, 1, &g->min_p);
	if (!err)
		err = read_real(r, "repetition_penalty", GENERATION_REPETITION_PENALTY, 100,
				&g->repetition_penalty);
	if (!err)
		err = read_whole(r, "top_k", GENERATION_TOP_K, &g->top_k);
	if (!err)
		err = read_whole(r, "max_new_tokens", GENERATION_MAX_NEW_TOKENS, &g->max_new_tokens);
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
