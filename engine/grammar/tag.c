/* tag.c - structural tags, as XGrammar and vLLM write them (docs/structured-output.md), become rules.
 *
 * A format is a tree. What comes behind it decides where its free text ends: `ends` are the strings of the tag around
 * it, of which a fragment includes one. */
#include "engine/grammar/tag_parts.h"

#include <stdio.h>
#include <string.h>

/* Where a format stands in the source, for messages. */
struct at {
	const struct at *up; /* NULL: the root */
	const char *key;
	int index; /* of a list; -1: none */
};
struct tags {
	struct graph *g;
	const struct tokenizer *tokenizer; /* may be NULL: then there are no special tokens */
	bool compact;
};
/* What follows a format. */
enum next { NEXT_MORE, NEXT_ENDS }; /* another format; one of the strings, or with none of them the answer's end */
struct behind {
	enum next next;
	struct tag_strings ends;
};
static const struct behind more = {NEXT_MORE, {NULL, 0}}, nothing = {NEXT_ENDS, {NULL, 0}};

static struct frag format(struct tags *t, const struct json *v, const struct at *at, const struct behind *behind);

/* ---- messages ---- */

static void put_path(const struct at *at, char *out, size_t size)
{
	size_t n;

	if (at->up)
		put_path(at->up, out, size);
	n = strlen(out);
	if (at->index >= 0)
		snprintf(out + n, size - n, "%s%s[%d]", n ? "." : "", at->key, at->index);
	else
		snprintf(out + n, size - n, "%s%s", n ? "." : "", at->key);
}

static struct frag refuse(struct tags *t, const struct at *at, int err, const char *text)
{
	char path[200] = "";

	put_path(at, path, sizeof path);
	graph_fail(t->g, err, "%s: %s", path, text);
	return frag_fail(t->g);
}

/* An error of a part gets the path of its place in front. */
static void place_error(struct tags *t, const struct at *at, int before)
{
	char path[200] = "";
	struct why inner = t->g->why;

	if (before || !t->g->err || !inner.text[0])
		return;
	put_path(at, path, sizeof path);
	fail(&t->g->why, t->g->err, "%s: %s", path, inner.text);
}

static bool has_only(struct tags *t, const struct json *v, const struct at *at, const char *keys)
{
	const struct json_member *m;

	for (size_t i = 0; (m = json_member(v, i)); i++) {
		char key[48], text[200];
		snprintf(key, sizeof key, " %.40s ", m->key);
		if (strstr(keys, key) || json_none(&m->value) || !strcmp(m->key, "type"))
			continue;
		snprintf(text, sizeof text, "\"%.40s\" is not supported here; there are:%.100s", m->key, keys);
		refuse(t, at, ERR_UNSUPPORTED, text);
		return false;
	}
	return true;
}

/* ---- parts of formats ---- */

static bool read_strings(struct tags *t, const struct json *v, const struct at *at, bool empty, struct tag_strings *out)
{
	size_t n = json_is(v, JSON_IS_LIST) ? json_size(v) : 1;
	int before = t->g->err;

	for (size_t i = 0; i < n; i++) {
		const struct json *one = json_is(v, JSON_IS_LIST) ? json_at(v, i) : v;
		if (!json_str(one) || (!empty && !json_len(one))) {
			refuse(t, at, ERR_INVALID,
			       empty ? "it must be a string" : "it must be a string with text, or a list of these");
			return false;
		}
		if (!tag_strings_add(t->g, out, t->tokenizer, json_str(one), json_len(one))) {
			place_error(t, at, before);
			return false;
		}
	}
	return true;
}

/* One string, no list. */
static bool read_string(struct tags *t, const struct json *v, const struct at *at, struct tag_strings *out)
{
	if (json_str(v))
		return read_strings(t, v, at, true, out);
	refuse(t, at, ERR_INVALID, "it must be a string");
	return false;
}

static bool flag(struct tags *t, const struct json *v, const char *key, const struct at *at)
{
	const struct json *flag = json_get(v, key);

	if (!json_none(flag) && !json_is(flag, JSON_IS_BOOL))
		refuse(t, &(struct at){at, key, -1}, ERR_INVALID, "it must be true or false");
	return json_yes(flag);
}

