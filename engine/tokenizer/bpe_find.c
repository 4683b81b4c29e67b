/* bpe_find.c - finds a vocabulary's symbols of single characters and bytes. */
#include <stdio.h>

#include "base/utf8.h"
#include "engine/tokenizer/inside.h"

static void set_character(struct bpe *b, const char *s, size_t len, int id)
{
	uint32_t cp;
	int n;

	if (!s || !len || (size_t)utf8_len((unsigned char)*s) != len)
		return;
	cp = utf8_get(s, &n);
	if (cp < 0x110000)
		b->char_id[cp] = id + 1;
}

void bpe_find_characters(struct bpe *b, const struct vocab *v)
{
	char name[8];

	for (int id = 0; id < v->n; id++) {
		size_t len = 0;
		const char *s = vocab_get(v, id, &len);

		set_character(b, s, len, id);
	}
	for (int i = 0; i < v->n_aliases; i++)
		set_character(b, v->alias[i].s, v->alias[i].len, v->alias[i].id);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof name, "<0x%02X>", i);
		b->byte_id[i] = vocab_find(v, name, 6);
	}
}
