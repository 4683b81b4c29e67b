#include "daemon/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "base/similar.h"
#include "base/utf8.h"
#include "engine/chat/forms.h"
#include "engine/checkpoint/find.h"
#include "rpc/place.h"
#include "rpc/server/handover.h"

static void *field(struct options *o, const struct option_row *row)
{
	return (char *)o + row->offset;
}

int options_number(const char *text, int64_t *out)
{
	static const char suffixes[] = "kKmMgG";
	static const int64_t factors[] = {1000, 1 << 10, 1000000, 1 << 20, 1000000000, 1 << 30};
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text)
		return errno == ERANGE ? ERR_LIMIT : ERR_INVALID;
	if (*end && strchr(suffixes, *end)) {
		int64_t f = factors[strchr(suffixes, *end) - suffixes];
		if (v > INT64_MAX / f || v < INT64_MIN / f)
			return ERR_LIMIT;
		v *= f;
		end++;
	}
	*out = v;
	return *end ? ERR_INVALID : 0;
}

static const char *nearest_of(const char *const *choices, const char *value)
{
	struct similar like = {.given = value};

	for (; *choices; choices++)
		similar_try(&like, *choices);
	return like.best;
}

static int set_choice(struct options *o, const struct option_row *row, const char *value, const char *source,
		      struct why *why)
{
	char list[160] = "";

	for (int i = 0; row->choices[i]; i++) {
		if (!strcmp(row->choices[i], value)) {
			*(int *)field(o, row) = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", row->choices[i]);
	}
	return fail(why, ERR_INVALID, "%s: \"%s\" is not one of %s; did you mean %s?", source, value, list,
		    nearest_of(row->choices, value));
}

static int set_bool(struct options *o, const struct option_row *row, const char *value, const char *source,
		    struct why *why)
{
	bool on = !strcmp(value, "1") || !strcmp(value, "true") || !strcmp(value, "yes");

	if (!on && strcmp(value, "0") && strcmp(value, "false") && strcmp(value, "no"))
		return fail(why, ERR_INVALID, "%s: \"%s\" is neither true nor false", source, value);
	*(bool *)field(o, row) = on;
	return 0;
}

/* A percentage may also be a fraction: 90, 0.9. */
static int set_number(struct options *o, const struct option_row *row, const char *value, const char *source,
		      struct why *why)
{
	bool percent = row->value && !strcmp(row->value, "PERCENT"), fraction = percent && strchr(value, '.');
	char *end = NULL;
	double part = fraction ? strtod(value, &end) : 0;
	bool right = part >= 0 && part <= 1 && !(end && *end);
	int64_t n = right ? (int64_t)(100 * part + 0.5) : 0;
	int err = fraction ? right - 1 : options_number(value, &n);

	if (err && err != ERR_LIMIT)
		return fail(why, ERR_INVALID, "%s: \"%s\" is not a whole number (%s)", source, value,
			    percent ? "or a fraction up to 1.0" : "suffixes k, K, m, M, g, G are known");
	if (err || n < row->low || n > row->high)
		return fail(why, ERR_INVALID, "%s: %s is outside %lld to %lld", source, value, (long long)row->low,
			    (long long)row->high);
	*(int64_t *)field(o, row) = n;
	return 0;
}

/* A list goes on within one source; another source begins it anew. */
static void set_text(struct options *o, const struct option_row *row, const char *value)
{
	char **at = field(o, row), *old = *at;

	*at = row->high && old && o->list_goes_on ? xprintf("%s\n%s", old, value) : xstrdup(value);
	o->list_goes_on |= row->high != 0;
	free(old);
}

static int set_value(struct options *o, const struct option_row *row, const char *value, const char *source,
		     struct why *why)
{
	switch (row->kind) {
	case OPT_CHOICE:
		return set_choice(o, row, value, source, why);
	case OPT_TEXT:
		set_text(o, row, value);
		return 0;
	case OPT_NUMBER:
		return set_number(o, row, value, source, why);
	default:
		return set_bool(o, row, value, source, why);
	}
}

static const struct option_row *find(const char *name, size_t len)
{
	for (int i = 0; i < option_count; i++) {
		const struct option_row *row = &option_table[i];
		if ((strlen(row->name) == len && !strncmp(row->name, name, len)) ||
		    (row->alias && strlen(row->alias) == len && !strncmp(row->alias, name, len)))
			return row;
	}
	return NULL;
}

/* "; did you mean --http?", or "" where no option of ours or of the caller's is like it. */
static const char *did_you_mean(const char *name, const char *before, const char *const *more, char out[96])
{
	struct similar like = {.given = name};
	const char *best;

	for (int i = 0; i < option_count; i++)
		similar_try(&like, option_table[i].name);
	for (; more && *more; more++)
		similar_try(&like, *more);
	similar_try(&like, "config");
	best = similar_name(&like);
	snprintf(out, 96, "%s%s%s%s", best ? "; did you mean " : "", best ? before : "", best ? best : "",
		 best ? "?" : "");
	return out;
}

/* A switch may be written as its opposite: no-pin. */
static const struct option_row *find_opposite(const char *name, size_t len)
{
	const struct option_row *row = len > 3 && !strncmp(name, "no-", 3) ? find(name + 3, len - 3) : NULL;

	return row && (row->kind == OPT_FLAG || row->kind == OPT_NO_FLAG) ? row : NULL;
}

static int set_opposite(struct options *o, const struct option_row *row, const char *value, const char *source,
			struct why *why)
{
	int err = set_bool(o, row, value, source, why);

