/* encode.c - marked text to ids.
 *
 * The text is encoded as a whole, as the reference does, so that words that span two pieces keep their tokens. Only where that
 * finds a special token with bytes of a user in it, that user's piece is taken out and encoded alone, as ordinary text. */
#include <stdlib.h>
#include <string.h>
#include "engine/chat/inside.h"

static int append(struct ids *to, const struct ids *from)
{
	if (to->n + from->n > to->max) {
		to->max = (to->n + from->n) * 2;
		to->id = xgrow(to->id, (size_t)to->max, sizeof *to->id);
	}
	if (from->n)
		memcpy(to->id + to->n, from->id, sizeof *to->id * (size_t)from->n);
	to->n += from->n;
	return 0;
}

/* The first piece of a user that a special token touches, -1: none. */
static int forged(const struct tokenizer *t, const struct template_piece *piece, int n, const struct ids *ids)
{
	const char *text = piece[0].text;

	for (int i = 0; i < ids->n; i++) {
		struct span_bytes at = ids->offset[i];

		if (at.first == at.end || !tokenizer_is_special(t, ids->id[i]))
			continue;
		for (int p = 0; p < n; p++) {
			size_t first = (size_t)(piece[p].text - text), end = first + piece[p].len;
			if (piece[p].user && at.first < end && at.end > first)
				return p;
		}
	}
	return -1;
}

int encode_pieces(const struct tokenizer *t, const struct template_piece *piece, int n, struct ids *ids, struct why *why)
{
	struct encode_options special = {.parse_special = true}, plain = {0};
	struct ids all = {.want_offsets = true}, alone = {0};
	int err = 0, hit;

	while (n && !err) {
		size_t len = (size_t)(piece[n - 1].text - piece[0].text) + piece[n - 1].len;

		all.n = 0;
		err = tokenizer_encode(t, piece[0].text, len, &special, &all, why);
		hit = err ? -1 : forged(t, piece, n, &all);
		if (err || hit < 0) {
			if (!err)
				append(ids, &all);
			break;
		}
		if (hit) { /* what stands before may hold special tokens of its own, and none that end in the user's piece */
			err = encode_pieces(t, piece, hit, ids, why);
		}
		alone.n = 0;
		if (!err)
			err = tokenizer_encode(t, piece[hit].text, piece[hit].len, &plain, &alone, why);
		if (!err)
			append(ids, &alone);
		piece += hit + 1;
		n -= hit + 1;
	}
	ids_finish(&all);
	ids_finish(&alone);
	return err;
}

static void add(struct build *b, const char *text, size_t len, bool user)
{
	if (b->err || !len)
		return;
	if (b->len + len + 1 > b->max) {
		b->max = (b->len + len + 1) * 2;
		b->text = xgrow(b->text, b->max, 1);
	}
	memcpy(b->text + b->len, text, len);
	b->len += len;
	if (b->n && b->piece[b->n - 1].user == user) {
		b->piece[b->n - 1].len += len;
		return;
	}
	if (b->n == b->max_pieces) {
		b->max_pieces = b->max_pieces ? b->max_pieces * 2 : 8;
		b->piece = xgrow(b->piece, (size_t)b->max_pieces, sizeof *b->piece);
	}
	b->piece[b->n++] = (struct template_piece){NULL, len, user};
}

void build_say(struct build *b, const char *literal)
{
	add(b, literal, strlen(literal), false);
}

void build_user(struct build *b, const char *text, size_t len)
{
	add(b, text, len, true);
}

void build_cut(struct build *b)
{
	size_t at = b->from;

	if (b->err || !b->n)
		return;
	for (int i = 0; i < b->n; i++) { /* the text has its place now */
		b->piece[i].text = b->text + at;
		at += b->piece[i].len;
	}
	b->err = encode_pieces(b->t, b->piece, b->n, b->ids, b->why);
	b->from = b->len;
	b->n = 0;
}

void build_id(struct build *b, int id)
{
	size_t len = 0;
	const char *name;
	struct ids one = {.id = &id, .n = 1};

	build_cut(b);
	if (b->err)
		return;
	if (id < 0 || !(name = tokenizer_piece(b->t, id, &len))) {
		b->err = fail(b->why, ERR_MISMATCH, "the chat format '%s' needs a token that this model has not", chat_name(b->chat));
		return;
	}
	append(b->ids, &one);
	add(b, name, len, false); /* for the text only */
	b->from = b->len;
	b->n = 0;
}

void build_finish(struct build *b)
{
	free(b->piece);
	free(b->text);
}
