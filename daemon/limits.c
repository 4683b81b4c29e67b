#include "daemon/limits.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "base/similar.h"
#include "daemon/options.h"

enum { SOURCE = 300, NAME_MOST = 128 /* as of an API key in a request */ };

static bool find_user(const char *name, uint32_t *id)
{
	const struct passwd *p = getpwnam(name);

	*id = p ? p->pw_uid : 0;
	return p != NULL;
}

static bool find_group(const char *name, uint32_t *id)
{
	const struct group *g = getgrnam(name);

	*id = g ? g->gr_gid : 0;
	return g != NULL;
}

const struct limits_names limits_system_names = {find_user, find_group};

/* In the order of enum limit_kind. */
static const char *const kinds[] = {"default", "user", "group", "key"};
static const struct {
	const char *name;
	size_t at; /* in struct limit */
	bool list;
	int64_t low;
} fields[] = {
	{"max-running", offsetof(struct limit, running), false, 1},
	{"max-waiting", offsetof(struct limit, waiting), false, 0},
	{"tokens-per-minute", offsetof(struct limit, tokens), false, 1},
	{"adapters", offsetof(struct limit, adapters), true, 0},
	{"models", offsetof(struct limit, models), true, 0},
};
enum { KINDS = sizeof kinds / sizeof *kinds, FIELDS = sizeof fields / sizeof *fields };

/* A name of the database, else a number. */
static int set_id(struct limit *l, const struct limits_names *names, const char *source, struct why *why)
{
	bool user = l->kind == LIMIT_USER, (*find)(const char *, uint32_t *) = user ? names->user : names->group;
	int64_t number;

	if (find(l->name, &l->id))
		return 0;
	if (l->name[strspn(l->name, "0123456789")] || options_number(l->name, &number) || number >= UINT32_MAX)
		return fail(why, ERR_INVALID,
			    "%s: there is no %s \"%.100s\": a name of the %s database is needed, or a number", source,
			    kinds[l->kind], l->name, kinds[l->kind]);
	l->id = (uint32_t)number;
	return 0;
}

static bool same(const struct limit *a, const struct limit *b)
{
	bool by_id = a->kind == LIMIT_USER || a->kind == LIMIT_GROUP;

	return a->kind == b->kind && (by_id ? a->id == b->id : !strcmp(a->name, b->name));
}

/* Room grows by doubling: whenever the number of entries is a power of two. */
static struct limit *add(struct limits *l)
{
	if (!(l->n & (l->n - 1)))
		l->at = xgrow(l->at, l->n ? 2 * (size_t)l->n : 1, sizeof *l->at);
	l->at[l->n] = (struct limit){.running = -1, .waiting = -1, .tokens = -1};
	return &l->at[l->n++];
}

static int begin(struct limits *out, enum limit_kind kind, const char *value, const struct limits_names *names,
		 const char *source, struct why *why)
{
	struct limit *l;

	if (out->n == LIMITS_MOST)
		return fail(why, ERR_INVALID, "%s: more than %d entries", source, LIMITS_MOST);
	if ((kind == LIMIT_DEFAULT) != !*value)
		return fail(why, ERR_INVALID,
			    kind == LIMIT_DEFAULT ? "%s: \"default:\" has no value" : "%s: \"%s:\" requires a name",
			    source, kinds[kind]);
	if (strlen(value) > NAME_MOST)
		return fail(why, ERR_INVALID, "%s: a name of more than %d bytes", source, NAME_MOST);
	l = add(out);
	l->kind = kind;
	l->name = xstrdup(value);
	if ((kind == LIMIT_USER || kind == LIMIT_GROUP) && set_id(l, names, source, why))
		return ERR_INVALID;
	for (int i = 0; i < out->n - 1; i++)
		if (same(&out->at[i], l))
			return fail(why, ERR_INVALID, "%s: \"%s: %.100s\" has an entry already", source, kinds[kind],
				    value);
	return 0;
}

/* "a, b" becomes "\na\nb\n", and "none" "\n". */
static int set_list(char **to, const char *value, const char *source, struct why *why)
{
	size_t n = 0;
	char *out = xalloc(strlen(value) + 3, 1);

	out[n++] = '\n';
	for (const char *at = value; strcmp(value, "none");) {
		size_t len;
		at += strspn(at, " \t");
		len = strcspn(at, ", \t");
		if (!len) {
			free(out);
			return fail(why, ERR_INVALID, "%s: names with commas between them are expected, or \"none\"",
				    source);
		}
		memcpy(out + n, at, len);
		n += len;
		out[n++] = '\n';
		at += len;
		at += strspn(at, " \t");
		if (!*at)
			break;
		at += *at == ',';
	}
	out[n] = 0;
	*to = out;
	return 0;
}

