/* text.h - a text that is changed step by step and remembers the origin of each byte. */
#ifndef ENGINE_TOKENIZER_TEXT_H
#define ENGINE_TOKENIZER_TEXT_H

#include "engine/tokenizer/ids.h"
#include "engine/tokenizer/unicode.h"

/* Without memory, additions are dropped and the thread's effort is starved (base/effort.h). Callers that add much
 * check that before they use the text. */

/* Valid UTF-8. from[i]: the bytes of the original that byte i stands for; NULL if offsets are not needed. */
struct tok_text {
	char *s;
	struct span_bytes *from;
	size_t n, max;
	bool wants_from;
};

void tok_text_finish(struct tok_text *t);
void tok_text_clear(struct tok_text *t);
/* Reserves room for n bytes in all. */
void tok_text_room(struct tok_text *t, size_t n);
/* `from` may be NULL if t wants none. */
void tok_text_add(struct tok_text *t, const char *s, size_t n, const struct span_bytes *from);
/* Adds n bytes that all come from `one`. */
void tok_text_add_at(struct tok_text *t, const char *s, size_t n, struct span_bytes one);
/* `to` becomes bytes [first, end) of `from`. */
void tok_text_set(struct tok_text *to, const struct tok_text *from, size_t first, size_t end);
void tok_text_swap(struct tok_text *a, struct tok_text *b);

/* `to` becomes `t` with its characters replaced by the list. skipped: how many characters were removed at the start. */
void tok_text_transform(const struct tok_text *t, const struct uc_chars *list, int skipped, struct tok_text *to);

/* Returns where byte i of t comes from. */
static inline struct span_bytes tok_text_from(const struct tok_text *t, size_t i)
{
	return t->from ? t->from[i] : (struct span_bytes){0, 0};
}

#endif
