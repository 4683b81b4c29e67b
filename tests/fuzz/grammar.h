/* grammar.h - what the targets of constrained output share: a source is compiled within the limits of a call, and an
 * answer of tokens that its masks allow is followed. */
#ifndef TESTS_FUZZ_GRAMMAR_H
#define TESTS_FUZZ_GRAMMAR_H

#include "engine/grammar/grammar.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz.h"

static struct grammar_room *room;
static const int32_t stop[] = {0};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct tokenizer *t;
	struct why why;

	(void)argc, (void)argv;
	fuzz_quiet();
	MUST(!tokenizer_open(&t, "tests/fuzz/model", &why));
	room = grammar_room_create(t, tokenizer_vocab(t), 4);
	return 0;
}

/* Every token that a mask allows is accepted, and a mask allows at least one as long as the run goes on. */
static void follow(const struct grammar *g, uint32_t seed)
{
	struct grammar_run run = {.room = NULL};

	grammar_run_begin(&run, room, g, stop, 1);
	for (int i = 0; i < 12 && !run.lost; i++) {
		struct grammar_mask m = grammar_run_mask(&run);
		int32_t id = (int32_t)(seed = seed * 1103515245 + 12345) & 255;
		MUST(m.allow || run.lost);
		for (int k = 0; m.allow && k < 512 && !(m.allow[id / 32] >> id % 32 & 1); k++)
			id = (id + 1) % 262;
		if (!m.allow || id == stop[0])
			break;
		MUST(grammar_run_accept(&run, id) || run.lost);
	}
	grammar_run_end(&run);
}

static void fuzz_grammar(enum grammar_kind kind, const uint8_t *data, size_t size)
{
	struct effort effort = {.bytes = GRAMMAR_MEMORY, .cpu_ns = GRAMMAR_COMPILE_MS * 1000000ull};
	char *text = malloc(size + !size); /* so that a byte too many is seen */
	struct grammar_source src = {.kind = kind, .text = {text, size}, .compact = true};
	struct grammar *g = NULL;
	struct why why = {""};
	int err;

	memcpy(text, data, size);
	effort_begin(&effort);
	err = grammar_compile(&g, &src, &why);
	effort_end();
	free(text);
	if (err) {
		fuzz_refused(err, &why);
		MUST(!g);
		return;
	}
	follow(g, (uint32_t)size);
	grammar_destroy(g);
}

#endif