static int set_number(int64_t *to, const char *value, int64_t low, const char *source, struct why *why)
{
	const int64_t high = 1ll << 40;
	int64_t n;

	if (options_number(value, &n) || n < low || n > high)
		return fail(why, ERR_INVALID, "%s: \"%.40s\" is not a whole number from %lld to %lld", source, value,
			    (long long)low, (long long)high);
	*to = n;
	return 0;
}

static int unknown(const char *name, const char *source, struct why *why)
{
	struct similar like = {.given = name};
	const char *best;

	for (int i = 0; i < KINDS; i++)
		similar_try(&like, kinds[i]);
	for (int i = 0; i < FIELDS; i++)
		similar_try(&like, fields[i].name);
	best = similar_name(&like);
	return fail(why, ERR_INVALID, "%s: unknown limit \"%.60s\"%s%s%s", source, name, best ? "; did you mean " : "",
		    best ? best : "", best ? "?" : "");
}

static int set_field(struct limits *out, int i, const char *value, const char *source, struct why *why)
{
	struct limit *l = out->n ? &out->at[out->n - 1] : NULL;
	char named[SOURCE + 40];
	bool again;
	void *at;

	snprintf(named, sizeof named, "%s: %s", source, fields[i].name);
	if (!l)
		return fail(why, ERR_INVALID, "%s stands before the first entry (default, user, group or key)", named);
	at = (char *)l + fields[i].at;
	again = fields[i].list ? *(char **)at != NULL : *(int64_t *)at >= 0;
	if (again)
		return fail(why, ERR_INVALID, "%s is given twice for one entry", named);
	return fields[i].list ? set_list(at, value, named, why) : set_number(at, value, fields[i].low, named, why);
}

static int parse_line(struct limits *out, char *line, const char *source, const struct limits_names *names,
		      struct why *why)
{
	char *name, *value;
	int err = options_line(line, &name, &value, source, why);

	if (err || !name)
		return err;
	for (int i = 0; i < KINDS; i++)
		if (!strcmp(name, kinds[i]))
			return begin(out, (enum limit_kind)i, value, names, source, why);
	for (int i = 0; i < FIELDS; i++)
		if (!strcmp(name, fields[i].name))
			return set_field(out, i, value, source, why);
	return unknown(name, source, why);
}

int limits_parse(struct limits *out, char *text, size_t len, const char *source, const struct limits_names *names,
		 struct why *why)
{
	char at[SOURCE];
	int no = 0, err = 0;

	*out = (struct limits){0};
	if (memchr(text, 0, len))
		err = fail(why, ERR_INVALID, "%.200s holds a NUL byte: it is no text", source);
	for (char *line = text, *end; !err && line < text + len; line = end + 1) {
		end = strchrnul(line, '\n');
		*end = 0;
		snprintf(at, sizeof at, "%.200s: line %d", source, ++no);
		err = parse_line(out, line, at, names, why);
	}
	if (err)
		limits_finish(out);
	return err;
}

int limits_read(struct limits *out, const char *path, struct why *why)
{
	struct why inner;
	char *text;
	size_t len;
	int err;

	*out = (struct limits){0};
	err = file_read(path, FILE_LIMITS, &text, &len, &inner);
	if (err)
		return fail(
			why, err == ERR_UNKNOWN ? ERR_IO : err,
			err == ERR_UNKNOWN
				? "--limits: %.380s: name a file in the form of \"Limits by user\" in docs/operations.md"
				: "--limits: %.480s",
			inner.text);
	err = limits_parse(out, text, len, path, &limits_system_names, &inner);
	free(text);
	return err ? fail(why, err, "--limits: %.480s", inner.text) : 0;
}

void limits_finish(struct limits *l)
{
	for (int i = 0; i < l->n; i++) {
		free(l->at[i].name);
		free(l->at[i].adapters);
		free(l->at[i].models);
	}
	free(l->at);
	*l = (struct limits){0};
}

const struct limit *limits_find(const struct limits *l, enum limit_kind kind, uint32_t id, const char *key)
{
	for (int i = 0; i < l->n; i++) {
		const struct limit *x = &l->at[i];
		if (x->kind == kind &&
		    (kind == LIMIT_DEFAULT || (kind == LIMIT_KEY ? !strcmp(x->name, key) : x->id == id)))
			return x;
	}
	return NULL;
}

bool limits_allow(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; n && at && (at = strstr(at, name)); at++)
		if (at > list && at[-1] == '\n' && at[n] == '\n')
			return true;
	return !list;
}