/* One of the ends, or nothing where there are none. */
static struct frag with_end(struct tags *t, struct frag f, const struct behind *behind)
{
	struct frag end = behind->ends.n ? tag_string_frag(t->g, &behind->ends.of[0]) : frag_empty(t->g);

	for (int i = 1; i < behind->ends.n; i++)
		end = frag_alt(t->g, end, tag_string_frag(t->g, &behind->ends.of[i]));
	return frag_cat(t->g, f, end);
}

/* A rule, so that the fragment can stand in several places. */
static int32_t as_rule(struct tags *t, struct frag f)
{
	int32_t rule = graph_rule(t->g);

	graph_define(t->g, rule, f);
	return rule;
}

/* ---- leaves ---- */

static struct frag const_string(struct tags *t, const struct json *v, const struct at *at)
{
	struct tag_strings s = {NULL, 0};
	struct frag f = frag_fail(t->g);

	if (read_string(t, json_get(v, "value"), &(struct at){at, "value", -1}, &s))
		f = tag_string_frag(t->g, &s.of[0]);
	tag_strings_finish(&s);
	return f;
}

static struct frag json_schema(struct tags *t, const struct json *schema, const struct at *at)
{
	int before = t->g->err;
	int32_t rule;

	if (!json_is(schema, JSON_IS_OBJECT) && !json_is(schema, JSON_IS_BOOL))
		return refuse(t, at, ERR_INVALID, "it must be a JSON Schema");
	rule = schema_of(t->g, schema, t->compact);
	place_error(t, at, before);
	return frag_call(t->g, rule);
}

static struct frag json_format(struct tags *t, const struct json *v, const struct at *at)
{
	const struct json *style = json_get(v, "style");

	if (!json_none(style) && (!json_str(style) || strcmp(json_str(style), "json") != 0))
		return refuse(t, &(struct at){at, "style", -1}, ERR_UNSUPPORTED, "there is only \"json\"");
	return json_schema(t, json_get(v, "json_schema"), &(struct at){at, "json_schema", -1});
}

static struct frag source(struct tags *t, const struct json *v, const struct at *at, const char *key)
{
	const struct json *text = json_get(v, key);
	struct at here = {at, key, -1};
	int before = t->g->err;
	struct grammar_text s = {json_str(text), json_len(text)};
	int32_t rule;

	if (!s.text)
		return refuse(t, &here, ERR_INVALID, "it must be a string");
	rule = !strcmp(key, "pattern") ? regex_rules(t->g, &s) : gbnf_rules(t->g, s.text, s.len);
	place_error(t, &here, before);
	return frag_call(t->g, rule);
}

static struct frag any_text(struct tags *t, const struct json *v, const struct at *at, const struct behind *behind)
{
	const struct json *excludes = json_get(v, "excludes");
	struct tag_strings all = {NULL, 0};
	struct frag f = frag_fail(t->g);

	if (behind->next == NEXT_MORE)
		return refuse(t, at, ERR_UNSUPPORTED, "free text may only be the last part of a tag, or of all");
	if (!tag_strings_join(t->g, &all, &behind->ends) ||
	    (!json_none(excludes) && !read_strings(t, excludes, &(struct at){at, "excludes", -1}, false, &all))) {
		tag_strings_finish(&all);
		return f;
	}
	if (!behind->ends.n)
		f = tag_text_without(t->g, &all);
	for (int i = 0; i < behind->ends.n; i++)
		f = frag_alt(t->g, f, tag_text_until(t->g, &all, i));
	tag_strings_finish(&all);
	return f;
}

/* ---- tags ---- */

/* `skip` bytes of `begin`, which a trigger has taken already, are left out. */
static struct frag tag(struct tags *t, const struct json *v, const struct at *at, size_t skip)
{
	struct tag_strings begin = {NULL, 0};
	struct behind inner = {NEXT_ENDS, {NULL, 0}};
	const struct json *end = json_get(v, "end"), *schema = json_get(v, "schema");
	struct frag f = frag_fail(t->g);

