/* source.c - expressions and choices become rules: each is one automaton where that is possible. */
#include "engine/grammar/inside.h"

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

int32_t regex_rules(struct graph *g, const struct grammar_text *t)
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
