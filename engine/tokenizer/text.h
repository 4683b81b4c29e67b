/* text.h - a text that is changed step by step and remembers the origin of each byte. */
#ifndef ENGINE_TOKENIZER_TEXT_H
#define ENGINE_TOKENIZER_TEXT_H

#include "engine/tokenizer/ids.h"
#include "engine/tokenizer/unicode.h"

/* Without memory, additions are dropped and the thread's effort is starved (base/base.h). Callers that add much check
 * that before they use the text. */

/* Valid UTF-8. from[i]: the bytes of the original that byte i stands for; NULL if nobody asks for offsets. */
struct text {
	char *s;
	struct span_bytes *from;
	size_t n, max;
	bool wants_from;
};

void text_finish(struct text *t);
void text_clear(struct text *t);
/* Reserves room for n bytes in all. */
void text_room(struct text *t, size_t n);
/* `from` may be NULL if t wants none. */
void text_add(struct text *t, const char *s, size_t n, const struct span_bytes *from);
/* Adds n bytes that all come from `one`. */
void text_add_at(struct text *t, const char *s, size_t n, struct span_bytes one);
/* `to` becomes bytes [first, end) of `from`. */
void text_set(struct text *to, const struct text *from, size_t first, size_t end);
void text_swap(struct text *a, struct text *b);

/* `to` becomes `t` with its characters replaced by the list. skipped: how many characters were removed at the start. */
void text_transform(const struct text *t, const struct uc_chars *list, int skipped, struct text *to);

/* Returns where byte i of t comes from. */
static inline struct span_bytes text_from(const struct text *t, size_t i)
{
	return t->from ? t->from[i] : (struct span_bytes){0, 0};
}

#endif