	*(bool *)field(o, row) ^= !err;
	return err;
}

struct arguments {
	int argc, at;
	char **argv;
	const char *config;      /* --config FILE */
	const char *const *more; /* names of the caller's own options, or NULL */
};

/* One "--name value", "--name=value", "-x value" or "--no-name". */
static int parse_flag(struct options *o, struct arguments *a, struct why *why)
{
	const char *arg = a->argv[a->at], *name = arg + strspn(arg, "-"), *equals = strchr(name, '='), *value;
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = find(name, len);
	bool no = !row && len > 3 && !strncmp(name, "no-", 3);
	char given[80], hint[96];

	snprintf(given, sizeof given, "%.*s", (int)len, name);
	if (no)
		row = find(name + 3, len - 3);
	if (!row && strcmp(given, "config"))
		return fail(why, ERR_INVALID, "unknown option %s%s (--help lists all)", arg,
			    did_you_mean(given, "--", a->more, hint));
	if (row && (row->kind == OPT_FLAG || row->kind == OPT_NO_FLAG)) {
		*(bool *)field(o, row) = !no;
		return equals ? set_bool(o, row, equals + 1, arg, why) : 0;
	}
	if (no)
		return fail(why, ERR_INVALID, "%s: --%s cannot be switched off", arg, row->name);
	value = equals ? equals + 1 : a->at + 1 < a->argc ? a->argv[++a->at] : NULL;
	if (!value)
		return fail(why, ERR_INVALID, "--%s requires a value", given);
	if (!row) {
		a->config = value;
		return 0;
	}
	snprintf(given, sizeof given, "--%s", row->name);
	return set_value(o, row, value, given, why);
}

enum { VARIABLE = 80 };

/* XVERSED_MAX_NUM_SEQS of max-num-seqs. */
static const char *variable_name(const char *prefix, const char *option, char out[VARIABLE])
{
	size_t n = (size_t)snprintf(out, VARIABLE, "XVERSED_%s", prefix);

	for (; *option && n + 1 < VARIABLE; option++)
		out[n++] = *option == '-' ? '_' : (char)toupper((unsigned char)*option);
	out[n] = 0;
	return out;
}

static int parse_environment(struct options *o, struct why *why)
{
	int err = 0;

	for (int i = 0; !err && i < option_count; i++) {
		const struct option_row *row = &option_table[i];
		bool is_switch = row->kind == OPT_FLAG || row->kind == OPT_NO_FLAG;
		char name[VARIABLE];
		const char *value = getenv(variable_name("", row->name, name));

		err = value ? set_value(o, row, value, name, why) : 0;
		value = is_switch && !err ? getenv(variable_name("NO_", row->name, name)) : NULL;
		if (value)
			err = set_opposite(o, row, value, name, why);
	}
	return err;
}

/* The text after XVERSED_ up to "=" names an option, or something else that is read. */
static bool is_known(const char *name, struct similar *like)
{
	static char names[512][VARIABLE];
	static const char *const others[] = {"XVERSED_CONFIG", "XVERSED_CUDA_LIB"};
	char no[VARIABLE];
	bool known = !strcmp(name, HANDOVER_PATH) || !strcmp(name, HANDOVER_NONCE); /* the launcher sets them */

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		known |= !strcmp(name, others[i]);
		similar_try(like, others[i]);
	}
	for (int i = 0; i < option_count && i < 512; i++) {
		similar_try(like, variable_name("", option_table[i].name, names[i]));
		known |= !strcmp(name, names[i]) || !strcmp(name, variable_name("NO_", option_table[i].name, no));
	}
	return known;
}

