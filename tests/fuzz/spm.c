/* a SentencePiece model */
#include "tests/fuzz/words.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	words_start("tokenizer.model");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	words_try(data, size);
	return 0;
}
