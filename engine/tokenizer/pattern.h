/* pattern.h - the pattern of a Split, Punctuation, Digits or Replace, and how its matches cut a text.
 *
 * Semantics of the reference (huggingface/tokenizers 0.22, tokenizer/pattern.rs and normalizer.rs, split()). */
#ifndef ENGINE_TOKENIZER_PATTERN_H
#define ENGINE_TOKENIZER_PATTERN_H

#include "base/json/json.h"

#include "base/base.h"

enum pattern_kind { PATTERN_STRING, PATTERN_REGEX, PATTERN_CLASS, PATTERN_WORDS, PATTERN_GPT2 };
struct pattern {
	enum pattern_kind kind;
	char *string; /* STRING; REGEX: its source, for messages */
	size_t len;
	struct re_pattern_buffer *regex; /* REGEX: Oniguruma, the reference's engine */
	/* WORDS: runs of \w, and runs of neither \w nor \s */
	int class; /* CLASS: each character with one of these flags (unicode.h) */
};
enum pattern_behavior { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_PREVIOUS, SPLIT_NEXT, SPLIT_CONTIGUOUS };

/* {"String": ...} or {"Regex": ...}. where: the construct, for messages. */
int pattern_parse(struct pattern *p, const struct json *json, const char *where, struct why *why);
int pattern_regex(struct pattern *p, const char *s, size_t len, const char *where, struct why *why);
void pattern_finish(struct pattern *p);
int pattern_parse_behavior(enum pattern_behavior *out, const char *name, const char *where, struct why *why);

struct tok_piece {
	uint32_t first, end; /* bytes of the text */
	bool match;
};
struct tok_pieces {
	struct tok_piece *p;
	size_t n, max;
};
void pieces_add(struct tok_pieces *list, size_t first, size_t end, bool match);

/* Cuts s into matches and the text between them, in order. ERR_LIMIT: the expression takes too long on this text. */
int pattern_cut(const struct pattern *p, const char *s, size_t len, struct tok_pieces *out, struct why *why);
/* Does the same step by step: cutter_next() adds about `most` pieces. `end`: these were the last. */
struct cutter {
	const struct pattern *p;
	const char *s;
	size_t len, at, done, last; /* where to search next; what is already returned; end of the last match */
	bool end;
};
void cutter_begin(struct cutter *c, const struct pattern *p, const char *s, size_t len);
int cutter_next(struct cutter *c, size_t most, struct tok_pieces *out, struct why *why);
/* Appends to out the pieces of s, shifted by `base`. cut: scratch memory. */
int pattern_split(const struct pattern *p, enum pattern_behavior behavior, bool invert, const char *s, size_t len,
		  size_t base, struct tok_pieces *cut, struct tok_pieces *out, struct why *why);

#endif
