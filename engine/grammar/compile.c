/* compile.c - sources become grammars. */
#include "engine/grammar/inside.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Whether an expression has "^" or "$" outside of classes and escapes: then automata are needed. */
static bool has_assertions(const char *s, size_t n)
{
	bool in_class = false;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '[')
			in_class = true;
		else if (s[i] == ']')
			in_class = false;
		else if (!in_class && (s[i] == '^' || s[i] == '$'))
			return true;
	}
	return false;
}

/* The rule's body is the deterministic automaton of f, which is made in a graph of its own; that ends here. */
static void define_dfa(struct graph *g, int32_t rule, struct graph *own, struct frag f)
{
	struct dfa a = dfa_of(own, f);

	if (own->err)
		graph_fail(g, own->err, "%s", own->why.text);
	else
		graph_define(g, rule, dfa_frag(g, a));
	graph_finish(own);
}

static int32_t regex_rules(struct graph *g, const struct grammar_text *t)
{
	int32_t root = graph_rule(g);
	struct graph own;

	if (!has_assertions(t->text, t->len)) {
		graph_define(g, root, regex_frag(g, t->text, t->len, false));
		return root;
	}
	graph_init(&own);
	define_dfa(g, root, &own, regex_frag(&own, t->text, t->len, true));
	return root;
}

/* Choices that begin alike share what they share: their automaton is a tree. */
static int32_t choice_rules(struct graph *g, const struct grammar_source *src)
{
	int32_t root = graph_rule(g);
	struct graph own;
	struct frag f;
	size_t bad;

	graph_init(&own);
	f = frag_fail(&own);
	for (int i = 0; i < src->n_choice && graph_ok(&own); i++) {
		if (!src->choice[i].len || !utf8_valid(src->choice[i].text, src->choice[i].len, &bad))
			graph_fail(&own, ERR_INVALID,
				   src->choice[i].len ? "entry %d is not UTF-8" : "entry %d is empty", i);
		f = frag_alt(&own, f, frag_text(&own, src->choice[i].text, src->choice[i].len));
	}
	if (!src->n_choice)
		graph_fail(&own, ERR_INVALID, "it has no entries");
	define_dfa(g, root, &own, f);
	return root;
}

static int32_t compile(struct graph *g, const struct grammar_source *src)
{
	switch (src->kind) {
	case GRAMMAR_JSON:
		return schema_any_object(g, src->compact);
	case GRAMMAR_SCHEMA:
		return schema_rules(g, src->text.text, src->text.len, src->compact);
	case GRAMMAR_REGEX:
		return regex_rules(g, &src->text);
	case GRAMMAR_GBNF:
		return gbnf_rules(g, src->text.text, src->text.len);
	default:
		return choice_rules(g, src);
	}
}

static const char *name_of(enum grammar_kind kind)
{
	static const char *const names[] = {"json_object", "json_schema", "regex", "grammar", "choice"};

	return names[kind];
}

static size_t size_of(const struct grammar_source *src)
{
	size_t n = src->text.len;

	for (int i = 0; i < src->n_choice; i++)
		n += src->choice[i].len;
	return n;
}

int grammar_compile(struct grammar **out, const struct grammar_source *src, struct why *why)
{
	struct graph g;
	int32_t root;
	int err;
	struct why inner = {""};
	const char *name = name_of(src->kind);

	*out = NULL;
	if (size_of(src) > GRAMMAR_TEXT)
		return fail(why, ERR_LIMIT, "%s: %zu bytes are more than %d", name, size_of(src), GRAMMAR_TEXT);
	graph_init(&g);
	root = compile(&g, src);
	err = grammar_of(out, &g, root, &inner);
	if (!err)
		return 0;
	if (!strncmp(inner.text, name, strlen(name)))
		*why = inner;
	else
		fail(why, err, "%s: %s", name, inner.text);
	return err;
}