void options_warn(FILE *to, char *const *environment)
{
	for (; *environment; environment++) {
		char name[VARIABLE];
		struct similar like = {.given = name};
		const char *best;

		if (strncmp(*environment, "XVERSED_", 8))
			continue;
		snprintf(name, sizeof name, "%.*s", (int)strcspn(*environment, "="), *environment);
		if (is_known(name, &like))
			continue;
		best = similar_name(&like);
		fprintf(to, "xversed: warning: the variable %s names no option%s%s%s\n", name,
			best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
	}
}

static int parse_line(struct options *o, char *line, const char *source, struct why *why)
{
	char *name, *value, hint[96];
	const struct option_row *row, *opposite;
	int err = options_line(line, &name, &value, source, why);

	if (err || !name)
		return err;
	row = find(name, strlen(name));
	opposite = row ? NULL : find_opposite(name, strlen(name));
	if (opposite)
		return set_opposite(o, opposite, value, source, why);
	if (!row)
		return fail(why, ERR_INVALID, "%s: unknown option \"%s\"%s", source, name,
			    did_you_mean(name, "", NULL, hint));
	return set_value(o, row, value, source, why);
}

static int parse_config(struct options *o, const char *path, struct why *why)
{
	struct why inner;
	char *bytes, source[300];
	size_t len;
	int no = 0, err = 0;

	if (file_read(path, FILE_CONFIG, &bytes, &len, &inner))
		return fail(why, ERR_INVALID, "--config: %.480s", inner.text);
	for (char *line = bytes, *end; !err && line < bytes + len; line = end + 1) {
		end = strchrnul(line, '\n');
		*end = '\0';
		snprintf(source, sizeof source, "%.200s: line %d", path, ++no);
		err = parse_line(o, line, source, why);
	}
	free(bytes);
	return err;
}

static void set_defaults(struct options *o)
{
	memset(o, 0, sizeof *o);
	for (int i = 0; i < option_count; i++) {
		const struct option_row *row = &option_table[i];
		if (row->kind == OPT_NUMBER)
			*(int64_t *)field(o, row) = row->fallback;
		else if (row->kind == OPT_CHOICE)
			*(int *)field(o, row) = (int)row->fallback;
		else if (row->kind != OPT_TEXT)
			*(bool *)field(o, row) = row->fallback != 0;
	}
}

bool options_is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i], after = (unsigned char)(i + 1 < n ? s[i + 1] : 0);
		if (c <= ' ' || c == 0x7f || c == '"' || c == '\\' || (c == 0xc2 && after < 0xa0))
			return false;
	}
	return n > 0 && utf8_valid(s, n, NULL);
}

/* Each line is NAME=DIR, and no name comes twice. */
static int check_loras(const struct options *o, struct why *why)
{
	int n = 0;

	for (const char *at = o->lora ? o->lora : "", *end; *at; at = *end ? end + 1 : end, n++) {
		size_t name = strcspn(at, "=\n"), line = strcspn(at, "\n");
		end = at + line;
		if (!name || name > 255 || name + 1 >= line)
			return fail(why, ERR_INVALID, "--lora: \"%.*s\" is not NAME=DIR", (int)line, at);
		if (!options_is_name(at, name))
			return fail(why, ERR_INVALID, "--lora: \"%.*s\" is no name: " OPTIONS_NAME_RULE, (int)name, at);
		for (const char *other = o->lora; other < at; other += strcspn(other, "\n") + 1)
			if (!strncmp(other, at, name + 1))
				return fail(why, ERR_INVALID, "--lora: two adapters have the name \"%.*s\"", (int)name,
					    at);
	}
	if (n > OPTIONS_MAX_LORAS)
		return fail(why, ERR_INVALID, "--lora: %d adapters are given; at most %d can be loaded", n,
			    OPTIONS_MAX_LORAS);
	if (o->lora_merge && !n)
		return fail(why, ERR_INVALID, "--lora-merge: give the adapter by --lora NAME=DIR");
	if (o->max_loras && !o->lora_merge && o->max_loras < n)
		return fail(why, ERR_INVALID, "--max-loras %lld: %d adapters are given by --lora",
			    (long long)o->max_loras, n);
	return 0;
}

