#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "engine/tokenizer/tokenizer.h"
#include "base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD", space[] = SPM_SPACE;
enum { SPACE_LEN = 3 };

struct detok {
	const struct tokenizer *t;
	bool skip_special;
	int32_t show[DETOK_SHOWN];
	int n_show;
	struct decoding *chain; /* NULL: SentencePiece */
	bool at_start;          /* SentencePiece: only a leading space so far */
	bool space_seen, any;
	char held[4]; /* SentencePiece: the bytes of an incomplete character */
	int n_held;
	struct tok_text out;
	struct tok_text shown; /* the uncertain end of the earlier text's decode */
	size_t shown_at;       /* how much of it the stream repeated */
};

struct detok *detok_create(const struct tokenizer *t, bool skip_special)
{
	struct detok *d = xalloc(1, sizeof *d);

	d->t = t;
	d->skip_special = skip_special;
	d->at_start = true;
	if (!t->spm)
		d->chain = decoding_start(&t->decoder);
	return d;
}

void detok_destroy(struct detok *d)
{
	if (!d)
		return;
	if (d->chain)
		decoding_end(d->chain);
	tok_text_finish(&d->out);
	tok_text_finish(&d->shown);
	free(d);
}

void detok_show(struct detok *d, const int32_t *ids, int n)
{
	REQUIRE(n <= DETOK_SHOWN);
	if (n)
		memcpy(d->show, ids, (size_t)n * sizeof *ids);
	d->n_show = n;
}

static bool skips(const struct detok *d, int id)
{
	bool skip = d->skip_special && d->t->special[id];

	for (int i = 0; skip && i < d->n_show; i++)
		skip = d->show[i] != id;
	return skip;
}

static void put(struct detok *d, const char *s, size_t len)
{
	tok_text_add(&d->out, s, len, NULL);
	d->any |= len > 0;
}

/* Held bytes that cannot become a character become U+FFFD each. end: no more bytes will follow. */
static void settle_bytes(struct detok *d, bool end)
{
	while (d->n_held) {
		int more, n = utf8_check(d->held, (size_t)d->n_held, &more);

		if (n < 0 && more && !end)
			return;
		if (n > 0)
			put(d, d->held, (size_t)n);
		else
			put(d, replacement, 3);
		n = n > 0 ? n : 1;
		d->n_held -= n;
		memmove(d->held, d->held + n, (size_t)d->n_held);
	}
}

/* Maps U+2581 to spaces and drops the one that the dummy prefix put before the first word. */
static void put_piece(struct detok *d, const char *s, size_t len)
{
	const struct spm *spm = d->t->spm;
	const char *end = s + len, *m;

	d->space_seen = false;
	if (d->at_start && (spm->dummy_prefix || spm->remove_extra) && len >= SPACE_LEN &&
	    memcmp(s, space, SPACE_LEN) == 0) {
		s += SPACE_LEN;
		d->space_seen = !spm->remove_extra;
	}
	for (; (m = memmem(s, (size_t)(end - s), space, SPACE_LEN)); s = m + SPACE_LEN) {
		put(d, s, (size_t)(m - s));
		put(d, " ", 1);
	}
	put(d, s, (size_t)(end - s));
}

/* Decodes as the library's Decode() does: pieces one after the other, bytes gathered into characters. */
static void next_spm(struct detok *d, int id, const char *s, size_t len)
{
	const struct spm *spm = d->t->spm;
	int type = id < spm->n ? spm->type[id] : SPM_USER;

	if (type == SPM_BYTE) {
		d->held[d->n_held++] = (char)byte_token(s, len);
		settle_bytes(d, false);
		return;
	}
	settle_bytes(d, true);
	if (d->space_seen || d->any)
		d->at_start = false;
	d->space_seen = false;
	if (d->t->special[id] && type != SPM_UNKNOWN) {
		if (!skips(d, id))
			put(d, s, len);
	} else if (type == SPM_UNKNOWN) {
		put(d, spm->unk_surface, spm->unk_len);
	} else {
		put_piece(d, s, len);
	}
}

static void next(struct detok *d, int id)
{
	size_t n = 0;
	const char *s = tokenizer_piece(d->t, id, &n);

	tok_text_clear(&d->out);
	if (s && d->t->spm)
		next_spm(d, id, s, n);
	else if (s && !skips(d, id))
		decoding_push(d->chain, s, n, &d->out);
}

/* Skips what the decode of the earlier text shows already, while the same characters come. */
static const char *fresh(struct detok *d, size_t *len)
{
	size_t left = d->shown.n - d->shown_at, n = 0;

	while (n < d->out.n && n < left) {
		size_t one = (size_t)utf8_len((unsigned char)d->out.s[n]);

		if (one > left - n || memcmp(d->out.s + n, d->shown.s + d->shown_at + n, one) != 0)
			break;
		n += one;
	}
	d->shown_at = n < d->out.n ? d->shown.n : d->shown_at + n;
	*len = d->out.n - n;
	return *len ? d->out.s + n : "";
}

const char *detok_next(struct detok *d, int id, size_t *len)
{
	next(d, id);
	return fresh(d, len);
}

void detok_follow(struct detok *d, const int32_t *ids, int n)
{
	for (int i = 0; i < n; i++)
		next(d, ids[i]);
	tok_text_clear(&d->shown);
	d->shown_at = 0;
	if (d->chain)
		decoding_peek(d->chain, &d->shown);
	for (int i = 0; i < d->n_held; i++)
		tok_text_add(&d->shown, replacement, 3, NULL);
}

const char *detok_end(struct detok *d, size_t *len)
{
	tok_text_clear(&d->out);
	if (d->chain)
		decoding_flush(d->chain, &d->out);
	else
		settle_bytes(d, true);
	return fresh(d, len);
}

int tokenizer_decode_most(const struct tokenizer *t, const int32_t *ids, int n, bool skip_special, size_t most,
			  char **text, size_t *len, struct why *why)
{
	struct detok *d = detok_create(t, skip_special);
	struct tok_text all = {0};
	int err = 0;

	for (int i = 0; i <= n && !err; i++) {
		size_t part;
		const char *s = i < n ? detok_next(d, ids[i], &part) : detok_end(d, &part);

		tok_text_add(&all, s, part, NULL);
		if (all.n > most)
			err = fail(why, ERR_LIMIT,
				   "the text of these tokens is longer than %zu bytes: send them in parts", most);
		else if (i % 1024 == 0)
			err = effort_check(why);
	}
	tok_text_add(&all, "", 1, NULL);
	if (!err)
		err = effort_check(why);
	detok_destroy(d);
	if (err) {
		tok_text_finish(&all);
		return err;
	}
	*len = all.n - 1;
	*text = all.s;
	return 0;
}

char *tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int n, bool skip_special, size_t *len)
{
	char *text = NULL;

	*len = 0;
	return tokenizer_decode_most(t, ids, n, skip_special, SIZE_MAX, &text, len, NULL) ? NULL : text;
}
