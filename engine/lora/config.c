#include "engine/lora/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "engine/tokenizer/pattern.h"

/* Keys that change what an adapter computes, and are not built: refused unless null, false, empty or `plain`. */
static const struct {
	const char *key, *plain, *text;
} refused[] = {
	{"use_dora", NULL, "DoRA is not supported; merge the adapter into its model with PEFT's merge_and_unload()"},
	{"bias", "none", "trained biases are not supported; train with bias=\"none\", or merge the adapter with PEFT"},
	{"lora_bias", NULL, "biases of adapters are not supported; merge the adapter with PEFT"},
	{"modules_to_save", NULL,
	 "modules that are trained as a whole are not supported; merge the adapter with PEFT's merge_and_unload()"},
	{"trainable_token_indices", NULL, "trained tokens are not supported; merge the adapter with PEFT"},
	{"target_parameters", NULL, "adapters of bare parameters are not supported; merge the adapter with PEFT"},
	{"layer_replication", NULL, "replicated layers are not supported"},
	{"alora_invocation_tokens", NULL, "activated LoRA is not supported"},
	{"arrow_config", NULL, "mixtures of adapters (Arrow) are not supported"},
	{"use_qalora", NULL, "QA-LoRA is not supported"},
	{"use_bdlora", NULL, "block-diagonal LoRA is not supported"},
};
/* Ways to begin the training that change the model's own weights. */
static const char *const changing[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};

static bool is_plain(const struct json *v, const char *plain)
{
	if (json_none(v) || (json_is(v, JSON_IS_BOOL) && !json_yes(v)))
		return true;
	if (json_str(v))
		return !json_len(v) || (plain && !strcmp(json_str(v), plain));
	return (json_is(v, JSON_IS_LIST) || json_is(v, JSON_IS_OBJECT)) && !json_size(v);
}

static int refuse(const char *dir, const char *key, const struct json *v, const char *text, struct why *why)
{
	char *value = json_write(v, NULL, NULL);
	int err =
		fail(why, ERR_UNSUPPORTED, "%.200s: adapter_config.json has \"%s\": %.80s: %s", dir, key, value, text);

	free(value);
	return err;
}

static int check_refused(const char *dir, const struct json *root, struct why *why)
{
	const struct json *kind = json_get(root, "peft_type"), *begin = json_get(root, "init_lora_weights");
	const char *how = json_str(begin);

	if (!json_str(kind) || strcmp(json_str(kind), "LORA"))
		return fail(why, ERR_UNSUPPORTED,
			    "%.200s: adapter_config.json has \"peft_type\": %.60s; only LORA adapters are supported",
			    dir, json_str(kind) ? json_str(kind) : json_kind_name(kind));
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		const struct json *v = json_get(root, refused[i].key);
		if (!is_plain(v, refused[i].plain))
			return refuse(dir, refused[i].key, v, refused[i].text, why);
	}
	for (size_t i = 0; how && i < sizeof changing / sizeof *changing; i++)
		if (!strncmp(how, changing[i], strlen(changing[i])))
			return refuse(dir, "init_lora_weights", begin,
				      "such training changes the model's weights, too; save the adapter with PEFT's "
				      "path_initial_model_for_weight_conversion",
				      why);
	return 0;
}

static int wrong(const char *dir, const char *key, const struct json *v, const char *rule, struct why *why)
{
	char *value = v ? json_write(v, NULL, NULL) : xstrdup("missing");
	int err = fail(why, ERR_FORMAT, "%.200s: adapter_config.json: \"%s\" is %.60s; it must be %s", dir, key, value,
		       rule);

	free(value);
	return err;
}

static const char rank_rule[] = "a whole number from 1 to 4096", alpha_rule[] = "a finite number";

static bool rank_of(const struct json *v, int *out)
{
	int64_t n;

	if (!json_int(v, &n) || n < 1 || n > LORA_MAX_RANK)
		return false;
	*out = (int)n;
	return true;
}

static bool alpha_of(const struct json *v, double *out)
{
	*out = json_num(v);
	return json_is_num(v) && isfinite(*out);
}

static int check_pattern(const char *dir, const struct json *root, const char *key, const struct json **out,
			 struct why *why)
{
	const struct json *v = json_get(root, key);
	const struct json_member *m;
	double alpha;
	int rank;

