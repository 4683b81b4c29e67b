/* normalizer.h - the "normalizer" of a tokenizer.json: it changes a text before the text is cut into words. */
#ifndef ENGINE_TOKENIZER_NORMALIZER_H
#define ENGINE_TOKENIZER_NORMALIZER_H

#include "engine/tokenizer/pattern.h"
#include "engine/tokenizer/text.h"

enum normalizer_kind { NORM_FORM, NORM_LOWERCASE, NORM_STRIP, NORM_ACCENTS, NORM_REPLACE, NORM_PREPEND, NORM_NMT };
struct normalizer {
	enum normalizer_kind kind;
	enum uc_form form;
	bool left, right;
	struct pattern pattern;
	char *content;
	size_t len;
};
struct normalizers {
	struct normalizer *op;
	int n;
};

/* json: null, one normalizer, or a Sequence. ERR_UNSUPPORTED names what is missing here. */
int normalizers_parse(struct normalizers *list, const struct json *json, const char *file, struct why *why);
void normalizers_finish(struct normalizers *list);

/* Scratch memory of one thread; zero-initialise it. */
struct normalizer_work {
	struct tok_text other;
	struct uc_chars chars;
	struct tok_pieces cut;
};
void normalizer_work_finish(struct normalizer_work *w);
int normalizers_apply(const struct normalizers *list, struct tok_text *t, struct normalizer_work *w, struct why *why);

#endif