	if (!has_only(t, v, at, schema ? " begin schema end " : " begin content end ") ||
	    !read_string(t, json_get(v, "begin"), &(struct at){at, "begin", -1}, &begin) ||
	    !read_strings(t, end, &(struct at){at, "end", -1}, true, &inner.ends))
		goto done;
	for (int i = 0; i < inner.ends.n; i++)
		if (!inner.ends.of[i].len && inner.ends.n > 1) {
			refuse(t, &(struct at){at, "end", i}, ERR_INVALID, "it must not be empty");
			goto done;
		}
	if (inner.ends.n == 1 && !inner.ends.of[0].len)
		tag_strings_finish(&inner.ends);
	f = frag_text(t->g, begin.of[0].s + skip, begin.of[0].len - skip);
	if (schema) /* of the older form */
		f = with_end(t, frag_cat(t->g, f, json_schema(t, schema, &(struct at){at, "schema", -1})), &inner);
	else
		f = frag_cat(t->g, f, format(t, json_get(v, "content"), &(struct at){at, "content", -1}, &inner));
done:
	tag_strings_finish(&begin);
	tag_strings_finish(&inner.ends);
	return f;
}

static bool check_tags(struct tags *t, const struct json *tags, const struct at *at)
{
	if (json_is(tags, JSON_IS_LIST) && json_size(tags) && json_size(tags) <= TAG_STRINGS)
		return true;
	refuse(t, at, ERR_INVALID, "it must be a list of 1 to 256 tags");
	return false;
}

/* Any of the tags whose begin starts with the trigger; NULL: any at all, whole. *n counts them. */
static struct frag tags_of(struct tags *t, const struct json *tags, const struct at *at, const char *key,
			   const struct tag_string *trigger, int *n)
{
	struct frag f = frag_fail(t->g);

	*n = 0;
	for (size_t i = 0; i < json_size(tags) && graph_ok(t->g); i++) {
		struct at here = {at, key, (int)i};
		struct tag_strings begin = {NULL, 0};
		size_t skip = trigger ? trigger->len : 0;
		bool ours =
			read_string(t, json_get(json_at(tags, i), "begin"), &(struct at){&here, "begin", -1}, &begin) &&
			(!trigger || (begin.of[0].len >= skip && !memcmp(begin.of[0].s, trigger->s, trigger->len)));
		tag_strings_finish(&begin);
		if (ours && ++*n)
			f = frag_alt(t->g, f, tag(t, json_at(tags, i), &here, skip));
	}
	return f;
}

/* Free text up to a trigger and the tag that follows, for each trigger. */
static struct frag one_round(struct tags *t, const struct json *v, const struct at *at, const char *key,
			     const struct tag_strings *all, int n_triggers)
{
	struct frag f = frag_fail(t->g);
	int covered = 0, n;

	for (int i = 0; i < n_triggers && graph_ok(t->g); i++) {
		struct frag rest = tags_of(t, json_get(v, key), at, key, &all->of[i], &n);
		covered += n;
		f = frag_alt(t->g, f, frag_cat(t->g, tag_text_until(t->g, all, i), rest));
	}
	if (graph_ok(t->g) && covered != (int)json_size(json_get(v, key)))
		return refuse(t, at, ERR_INVALID, "each tag must begin with exactly one of the triggers");
	return f;
}

/* Text without triggers up to an end. */
static struct frag last_text(struct tags *t, const struct tag_strings *all, int first_end, int n_ends)
{
	struct frag f = n_ends ? frag_fail(t->g) : tag_text_without(t->g, all);

	for (int i = 0; i < n_ends; i++)
		f = frag_alt(t->g, f, tag_text_until(t->g, all, first_end + i));
	return f;
}

static struct frag rounds(struct tags *t, const struct json *v, const struct at *at, const char *key,
			  const struct behind *behind, const struct tag_strings *all, int n_triggers)
{
	bool one = flag(t, v, "at_least_one", at), stop = flag(t, v, "stop_after_first", at);
	struct frag round = one_round(t, v, at, key, all, n_triggers), first;
	int n;

	if (one) { /* no text before the first */
		first = tags_of(t, json_get(v, key), at, key, NULL, &n);
		if (stop)
			return with_end(t, first, behind);
		first = frag_cat(t->g, first, frag_star(t->g, round));
		return frag_cat(t->g, first, last_text(t, all, n_triggers, behind->ends.n));
	}
	if (stop)
		return frag_alt(t->g, last_text(t, all, n_triggers, behind->ends.n), with_end(t, round, behind));
	return frag_cat(t->g, frag_star(t->g, round), last_text(t, all, n_triggers, behind->ends.n));
}

