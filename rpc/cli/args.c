/* args.c - the command line of `xverse`. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/constraint.h"
#include "rpc/cli/tools.h"
#include "rpc/cli/options.h"

/* ---- values ---- */

static int parse_real(const struct option *o, const char *text, double *out, struct why *why)
{
	struct range own = {o->low, o->high, RANGE_FROM};
	const struct range *range = o->field < 0 ? &own : &rpc_sampling_ranges[o->field];
	char allowed[RANGE_TEXT], *end;

	*out = strtod(text, &end);
	if (!*text || *end || !isfinite(*out))
		return fail(why, ERR_INVALID, "--%s: \"%s\" is not a number", o->name, text);
	if (!range_holds(range, *out))
		return fail(why, ERR_INVALID, "--%s: %s is not %s", o->name, text, range_text(range, allowed));
	return 0;
}

static int parse_whole(const struct option *o, const char *text, int64_t *out, struct why *why)
{
	double x;
	char *end;
	int err, range;

	errno = 0;
	*out = text[0] == '-' ? strtoll(text, &end, 10) : (int64_t)strtoull(text, &end, 10);
	range = errno;
	if (!*text || *end)
		return fail(why, ERR_INVALID, "--%s: \"%s\" is not a whole number", o->name, text);
	err = parse_real(o, text, &x, why);
	return !err && range ? fail(why, ERR_INVALID, "--%s: %s has more than 64 bits", o->name, text) : err;
}

static int parse_ids(const char *dashes, const char *name, const char *text, struct list *out, struct why *why)
{
	for (char *end; *text; text = end) {
		long id;
		text += strspn(text, " ,\t\n");
		if (!*text)
			break;
		id = strtol(text, &end, 10);
		if (end == text || id < 0 || id > INT32_MAX || (*end && !strchr(" ,\t\n", *end)))
			return fail(why, ERR_INVALID, "%s%s: \"%.20s\" is not a token id", dashes, name, text);
		out->id = xgrow(out->id, (size_t)out->n + 1, sizeof *out->id);
		out->id[out->n++] = (int32_t)id;
	}
	return 0;
}

static int parse_bias(struct args *a, const char *text, struct why *why)
{
	char *end;
	long id = strtol(text, &end, 10);
	const char *equals = end;
	float value;

	if (end == text || *equals != '=' || id < 0 || id > INT32_MAX)
		return fail(why, ERR_INVALID, "--logit-bias: \"%s\" is not ID=VALUE", text);
	value = strtof(equals + 1, &end);
	if (end == equals + 1 || *end || !isfinite(value))
		return fail(why, ERR_INVALID, "--logit-bias: \"%s\" is not ID=VALUE", text);
	a->bias = xgrow(a->bias, (size_t)a->n_bias + 1, sizeof *a->bias);
	a->bias[a->n_bias++] = (struct xv_bias){(int32_t)id, value};
	return 0;
}

/* Fields of the request are 32 bits wide, but the seed; fields of our own are 64. */
static void store_whole(struct args *a, const struct option *o, int64_t v)
{
	char *at = (char *)a + o->at;

	if (o->field == XV_SEED || o->field < 0)
		memcpy(at, &v, sizeof v);
	else
		memcpy(at, &(int32_t){(int32_t)v}, sizeof(int32_t));
}

static int set_option(struct args *a, const struct option *o, const char *value, struct why *why)
{
	char *at = (char *)a + o->at;
	int64_t whole;
	double real;
	int err = 0;

	if (o->field >= 0)
		a->sampling.has |= 1u << o->field;
	switch (o->kind) {
	case FLAG:
		*(bool *)at = true;
		break;
	case SWITCH:
		*(bool *)at = o->low != 0;
		break;
	case WORD:
		memcpy(at, &value, sizeof value);
		break;
	case NUMBER:
		err = parse_whole(o, value, &whole, why);
		if (!err)
			store_whole(a, o, whole);
		break;
	case REAL:
		err = parse_real(o, value, &real, why);
		*(float *)at = (float)real;
		break;
	case IDS:
		a->has_ids |= o->at == offsetof(struct args, ids);
		err = parse_ids("--", o->name, value, (struct list *)at, why);
		if (!err && o->at == offsetof(struct args, allowed) && !((struct list *)at)->n)
			return fail(why, ERR_INVALID, "--%s: no token is named", o->name);
		break;
	case STOPS:
		if (!*value)
			return fail(why, ERR_INVALID, "--stop: the text is empty");
		a->stop = xgrow(a->stop, (size_t)a->n_stop + 1, sizeof *a->stop);
		a->stop[a->n_stop++] = value;
		break;
	case BIASES:
		err = parse_bias(a, value, why);
		break;
	case CONSTRAINT:
		err = constraint_set(a, o->name, (enum xv_constraint_kind)o->low, value, why);
		break;
	case TOOLS_FILE:
		tools_finish(a);
		err = tools_read(a, value, why);
	}
	return err;
}