	*out = v;
	if (!json_none(v) && !json_is(v, JSON_IS_OBJECT))
		return wrong(dir, key, v, "an object of names and numbers", why);
	for (size_t i = 0; (m = json_member(v, i)); i++)
		if (strcmp(key, "rank_pattern") ? !alpha_of(&m->value, &alpha) : !rank_of(&m->value, &rank))
			return wrong(dir, key, v, "an object of names and numbers that are ranks or finite", why);
	return 0;
}

static int read_members(struct lora_config *c, const char *dir, struct why *why)
{
	const struct json *root = json_root(c->doc), *r = json_get(root, "r"), *alpha = json_get(root, "lora_alpha"),
			  *rslora = json_get(root, "use_rslora");
	int err = check_refused(dir, root, why);

	if (err)
		return err;
	if (!rank_of(r, &c->rank))
		return wrong(dir, "r", r, rank_rule, why);
	if (!alpha_of(alpha, &c->alpha))
		return wrong(dir, "lora_alpha", alpha, alpha_rule, why);
	if (!json_none(rslora) && !json_is(rslora, JSON_IS_BOOL))
		return wrong(dir, "use_rslora", rslora, "true or false", why);
	c->rslora = json_yes(rslora);
	err = check_pattern(dir, root, "rank_pattern", &c->ranks, why);
	return err ? err : check_pattern(dir, root, "alpha_pattern", &c->alphas, why);
}

int lora_config_read(struct lora_config *c, const char *dir, struct why *why)
{
	char *path = xprintf("%s/adapter_config.json", dir);
	int err;

	*c = (struct lora_config){0};
	err = json_read_file(&c->doc, path, FILE_CONFIG, why);
	free(path);
	if (!err && !json_is(json_root(c->doc), JSON_IS_OBJECT))
		err = fail(why, ERR_FORMAT, "%.200s: adapter_config.json is not a JSON object", dir);
	return err ? err : read_members(c, dir, why);
}

void lora_config_finish(struct lora_config *c)
{
	json_close(c->doc);
	*c = (struct lora_config){0};
}

static bool is_expression(const char *key)
{
	return strpbrk(key, "\\^$*+?{}[]()|");
}

/* As Python's re.match() of (.*\.)?(key)$. */
static int matches(const char *key, const char *module, bool *yes, struct why *why)
{
	size_t n = strlen(module), k = strlen(key);
	struct pattern p = {0};
	struct tok_pieces pieces = {0};
	char *whole;
	int err;

	if (!is_expression(key)) {
		*yes = n >= k && !strcmp(module + n - k, key) && (n == k || module[n - k - 1] == '.');
		return 0;
	}
	whole = xprintf("\\A(.*\\.)?(%s)\\z", key);
	err = pattern_regex(&p, whole, strlen(whole), "adapter_config.json: a pattern", why);
	if (!err && pattern_cut(&p, module, n, &pieces, why))
		err = fail(
			why, ERR_LIMIT,
			"adapter_config.json: it takes too long to look for the modules of the pattern \"%.100s\"; name them",
			key);
	*yes = !err && pieces.n == 1 && pieces.p[0].match;
	pattern_finish(&p);
	free(pieces.p);
	free(whole);
	return err;
}

/* The value of the first key that matches; NULL: none does. */
static int find(const struct json *patterns, const char *module, const struct json **out, struct why *why)
{
	const struct json_member *m;
	bool yes = false;
	int err = 0;

	*out = NULL;
	for (size_t i = 0; !err && !yes && (m = json_member(patterns, i)); i++) {
		err = matches(m->key, module, &yes, why);
		if (yes)
			*out = &m->value;
	}
	return err;
}

int lora_config_module(const struct lora_config *c, const char *module, int *rank, double *scale, struct why *why)
{
	const struct json *own_rank, *own_alpha;
	double alpha = c->alpha;
	int err = find(c->ranks, module, &own_rank, why);

	if (!err)
		err = find(c->alphas, module, &own_alpha, why);
	if (err)
		return err;
	*rank = c->rank;
	if (own_rank)
		rank_of(own_rank, rank);
	if (own_alpha)
		alpha_of(own_alpha, &alpha);
	*scale = alpha / (c->rslora ? sqrt(*rank) : *rank);
	return 0;
}
