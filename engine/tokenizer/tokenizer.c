#include "engine/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "base/utf8.h"

enum { TEXT_MAX = 1 << 30 }; /* bytes of one text */

void tokenizer_close(struct tokenizer *t)
{
	if (!t)
		return;
	vocab_finish(&t->vocab);
	bpe_finish(&t->bpe);
	added_finish(&t->added);
	normalizers_finish(&t->normalizers);
	pretokenizers_finish(&t->pretokenizers);
	decoder_finish(&t->decoder);
	spm_close(t->spm);
	free(t->special);
	ids_finish(&t->before);
	ids_finish(&t->after);
	free(t);
}

const char *tokenizer_kind(const struct tokenizer *t)
{
	return t->kind;
}

int tokenizer_vocab(const struct tokenizer *t)
{
	return t->vocab.n;
}

uint64_t tokenizer_fingerprint(const struct tokenizer *t)
{
	return t->fingerprint;
}

int tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

int tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

bool tokenizer_is_special(const struct tokenizer *t, int id)
{
	return id >= 0 && id < t->vocab.n && t->special[id];
}

int tokenizer_find(const struct tokenizer *t, const char *piece, size_t len)
{
	return vocab_find(&t->vocab, piece, len);
}

const char *tokenizer_piece(const struct tokenizer *t, int id, size_t *len)
{
	return vocab_get(&t->vocab, id, len);
}

void ids_finish(struct ids *ids)
{
	heap_free(ids->id);
	heap_free(ids->offset);
	*ids = (struct ids){.want_offsets = ids->want_offsets};
}

/* Everything that one encoding needs besides its input. */
struct encoding {
	const struct tokenizer *t;
	struct tok_text whole, part, normal;
	struct added_segments raw, inner;
	struct normalizer_work normalizer;
	struct pretokenizer_work pretokenizer;
	struct bpe_work bpe;
	struct ids *out;
	bool parse_special;
};

static void encoding_finish(struct encoding *e)
{
	tok_text_finish(&e->whole);
	tok_text_finish(&e->part);
	tok_text_finish(&e->normal);
	heap_free(e->raw.s);
	heap_free(e->inner.s);
	normalizer_work_finish(&e->normalizer);
	pretokenizer_work_finish(&e->pretokenizer);
	bpe_work_finish(&e->bpe);
}

/* Converts bytes to valid UTF-8, each with the character it came from. */
static void take_text(struct tok_text *to, const char *s, size_t len)
{
	static const char bad[] = "\xEF\xBF\xBD";

	for (size_t i = 0; i < len;) {
		int n = utf8_check(s + i, len - i, NULL);
		struct span_bytes from = {(uint32_t)i, (uint32_t)(i + (size_t)abs(n))};

		tok_text_add_at(to, n > 0 ? s + i : bad, n > 0 ? (size_t)n : 3, from);
		i += (size_t)abs(n);
	}
}

/* Moves all of `from`, or copies a part. */
static void set_part(struct tok_text *to, struct tok_text *from, size_t first, size_t end)
{
	if (first == 0 && end == from->n)
		tok_text_swap(to, from);
	else
		tok_text_set(to, from, first, end);
}

static int check(const struct encoding *e, struct why *why)
{
	if (e->out->over)
		return fail(why, ERR_LIMIT, "the text has more than %d tokens", e->out->most);
	return effort_check(why);
}

static int take_words(void *arg, const struct tok_text *part, const struct tok_pieces *words, struct why *why)
{
	struct encoding *e = arg;

	for (size_t i = 0; i < words->n; i++) {
		const struct tok_piece *p = &words->p[i];

		if (p->end > p->first)
			bpe_encode(&e->t->bpe, &e->bpe, part, p->first, p->end, e->out);
		if (e->out->over || (i % 1024 == 1023 && !effort_goes_on()))
			break;
	}
	return check(e, why);
}

/* Encodes a stretch between raw added tokens: normalizes it, matches the other added tokens, and encodes the rest. */
static int encode_part(struct encoding *e, size_t first, size_t end, struct why *why)
{
	const struct tokenizer *t = e->t;
	int err;

	set_part(&e->part, &e->whole, first, end);
	if (t->spm) {
		e->normal.wants_from = e->part.wants_from;
		spm_encode(t, &e->part, t->spm->legacy || first == 0, &e->normal, &e->bpe, e->out);
		return check(e, why);
	}
	err = normalizers_apply(&t->normalizers, &e->part, &e->normalizer, why);
	if (!err)
		err = check(e, why);
	e->inner.n = 0;
	if (err || !e->part.n)
		return err;
	added_cut(&t->added, &t->added.normalized, e->part.s, e->part.n, e->parse_special, &e->inner);
	for (size_t i = 0; i < e->inner.n && !err; i++) {
		const struct added_segment *s = &e->inner.s[i];

		if (s->token >= 0) {
			ids_add(e->out, t->added.t[s->token].id, &e->part, s->first, s->end);
			err = i % 1024 ? 0 : check(e, why);
		} else {
			set_part(&e->normal, &e->part, s->first, s->end);
			err = pretokenizers_apply(&t->pretokenizers, &e->normal, first == 0 && s->first == 0,
						  &e->pretokenizer, take_words, e, why);
		}
	}
	return err;
}

static int encode_all(struct encoding *e, struct why *why)
{
	const struct added_tokens *added = &e->t->added;
	int err = check(e, why);

	if (err)
		return err;
	added_cut(added, &added->raw, e->whole.s, e->whole.n, e->parse_special, &e->raw);
	for (size_t i = 0; i < e->raw.n && !err; i++) {
		const struct added_segment *s = &e->raw.s[i];

		if (s->token >= 0)
			ids_add(e->out, added->t[s->token].id, &e->whole, s->first, s->end);
		else
			err = encode_part(e, s->first, s->end, why);
		if (!err && i % 1024 == 0)
			err = check(e, why);
	}
	return err;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, const struct encode_options *how,
		     struct ids *out, struct why *why)
{
	struct encoding e = {
		.t = t, .out = out, .parse_special = how->parse_special, .whole.wants_from = out->want_offsets};
	int err = 0;

	if (len > TEXT_MAX)
		return fail(why, ERR_LIMIT, "a text of %zu bytes exceeds the limit of %d", len, TEXT_MAX);
	out->over = false;
	for (int i = 0; how->add_special && i < t->before.n; i++)
		ids_add(out, t->before.id[i], NULL, 0, 0);
	tok_text_room(&e.whole, len + 1);
	take_text(&e.whole, text, len);
	if (len)
		err = encode_all(&e, why);
	for (int i = 0; how->add_special && i < t->after.n && !err; i++)
		ids_add(out, t->after.id[i], NULL, 0, 0);
	if (!err)
		err = check(&e, why);
	encoding_finish(&e);
	return err;
}