/* ---- the line ---- */

static int take_option(struct args *a, const struct command *c, int argc, char **argv, int *i, struct why *why)
{
	const char *name = argv[*i] + strspn(argv[*i], "-"), *equals = strchr(name, '='),
		   *value = equals ? equals + 1 : NULL;
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *o = NULL;

	for (int k = 0; (o = option_at(k)); k++)
		if (strlen(o->name) == len && !strncmp(o->name, name, len) && (o->of & c->bit))
			break;
	if (!o)
		return option_unknown(c, name, len, why);
	if (!o->value)
		return equals ? fail(why, ERR_INVALID, "--%s takes no value", o->name) : set_option(a, o, NULL, why);
	if (!value && *i + 1 < argc)
		value = argv[++*i];
	if (!value)
		return fail(why, ERR_INVALID, "--%s: a value (%s) is missing", o->name, o->value);
	return set_option(a, o, value, why);
}

/* "-n": an option whose name is one letter. */
static bool is_short(const struct command *c, const char *arg)
{
	const struct option *o;

	for (int i = 0; arg[0] == '-' && arg[1] && (!arg[2] || arg[2] == '=') && (o = option_at(i)); i++)
		if ((o->of & c->bit) && o->name[0] == arg[1] && !o->name[1])
			return true;
	return false;
}

static int take_plain(struct args *a, const struct command *c, const char *text, struct why *why)
{
	if (c->bit == DET) {
		a->has_ids = true;
		return parse_ids("", "detokenize", text, &a->ids, why);
	}
	if (c->bit == CAN || c->bit == LOG) {
		char *end;
		int64_t v = strtoll(text, &end, 10);
		if (end == text || *end || v < 0 || a->has_call)
			return fail(why, ERR_INVALID, "xverse %s takes one number, not \"%s\"", c->name, text);
		a->has_call = true;
		a->call = a->level = v;
		return 0;
	}
	if ((c->bit == BAT || c->bit == SUB) && !a->batch.in) {
		a->batch.in = text;
		return 0;
	}
	if (c->bit == EVA) {
		a->eval.word = xgrow(a->eval.word, (size_t)a->eval.n_word + 1, sizeof *a->eval.word);
		a->eval.word[a->eval.n_word++] = text;
		return 0;
	}
	if (c->bit == LOR && a->n_words < (int)(sizeof a->word / sizeof *a->word)) {
		a->word[a->n_words++] = text;
		return 0;
	}
	if (!(c->bit & (GEN | SCO | TOK | CHA)))
		return fail(why, ERR_INVALID, "xverse %s takes no argument: \"%s\"", c->name, text);
	if (a->text)
		return fail(why, ERR_INVALID, "two texts: \"%.40s\" and \"%.40s\" (quote a text with spaces)", a->text,
			    text);
	a->text = xstrdup(text);
	return 0;
}

/* A text that lives as long as the arguments. */
static const char *keep(struct args *a, const char *text)
{
	a->kept = xgrow(a->kept, (size_t)a->n_kept + 1, sizeof *a->kept);
	return a->kept[a->n_kept++] = xstrdup(text);
}

static void point_lists(struct args *a)
{
	a->sampling.stop = a->stop;
	a->sampling.n_stop = a->n_stop;
	a->sampling.stop_ids = a->stop_ids.id;
	a->sampling.n_stop_ids = a->stop_ids.n;
	a->sampling.allowed = a->allowed.id;
	a->sampling.n_allowed = a->allowed.n;
	a->sampling.bad = a->bad.id;
	a->sampling.n_bad = a->bad.n;
	a->sampling.bias = a->bias;
	a->sampling.n_bias = a->n_bias;
	a->sampling.constraint.choice = a->choice;
}

