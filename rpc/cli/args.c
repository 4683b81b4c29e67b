/* args.c - one table of options; each names the commands that take it. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"

enum kind { FLAG, NUMBER, REAL, WORD, SWITCH, IDS, STOPS, BIASES };

/* Commands, as bits. */
enum {
	GEN = 1,
	SCO = 2,
	STA = 4,
	TOK = 8,
	DET = 16,
	CAN = 32,
	DRA = 64,
	MET = 128,
	LOG = 256,
	CHA = 512,
	BEN = 1024,
	ALL = 2047
};

struct option {
	const char *name, *value, *help;
	enum kind kind;
	unsigned of;
	size_t at;
	int field; /* enum xv_sampling_field, whose range counts; -1: none */
	double low, high;
};

enum {
#define NUMBER(Message, field, low, high, meaning) MOST_##Message##_##field = (high),
#include "proto/limits.def"
};

#define AT(f) offsetof(struct args, f)
#define SAM(f) offsetof(struct args, sampling.f)
static const struct option rows[] = {
	{"uds", "PATH", "socket of the server [XVERSE_SOCKET, else the server's default]", WORD, ALL, AT(uds), -1, 0,
	 0},
	{"json", NULL, "print the whole answer as one line of JSON", FLAG, ALL, AT(json), -1, 0, 0},
	{"help", NULL, "print this text", FLAG, ALL, AT(help), -1, 0, 0},
	{"file", "FILE", "read the text from a file", WORD, GEN | SCO | TOK | CHA, AT(prompt_file), -1, 0, 0},
	{"prompt-file", "FILE", "the same", WORD, GEN | SCO | TOK | CHA, AT(prompt_file), -1, 0, 0},
	{"ids", "\"1 2 3\"", "the prompt as token ids", IDS, GEN | SCO | DET, AT(ids), -1, 0, 0},
	{"system", "TEXT", "the system message", WORD, CHA, AT(system), -1, 0, 0},
	{"once", NULL, "answer one message, then exit", FLAG, CHA, AT(once), -1, 0, 0},
	{"max-tokens", "N", "tokens of the answer [what the context leaves]", NUMBER, GEN | CHA, SAM(max_tokens),
	 XV_MAX_TOKENS, 0, 0},
/* The sampling fields that are taken as they are; the others have rows of their own. */
#define REAL(NAME, field, unset, bound, low, high, meaning, source) \
	{#field, "X", meaning, REAL, GEN | CHA, SAM(field), XV_##NAME, 0, 0},
#define WHOLE_OWN(...)
#define WHOLE_PLAIN(NAME, field, wire, meaning) {#wire, "N", meaning, NUMBER, GEN | CHA, SAM(field), XV_##NAME, 0, 0},
#define WHOLE(NAME, type, field, wire, unset, low, high, meaning, form) WHOLE_##form(NAME, field, wire, meaning)
#define SWITCH_OWN(...)
#define SWITCH_PLAIN(NAME, field, wire, meaning) {#wire, NULL, meaning, SWITCH, GEN | CHA, SAM(field), XV_##NAME, 1, 0},
#define SWITCH(NAME, field, wire, unset, meaning, form) SWITCH_##form(NAME, field, wire, meaning)
#include "proto/sampling.def"
	{"seed", "N", "the same seed gives the same text [chosen by the server]", NUMBER, GEN | CHA, SAM(seed), XV_SEED,
	 0, 0},
	{"stop", "TEXT", "end before this text; may be given several times", STOPS, GEN | CHA, 0, -1, 0, 0},
	{"stop-token-ids", "\"1 2\"", "end at these tokens", IDS, GEN | CHA, AT(stop_ids), -1, 0, 0},
	{"show-special-tokens", NULL, "special tokens appear in the text", SWITCH, GEN | CHA, SAM(skip_special),
	 XV_SKIP_SPECIAL, 0, 0},
	{"logit-bias", "ID=V", "add V to the logit of a token; may be given several times", BIASES, GEN | CHA, 0, -1, 0,
	 0},
	{"allowed-token-ids", "\"1 2\"", "allow only these tokens", IDS, GEN | CHA, AT(allowed), -1, 0, 0},
	{"bad-token-ids", "\"1 2\"", "forbid these tokens", IDS, GEN | CHA, AT(bad), -1, 0, 0},
	{"logprobs", "N", "logprob of each token and of the N likeliest (with --json)", NUMBER, GEN, SAM(logprobs),
	 XV_LOGPROBS, 0, 0},
	{"prompt-logprobs", "N", "the same for the prompt", NUMBER, GEN, SAM(prompt_logprobs), XV_PROMPT_LOGPROBS, 0,
	 0},
	{"truncate-prompt-tokens", "N", "keep the prompt's last N tokens", NUMBER, GEN, SAM(truncate_prompt),
	 XV_TRUNCATE_PROMPT, 0, 0},
	{"echo", NULL, "print the prompt first", FLAG, GEN, AT(echo), -1, 0, 0},
	{"timeout-ms", "MS", "time limit of the request, queueing included", NUMBER, GEN | SCO | CHA, AT(timeout_ms),
	 -1, 0, MOST_Generate_timeout_ms},
	{"user", "NAME", "for the server's log", WORD, GEN | CHA, AT(user), -1, 0, 0},
	{"no-resume", NULL, "fail when the server is lost, instead of resuming when it returns", FLAG, GEN | SCO | CHA,
	 AT(no_resume), -1, 0, 0},
	{"no-wait", NULL, "exit with 75 while the model loads, instead of waiting", FLAG, GEN | SCO | CHA, AT(no_wait),
	 -1, 0, 0},
	{"no-special-tokens", NULL, "add no beginning or end tokens to the text", FLAG, GEN | SCO | TOK, AT(no_special),
	 -1, 0, 0},
	{"top-n", "N", "logprobs of the N likeliest as well [0]", NUMBER, SCO, AT(top_n), -1, 0, MOST_Score_top_n},
	{"parse-special", NULL, "special tokens in the text become their ids", FLAG, TOK, AT(parse_special), -1, 0, 0},
	{"wait", NULL, "wait until the server is ready", FLAG, STA, AT(wait), -1, 0, 0},
	{"concurrency", "N", "requests open at a time [8]", NUMBER, BEN, AT(concurrency), -1, 1, 1024},
	{"requests", "N", "how many in all [4 x concurrency]", NUMBER, BEN, AT(requests), -1, 1, 1e9},
	{"input-len", "N", "tokens of a prompt, chosen at random [64]", NUMBER, BEN, AT(input_len), -1, 1, 1e8},
	{"output-len", "N", "tokens of an answer [64]", NUMBER, BEN, AT(output_len), -1, 1, 1e8},
	{"rate", "R", "requests a second, at random times; 0: each follows an answer [0]", REAL, BEN, AT(rate), -1, 0,
	 1e6},
	{"random-seed", "N", "the same seed gives the same prompts and times [0]", NUMBER, BEN, SAM(seed), XV_SEED, 0,
	 0},
	{"pieces", NULL, "print each token's text and byte offsets", FLAG, TOK, AT(pieces), -1, 0, 0},
};
enum { N_OPTIONS = sizeof rows / sizeof *rows, LONGEST_NAME = 40 };

/* The rows with the names that users type: fields are written with _ in the list and in JSON, options with -. */
static const struct option *option_at(int i)
{
	static struct option options[N_OPTIONS];
	static char names[N_OPTIONS][LONGEST_NAME];

	for (int k = options[0].name ? N_OPTIONS : 0; k < N_OPTIONS; k++) {
		options[k] = rows[k];
		snprintf(names[k], LONGEST_NAME, "%s", rows[k].name);
		for (char *c = strchr(names[k], '_'); c; c = strchr(c, '_'))
			*c = '-';
		options[k].name = names[k];
	}
	return &options[i];
}

static const struct command {
	const char *name, *usage, *help;
	unsigned bit;
} commands[] = {
	{"generate", "[PROMPT | -]", "continue a text", GEN},
	{"chat", "[MESSAGE | -]", "hold a conversation; /help inside lists its commands", CHA},
	{"score", "[TEXT | -]", "print the logprob of every token of a text", SCO},
	{"status", "", "the server's model, state and counters", STA},
	{"tokenize", "[TEXT | -]", "turn text into token ids", TOK},
	{"detokenize", "[ID ...]", "turn token ids into text", DET},
	{"cancel", "CALL", "cancel a call by its number (the first reply and the logs name it)", CAN},
	{"drain", "", "finish open calls, accept no new ones, then stop the server", DRA},
	{"metrics", "", "print the metrics as Prometheus text", MET},
	{"log-level", "LEVEL", "set what the server logs: 0 errors, 1 warnings, 2 information, 3 debug", LOG},
	{"bench", "", "load the server with requests and measure it", BEN},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find_command(const char *name)
{
	for (int i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static const char exit_codes[] = "Exit codes: 0 done, 64 wrong usage, 69 no server, 70 the server failed,\n"
				 "75 busy, loading or draining: try again, 130 interrupted.\n";

const char *args_command(int i)
{
	return i < N_COMMANDS ? commands[i].name : NULL;
}

int args_option(const char *command, int i, const char **name, bool *value)
{
	const struct command *c = find_command(command);

	if (!c || i >= N_OPTIONS)
		return -1;
	*name = option_at(i)->of & c->bit ? option_at(i)->name : NULL;
	*value = option_at(i)->value != NULL;
	return 0;
}

void args_help(const char *command, FILE *out)
{
	const struct command *c = command ? find_command(command) : NULL;

	if (!c) {
		fprintf(out, "usage: xverse COMMAND [options]\n\n");
		for (int i = 0; i < N_COMMANDS; i++)
			fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
		fprintf(out,
			"  %-12s list a checkpoint's tensors and its faults (needs no server)\n"
			"  %-12s print bash completion: source <(xverse completion bash)\n\n"
			"A text is an argument, a file (--file) or standard input (-). xverse COMMAND --help lists the options.\n%s",
			"inspect", "completion", exit_codes);
		return;
	}
	fprintf(out, "usage: xverse %s %s [options]\n%s\n\n", c->name, c->usage, c->help);
	for (int i = 0; i < N_OPTIONS; i++)
		if (option_at(i)->of & c->bit) {
			char flag[64];
			snprintf(flag, sizeof flag, "--%s %s", option_at(i)->name,
				 option_at(i)->value ? option_at(i)->value : "");
			fprintf(out, "  %-32s %s\n", flag, option_at(i)->help);
		}
	fprintf(out, "\n%s", exit_codes);
}

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

	errno = 0;
	*out = text[0] == '-' ? strtoll(text, &end, 10) : (int64_t)strtoull(text, &end, 10);
	if (!*text || *end || errno)
		return fail(why, ERR_INVALID, "--%s: \"%s\" is not a whole number", o->name, text);
	return parse_real(o, text, &x, why);
}

static int parse_ids(const char *name, const char *text, struct list *out, struct why *why)
{
	for (char *end; *text; text = end) {
		long id;
		text += strspn(text, " ,\t\n");
		if (!*text)
			break;
		id = strtol(text, &end, 10);
		if (end == text || id < 0 || id > INT32_MAX || (*end && !strchr(" ,\t\n", *end)))
			return fail(why, ERR_INVALID, "%s: \"%.20s\" is not a token id", name, text);
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
		a->has_ids |= o->at == AT(ids);
		err = parse_ids(o->name, value, (struct list *)at, why);
		if (!err && o->at == AT(allowed) && !((struct list *)at)->n)
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
	}
	return err;
}

/* ---- the line ---- */

/* Letters in common in the same place, for "did you mean". */
static int likeness(const char *a, const char *b)
{
	int n = 0;

	while (*a && *a == *b)
		a++, b++, n++;
	return n;
}

static int unknown_option(const struct command *c, const char *name, size_t len, struct why *why)
{
	const struct option *best = NULL;
	char text[64];
	int most = 1;

	snprintf(text, sizeof text, "%.*s", (int)len, name);
	for (int i = 0; i < N_OPTIONS; i++) {
		if (!(option_at(i)->of & c->bit))
			continue;
		if (likeness(option_at(i)->name, text) > most) {
			most = likeness(option_at(i)->name, text);
			best = option_at(i);
		}
	}
	return fail(why, ERR_INVALID, "xverse %s has no option --%s%s%s (xverse %s --help lists them)", c->name, text,
		    best ? "; did you mean --" : "", best ? best->name : "", c->name);
}

static int take_option(struct args *a, const struct command *c, int argc, char **argv, int *i, struct why *why)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *o = NULL;

	for (int k = 0; k < N_OPTIONS && !o; k++)
		if (strlen(option_at(k)->name) == len && !strncmp(option_at(k)->name, name, len) &&
		    (option_at(k)->of & c->bit))
			o = option_at(k);
	if (!o)
		return unknown_option(c, name, len, why);
	if (!o->value)
		return equals ? fail(why, ERR_INVALID, "--%s takes no value", o->name) : set_option(a, o, NULL, why);
	if (!value && *i + 1 < argc)
		value = argv[++*i];
	if (!value)
		return fail(why, ERR_INVALID, "--%s: a value (%s) is missing", o->name, o->value);
	return set_option(a, o, value, why);
}

static int take_plain(struct args *a, const struct command *c, const char *text, struct why *why)
{
	if (c->bit == DET) {
		a->has_ids = true;
		return parse_ids("detokenize", text, &a->ids, why);
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
}

static const struct option *option_of(const struct command *c, const char *name, struct why *why)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if ((option_at(i)->of & c->bit) && option_at(i)->of != ALL && !strcmp(option_at(i)->name, name))
			return option_at(i);
	unknown_option(c, name, strlen(name), why);
	return NULL;
}

int args_set(struct args *a, const char *command, const char *name, const char *value, struct why *why)
{
	const struct option *o = option_of(find_command(command), name, why);
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
	const struct option *o = option_of(find_command(command), name, why);

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
	for (int i = 0; i < N_OPTIONS; i++) {
		const struct option *o = option_at(i);
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
	const struct command *c = argc > 1 ? find_command(argv[1]) : NULL;
	bool plain = false;
	int err = 0;

	memset(a, 0, sizeof *a);
	if (!c)
		return fail(why, ERR_INVALID,
			    argc > 1 ? "there is no command \"%s\" (xverse --help lists them)"
				     : "which command? (xverse "
				       "--help)%s",
			    argc > 1 ? argv[1] : "");
	a->command = c->name;
	for (int i = 2; !err && i < argc; i++) {
		if (!plain && !strcmp(argv[i], "--"))
			plain = true;
		else if (!plain && !strncmp(argv[i], "--", 2))
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
}
