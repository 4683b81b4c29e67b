/* token_text.c - the text of one token inside a text. */
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "engine/tokenizer/tokenizer.h"
#include "base/utf8.h"

static const char mark[] = SPM_SPACE;
enum { MARK_LEN = sizeof mark - 1 };

static void add_marked(struct tok_text *out, const char *s, size_t len)
{
	const char *end = s + len, *m;

	for (; (m = memmem(s, (size_t)(end - s), mark, MARK_LEN)); s = m + MARK_LEN) {
		tok_text_add(out, s, (size_t)(m - s), NULL);
		tok_text_add(out, " ", 1, NULL);
	}
	tok_text_add(out, s, (size_t)(end - s), NULL);
}

static void spm_text(const struct tokenizer *t, int id, const char *s, size_t len, struct tok_text *out)
{
	int type = id < t->spm->n ? t->spm->type[id] : SPM_USER;
	char byte = (char)byte_token(s, len);

	if (type == SPM_BYTE)
		tok_text_add(out, &byte, 1, NULL);
	else if (type == SPM_UNKNOWN)
		tok_text_add(out, t->spm->unk_surface, t->spm->unk_len, NULL);
	else if (t->special[id])
		tok_text_add(out, s, len, NULL);
	else
		add_marked(out, s, len);
}

static bool has_stage(const struct tokenizer *t, enum stage_kind kind)
{
	for (int i = 0; i < t->decoder.n; i++)
		if (t->decoder.stage[i].kind == kind)
			return true;
	return false;
}

/* Returns false if a character is no letter that stands for a byte. */
static bool letters_text(const char *s, size_t len, struct tok_text *out)
{
	int n;

	for (size_t i = 0; i < len; i += (size_t)n) {
		int b = letter_byte(utf8_get(s + i, &n));
		char byte = (char)b;
		if (b < 0)
			return false;
		tok_text_add(out, &byte, 1, NULL);
	}
	return true;
}

/* Appends what the decoder makes of it after another token. */
static void chain_text(const struct tokenizer *t, const char *s, size_t len, struct tok_text *out)
{
	struct decoding *d = decoding_start(&t->decoder);

	decoding_push(d, "x", 1, out);
	tok_text_clear(out);
	decoding_push(d, s, len, out);
	decoding_flush(d, out);
	decoding_end(d);
}

static void hf_text(const struct tokenizer *t, int id, const char *s, size_t len, struct tok_text *out)
{
	char byte = (char)byte_token(s, len);

	if (t->special[id])
		tok_text_add(out, s, len, NULL);
	else if (byte_token(s, len) >= 0 && has_stage(t, STAGE_BYTES))
		tok_text_add(out, &byte, 1, NULL);
	else if (!has_stage(t, STAGE_LETTERS) || !letters_text(s, len, out)) {
		tok_text_clear(out);
		chain_text(t, s, len, out);
	}
}

size_t tokenizer_token_text(const struct tokenizer *t, int id, char *out, size_t max)
{
	struct tok_text text = {0};
	size_t len;
	const char *s = tokenizer_piece(t, id, &len);

	if (!s)
		return 0;
	if (t->spm)
		spm_text(t, id, s, len, &text);
	else
		hf_text(t, id, s, len, &text);
	len = text.n < max ? text.n : max;
	if (len)
		memcpy(out, text.s, len);
	tok_text_finish(&text);
	return len;
}
