/* A JSON Schema, or behind a "T" a structural tag, becomes a grammar, which is followed. */
#include "tests/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && *data == 'T')
		fuzz_grammar(GRAMMAR_TAG, data + 1, size - 1);
	else
		fuzz_grammar(GRAMMAR_SCHEMA, data, size);
	return 0;
}
