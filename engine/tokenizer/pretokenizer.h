/* pretokenizer.h - the "pre_tokenizer" of a tokenizer.json: it cuts a text into the words that BPE encodes. */
#ifndef ENGINE_TOKENIZER_PRETOKENIZER_H
#define ENGINE_TOKENIZER_PRETOKENIZER_H

#include "engine/tokenizer/pattern.h"
#include "engine/tokenizer/text.h"

enum pretokenizer_kind { PRE_SPLIT, PRE_METASPACE, PRE_BYTES };
enum prepend_scheme { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };
struct pretokenizer {
	enum pretokenizer_kind kind;
	struct pattern pattern; /* SPLIT; METASPACE: the mark that stands for a space */
	enum pattern_behavior behavior;
	bool invert;
	bool splits;                 /* METASPACE, BYTES: cuts the text, too */
	enum prepend_scheme prepend; /* BYTES: whether to prepend a space, NEVER or ALWAYS */
};
struct pretokenizers {
	struct pretokenizer *op;
	int n;
};

int pretokenizers_parse(struct pretokenizers *list, const struct json *json, const char *file, struct why *why);
/* GPT-2's: maps bytes to letters, cut by its expression. */
void pretokenizers_gpt2(struct pretokenizers *list, bool prefix_space);
void pretokenizers_finish(struct pretokenizers *list);

/* Scratch memory of one thread; zero-initialise it. */
struct pretokenizer_work {
	struct tok_text other, part;
	struct tok_pieces next, cut, words;
};
void pretokenizer_work_finish(struct pretokenizer_work *w);
/* Passes the words of t to take(). Words of a long text come in batches of some thousand, so that memory is needed for
 * few at once; `part` has the text of a batch. May change t. at_start: t begins where the whole input does. An error of
 * take() ends the call. */
typedef int pretokenizer_take(void *arg, const struct tok_text *part, const struct tok_pieces *words, struct why *why);
int pretokenizers_apply(const struct pretokenizers *list, struct tok_text *t, bool at_start,
			struct pretokenizer_work *w, pretokenizer_take *take, void *arg, struct why *why);

/* Return the letter of a byte in GPT-2's alphabet, and the byte of a letter (-1: not one of its letters). */
uint32_t byte_letter(unsigned char byte);
int letter_byte(uint32_t cp);

#endif
