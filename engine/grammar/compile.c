/* compile.c - sources become grammars. */
#include "engine/grammar/inside.h"

#include <stdio.h>
#include <string.h>

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
	case GRAMMAR_TAG:
		return tag_rules(g, src->text.text, src->text.len, src->tokenizer, src->compact);
	default:
		return choice_rules(g, src);
	}
}

static const char *name_of(enum grammar_kind kind)
{
	static const char *const names[] = {"json_object", "json_schema", "regex",
					    "grammar",     "choice",      "structural_tag"};

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
	if (!err &&
	    (src->kind == GRAMMAR_REGEX || src->kind == GRAMMAR_GBNF)) /* a schema's patterns are deterministic */
		err = grammar_probe(*out, &inner);
	if (!err)
		return 0;
	grammar_destroy(*out);
	*out = NULL;
	if (!strncmp(inner.text, name, strlen(name)))
		*why = inner;
	else
		fail(why, err, "%s: %s", name, inner.text);
	return err;
}