/* key: "tags", or "structures" of the older form. */
static struct frag triggered_tags(struct tags *t, const struct json *v, const struct at *at, const char *key,
				  const struct behind *behind)
{
	struct tag_strings all = {NULL, 0};
	const struct json *excludes = json_get(v, "excludes"), *triggers = json_get(v, "triggers");
	struct frag f = frag_fail(t->g);
	int n;

	if (behind->next == NEXT_MORE)
		return refuse(t, at, ERR_UNSUPPORTED, "free text may only be the last part of a tag, or of all");
	if (!json_is(triggers, JSON_IS_LIST) || !json_size(triggers))
		return refuse(t, &(struct at){at, "triggers", -1}, ERR_INVALID,
			      "it must be a list of strings that is not empty");
	if (check_tags(t, json_get(v, key), &(struct at){at, key, -1}) &&
	    read_strings(t, triggers, &(struct at){at, "triggers", -1}, false, &all)) {
		n = all.n;
		if (tag_strings_join(t->g, &all, &behind->ends) &&
		    (json_none(excludes) || read_strings(t, excludes, &(struct at){at, "excludes", -1}, false, &all)))
			f = rounds(t, v, at, key, behind, &all, n);
	}
	tag_strings_finish(&all);
	return f;
}

static struct frag separated_tags(struct tags *t, const struct json *v, const struct at *at)
{
	bool one = flag(t, v, "at_least_one", at), stop = flag(t, v, "stop_after_first", at);
	struct tag_strings sep = {NULL, 0};
	struct frag f = frag_fail(t->g);
	int32_t rule;
	int n;

	if (!check_tags(t, json_get(v, "tags"), &(struct at){at, "tags", -1}) ||
	    !read_string(t, json_get(v, "separator"), &(struct at){at, "separator", -1}, &sep))
		goto done;
	rule = as_rule(t, tags_of(t, json_get(v, "tags"), at, "tags", NULL, &n));
	f = frag_call(t->g, rule);
	if (!stop)
		f = frag_cat(t->g, f,
			     frag_star(t->g, frag_cat(t->g, tag_string_frag(t->g, &sep.of[0]), frag_call(t->g, rule))));
	if (!one)
		f = frag_opt(t->g, f);
done:
	tag_strings_finish(&sep);
	return f;
}

/* ---- several formats ---- */

static bool check_elements(struct tags *t, const struct json *v, const struct at *at)
{
	const struct json *all = json_get(v, "elements");

	if (json_is(all, JSON_IS_LIST) && json_size(all))
		return true;
	refuse(t, &(struct at){at, "elements", -1}, ERR_INVALID, "it must be a list of formats that is not empty");
	return false;
}

static struct frag sequence(struct tags *t, const struct json *v, const struct at *at, const struct behind *behind)
{
	const struct json *all = json_get(v, "elements");
	struct frag f = frag_empty(t->g);

	if (!check_elements(t, v, at))
		return frag_fail(t->g);
	for (size_t i = 0, n = json_size(all); i < n && graph_ok(t->g); i++)
		f = frag_cat(
			t->g, f,
			format(t, json_at(all, i), &(struct at){at, "elements", (int)i}, i + 1 == n ? behind : &more));
	return f;
}

static struct frag alternatives(struct tags *t, const struct json *v, const struct at *at, const struct behind *behind)
{
	const struct json *all = json_get(v, "elements");
	struct frag f = frag_fail(t->g);

	if (!check_elements(t, v, at))
		return f;
	for (size_t i = 0; i < json_size(all) && graph_ok(t->g); i++)
		f = frag_alt(t->g, f, format(t, json_at(all, i), &(struct at){at, "elements", (int)i}, behind));
	return f;
}

static struct frag repeated(struct tags *t, const struct json *v, const struct at *at, const char *type)
{
	struct frag f = format(t, json_get(v, "content"), &(struct at){at, "content", -1}, &more);
	int64_t min = 0, max = 0;

	if (!strcmp(type, "optional"))
		return frag_opt(t->g, f);
	if (!strcmp(type, "plus"))
		return frag_plus(t->g, f);
	if (!strcmp(type, "star"))
		return frag_star(t->g, f);
	if (!json_int(json_get(v, "min"), &min) || !json_int(json_get(v, "max"), &max) || min < 0 || max < -1 ||
	    (max >= 0 && min > max) || min > REPEAT_MOST || max > REPEAT_MOST)
		return refuse(t, at, ERR_INVALID, "min and max must be counts up to 100000, max also -1");
	return frag_times(t->g, f, (int)min, max < 0 ? REPEAT_ALWAYS : (int)max);
}

