#include "daemon/front/constraint.h"

#include <string.h>

static enum grammar_kind kind_of(const struct xv_constraint *c)
{
	static const enum grammar_kind kinds[] = {
		[XV_JSON_SCHEMA] = GRAMMAR_SCHEMA, [XV_JSON_OBJECT] = GRAMMAR_JSON, [XV_REGEX] = GRAMMAR_REGEX,
		[XV_GRAMMAR] = GRAMMAR_GBNF,       [XV_CHOICE] = GRAMMAR_CHOICE,    [XV_STRUCTURAL_TAG] = GRAMMAR_TAG};

	return kinds[c->kind];
}

static int compile(struct grammar **out, const struct xv_constraint *c, const struct tokenizer *t, bool compact,
		   struct front_grammars *kept, struct why *why)
{
	struct grammar_text *choice = heap_take((size_t)c->n_choice + 1, sizeof *choice);
	struct grammar_source src = {.kind = kind_of(c),
				     .text = {c->text, strlen(c->text)},
				     .choice = choice,
				     .n_choice = c->n_choice,
				     .tokenizer = t,
				     .compact = c->has_compact ? c->compact : compact};
	int err;

	if (!choice)
		return effort_check(why);
	for (int i = 0; i < c->n_choice; i++)
		choice[i] = (struct grammar_text){c->choice[i], strlen(c->choice[i])};
	err = kept ? front_grammars_compile(kept, out, &src, why) : grammar_compile(out, &src, why);
	heap_free(choice);
	return err;
}

int front_constraint(struct grammar **out, const struct xv_constraint *c, const struct tokenizer *t, bool compact,
		     struct front_grammars *kept, struct why *why)
{
	struct effort effort = {.bytes = GRAMMAR_MEMORY, .cpu_ns = GRAMMAR_COMPILE_MS * NS_PER_MS};
	int err;

	effort_begin(&effort);
	err = compile(out, c, t, compact, kept, why);
	effort_end();
	return err == ERR_UNSUPPORTED ? ERR_INVALID : err; /* of the request: the server itself lacks nothing */
}
