/* A grammar in GBNF becomes a grammar, which is followed. */
#include "tests/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_grammar(GRAMMAR_GBNF, data, size);
	return 0;
}