/* ---- all formats ---- */

static const struct {
	const char *type, *keys;
} types[] = {{"const_string", " value "},
	     {"json_schema", " json_schema style "},
	     {"regex", " pattern "},
	     {"grammar", " grammar "},
	     {"any_text", " excludes "},
	     {"sequence", " elements "},
	     {"or", " elements "},
	     {"optional", " content "},
	     {"plus", " content "},
	     {"star", " content "},
	     {"repeat", " content min max "},
	     {"tag", " begin content end "},
	     {"triggered_tags", " triggers tags at_least_one stop_after_first excludes "},
	     {"tags_with_separator", " tags separator at_least_one stop_after_first "}};
enum { CONST, JSON_SCHEMA, REGEX, GRAMMAR, ANY, SEQUENCE, OR, OPTIONAL, PLUS, STAR, REPEAT, TAG, TRIGGERED, SEPARATED };

static struct frag of_type(struct tags *t, int type, const struct json *v, const struct at *at)
{
	switch (type) {
	case CONST:
		return const_string(t, v, at);
	case JSON_SCHEMA:
		return json_format(t, v, at);
	case REGEX:
		return source(t, v, at, "pattern");
	case GRAMMAR:
		return source(t, v, at, "grammar");
	case TAG:
		return tag(t, v, at, 0);
	case SEPARATED:
		return separated_tags(t, v, at);
	default:
		return repeated(t, v, at, types[type].type);
	}
}

/* A whole response_format: a format within it, or the older form. */
static struct frag nested(struct tags *t, const struct json *v, const struct at *at, const struct behind *behind)
{
	if (json_get(v, "structures"))
		return has_only(t, v, at, " structures triggers ") ? triggered_tags(t, v, at, "structures", behind)
								   : frag_fail(t->g);
	if (!has_only(t, v, at, " format "))
		return frag_fail(t->g);
	return format(t, json_get(v, "format"), &(struct at){at, "format", -1}, behind);
}

static struct frag format(struct tags *t, const struct json *v, const struct at *at, const struct behind *behind)
{
	const char *type = json_str(json_get(v, "type"));
	int i = 0, n = sizeof types / sizeof *types;
	char text[120];

	if (json_get(v, "structures") || (type ? !strcmp(type, "structural_tag") : json_get(v, "format") != NULL))
		return nested(t, v, at, behind);
	while (i < n && type && strcmp(type, types[i].type) != 0)
		i++;
	if (!type)
		return refuse(t, at, ERR_INVALID, "it must be a format: an object with a type");
	if (i == n) {
		snprintf(text, sizeof text, "the format \"%.40s\" is not supported", type);
		return refuse(t, at, ERR_UNSUPPORTED, text);
	}
	if (!has_only(t, v, at, types[i].keys))
		return frag_fail(t->g);
	if (i == ANY)
		return any_text(t, v, at, behind);
	if (i == TRIGGERED)
		return triggered_tags(t, v, at, "tags", behind);
	if (i == SEQUENCE)
		return sequence(t, v, at, behind);
	if (i == OR)
		return alternatives(t, v, at, behind);
	return with_end(t, of_type(t, i, v, at), behind);
}

int32_t tag_rules(struct graph *g, const char *text, size_t n, const struct tokenizer *tokenizer, bool compact)
{
	static const struct json_rules rules = {.depth = 200, .values = 100000, .bytes = 16 << 20, .last = true};
	struct tags t = {.g = g, .tokenizer = tokenizer, .compact = compact};
	struct json_error e;
	struct json_doc *doc = json_read(text, n, &rules, &e);
	int32_t root = graph_rule(g);
	struct why why;
	int err;

	if (doc) {
		graph_define(g, root, format(&t, json_root(doc), &(struct at){NULL, "structural_tag", -1}, &nothing));
		json_close(doc);
		return root;
	}
	err = json_why(&why, &e, "structural_tag");
	graph_fail(g, err == ERR_FORMAT ? ERR_INVALID : err, "%s", why.text);
	return root;
}