/* A request's "model" names the model or one of its adapters. */
int options_check_names(const struct options *o, struct why *why)
{
	size_t n = strlen(o->served_name);

	for (const char *at = o->lora; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!o->lora_merge && !strncmp(at, o->served_name, n) && at[n] == '=')
			return fail(why, ERR_INVALID, "--lora: \"%s\" is the name of the model (--served-model-name)",
				    o->served_name);
	return 0;
}

static int check_words(const struct options *o, struct why *why)
{
	const char *g = o->generation_config, *calls = o->tool_call_parser, *reasoning = o->reasoning_parser;

	if (o->served_name && !utf8_valid(o->served_name, strlen(o->served_name), NULL))
		return fail(why, ERR_INVALID, "--served-model-name: \"%s\" is not UTF-8", o->served_name);
	if (o->model && !*o->model)
		return fail(why, ERR_INVALID, "the model's path must not be empty");
	if (g && strcmp(g, "auto") && strcmp(g, "none"))
		return fail(why, ERR_INVALID, "--generation-config: \"%s\" is neither auto nor none", g);
	if (calls && !chat_form_tools(calls))
		return fail(why, ERR_INVALID, "--tool-call-parser: there is no \"%.64s\"; --help lists them", calls);
	if (reasoning && strcmp(reasoning, "none") && !chat_form_reasoning(reasoning))
		return fail(why, ERR_INVALID, "--reasoning-parser: there is no \"%.64s\"; --help lists them",
			    reasoning);
	if (o->device_memory && !o->dry_run)
		return fail(why, ERR_INVALID,
			    "--device-memory requires --dry-run; otherwise the driver reports the memory");
	if (o->device_memory && o->device == DEVICE_CPU)
		return fail(why, ERR_INVALID, "--device-memory cannot be used with --device cpu");
	return 0;
}

/* Later sources overwrite earlier ones. Flags are read twice, first to find --config. */
int options_parse(struct options *o, int argc, char **argv, const char *const *more, struct why *why)
{
	struct arguments a = {.argc = argc, .argv = argv, .more = more};
	struct options probe;
	const char *plain = NULL;
	int err = 0;

	set_defaults(o);
	set_defaults(&probe);
	for (a.at = 1; !err && a.at < argc; a.at++)
		if (argv[a.at][0] == '-' && argv[a.at][1])
			err = parse_flag(&probe, &a, why);
	options_finish(&probe);
	if (!err && !a.config)
		a.config = getenv("XVERSED_CONFIG");
	if (!err && a.config)
		err = parse_config(o, a.config, why);
	o->list_goes_on = false;
	if (!err)
		err = parse_environment(o, why);
	o->list_goes_on = false;
	for (a.at = 1; !err && a.at < argc; a.at++) {
		if (argv[a.at][0] == '-' && argv[a.at][1])
			err = parse_flag(o, &a, why);
		else if (plain)
			err = fail(why, ERR_INVALID, "two models were given: \"%s\" and \"%s\"", plain, argv[a.at]);
		else
			err = set_value(o, &option_table[0], plain = argv[a.at], "MODEL", why);
	}
	if (!err && !o->model && !o->help && !o->version)
		err = fail(why, ERR_INVALID, "no model was given; usage: xversed MODEL [options] (--help lists them)");
	if (!err)
		err = check_loras(o, why);
	if (!err && o->served_name)
		err = options_check_names(o, why);
	return err ? err : check_words(o, why);
}

int options_settle(struct options *o, struct why *why)
{
	char *given = o->served_name, path[RPC_PATH_SIZE];
	int err = o->uds ? 0 : rpc_place_make(path, why);

	o->served_name = given ? xprintf("%.255s", given) : model_find_name(o->model);
	utf8_clean(o->served_name); /* folders may have any name */
	free(given);
	if (!o->uds && !err)
		o->uds = xstrdup(path);
	return err ? err : options_check_names(o, why);
}

void options_finish(struct options *o)
{
	for (int i = 0; i < option_count; i++)
		if (option_table[i].kind == OPT_TEXT)
			free(*(char **)field(o, &option_table[i]));
}
