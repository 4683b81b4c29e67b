/* source.c - expressions and choices become rules: each is one automaton where that is possible. */
#include "engine/grammar/inside.h"

#include "base/effort.h"
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

/* Whether alternatives stand outside of all groups. */
static bool has_alternatives(const char *s, size_t n)
{
	bool in_class = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\')
			i++;
		else if (in_class)
			in_class = s[i] != ']';
		else if (s[i] == '[')
			in_class = true;
		else if (s[i] == '|' && !depth)
			return true;
		else
			depth += (s[i] == '(') - (s[i] == ')');
	}
	return false;
}

/* What stands between "^" and "$" that hold the whole expression, which is over the whole answer in any case. */
static bool between_ends(const struct grammar_text *t, struct grammar_text *inner)
{
	*inner = (struct grammar_text){t->text + 1, t->len - 2};
	return t->len > 2 && t->text[0] == '^' && t->text[t->len - 1] == '$' && t->text[t->len - 2] != '\\' &&
	       !has_assertions(inner->text, inner->len) && !has_alternatives(inner->text, inner->len);
}

int32_t regex_rules(struct graph *g, const struct grammar_text *t)
{
	int32_t root = graph_rule(g);
	struct grammar_text inner;
	struct graph own;
	struct frag f;

	if (!has_assertions(t->text, t->len)) {
		graph_define(g, root, regex_frag(g, t->text, t->len, false));
		return root;
	}
	graph_init(&own);
	f = regex_frag(&own, t->text, t->len, true);
	if (own.err == ERR_LIMIT && effort_goes_on() &&
	    between_ends(t, &inner)) { /* too large with its counts written out */
		graph_finish(&own);
		graph_define(g, root, regex_frag(g, inner.text, inner.len, false));
		return root;
	}
	define_dfa(g, root, &own, f);
	return root;
}

/* Choices that begin alike share what they share: their automaton is a tree. */
int32_t choice_rules(struct graph *g, const struct grammar_source *src)
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