static const struct option *option_of(const struct command *c, const char *name, struct why *why)
{
	const struct option *o;

	for (int i = 0; (o = option_at(i)); i++)
		if ((o->of & c->bit) && o->of != ALL && !strcmp(o->name, name))
			return o;
	option_unknown(c, name, strlen(name), why);
	return NULL;
}

int args_set(struct args *a, const char *command, const char *name, const char *value, struct why *why)
{
	const struct option *o = option_of(command_find(command), name, why);
	int err;

	if (!o)
		return ERR_INVALID;
	if (o->value && !*value)
		return fail(why, ERR_INVALID, "%s: a value (%s) is missing", name, o->value);
	err = set_option(a, o, o->value ? keep(a, value) : NULL, why);
	point_lists(a);
	return err;
}

int args_unset(struct args *a, const char *command, const char *name, struct why *why)
{
	const struct option *o = option_of(command_find(command), name, why);

	if (!o)
		return ERR_INVALID;
	if (o->field >= 0)
		a->sampling.has &= ~(1u << o->field);
	else if (o->kind == STOPS)
		a->n_stop = 0;
	else if (o->kind == BIASES)
		a->n_bias = 0;
	else if (o->kind == IDS)
		((struct list *)((char *)a + o->at))->n = 0;
	else
		return fail(why, ERR_INVALID, "%s: the server has no default for it", name);
	point_lists(a);
	return 0;
}

void args_show(const struct args *a, FILE *out)
{
	const struct option *o;

	for (int k = 0; (o = option_at(k)); k++) {
		const char *at = (const char *)a + o->at;

		if (o->field < 0 || !(o->of & CHA) || !(a->sampling.has >> o->field & 1))
			continue;
		fprintf(out, "%s ", o->name);
		if (o->kind == REAL)
			fprintf(out, "%g\n", (double)*(const float *)at);
		else if (o->kind == NUMBER)
			fprintf(out, "%lld\n",
				o->field == XV_SEED ? *(const long long *)at : (long long)*(const int32_t *)at);
		else
			fprintf(out, "on\n");
	}
	for (int i = 0; i < a->n_stop; i++)
		fprintf(out, "stop %s\n", a->stop[i]);
}

int args_parse(struct args *a, int argc, char **argv, struct why *why)
{
	const struct command *c = argc > 1 ? command_find(argv[1]) : NULL;
	bool plain = false;
	int err = 0;

	memset(a, 0, sizeof *a);
	a->eval = (struct eval_args){.shots = -1, .limit = -1, .max_prompt = -1, .in_flight = -1};
	a->batch.retries = -1;
	if (!c || !c->bit)
		return argc > 1 ? command_unknown(argv[1], why)
				: fail(why, ERR_INVALID, "which command? (xverse --help lists them)");
	a->command = c->name;
	for (int i = 2; !err && i < argc; i++) {
		if (!plain && !strcmp(argv[i], "--"))
			plain = true;
		else if (!plain && !strncmp(argv[i], "--", 2))
			err = take_option(a, c, argc, argv, &i, why);
		else if (!plain && is_short(c, argv[i]))
			err = take_option(a, c, argc, argv, &i, why);
		else if (!plain && argv[i][0] == '-' && argv[i][1])
			err = fail(why, ERR_INVALID,
				   "%s: options begin with two dashes (-- before a text that begins with one)",
				   argv[i]);
		else
			err = take_plain(a, c, argv[i], why);
	}
	point_lists(a);
	return err;
}

void args_finish(struct args *a)
{
	free(a->text);
	for (int i = 0; i < a->n_kept; i++)
		free(a->kept[i]);
	free(a->kept);
	free(a->stop);
	free(a->ids.id);
	free(a->stop_ids.id);
	free(a->allowed.id);
	free(a->bad.id);
	free(a->bias);
	constraint_finish(a);
	tools_finish(a);
	free(a->eval.word);
}
