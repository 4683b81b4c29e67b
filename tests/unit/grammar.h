/* grammar.h - a grammar of a text, for tests of constrained output. */
#ifndef TESTS_UNIT_GRAMMAR_H
#define TESTS_UNIT_GRAMMAR_H

#include "engine/grammar/grammar.h"
#include "tests/check.h"

static inline struct grammar *compile(enum grammar_kind kind, const char *text)
{
	struct grammar_source src = {.kind = kind, .text = {text, strlen(text)}, .compact = true};
	struct grammar *g = NULL;
	struct why why = {""};

	if (grammar_compile(&g, &src, &why))
		CHECK_FAIL("%s: %s", text, why.text);
	return g;
}

#endif
