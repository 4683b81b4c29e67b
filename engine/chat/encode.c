/* encode.c - encodes marked text.
 *
 * The text is encoded as a whole, as the reference does, so that words that span two pieces keep their tokens. Where a
 * special token covers bytes of a user, that user's piece is cut out and encoded alone, as ordinary text. */
#include <stdlib.h>
#include <string.h>
#include "engine/chat/inside.h"

/* Without memory this starves the thread's effort; encode_pieces() and chat_encode() report it. */
static void append(struct ids *to, const struct ids *from)
{
	int max = (to->n + from->n) + (to->n + from->n) / 2;
	void *id;

	if (to->n + from->n > to->max) {
		id = heap_grow(to->id, (size_t)max, sizeof *to->id);
		if (!id)
			return;
		to->id = id;
		to->max = max;
	}
	if (from->n)
		memcpy(to->id + to->n, from->id, sizeof *to->id * (size_t)from->n);
	to->n += from->n;
}

/* Marks the user pieces that a special token touches and returns their number. Ids and pieces are both in the order of
 * the text. */
static int forged(const struct tokenizer *t, const struct template_piece *piece, int n, const struct ids *ids,
		  bool *touched)
{
	const char *text = piece[0].text;
	int from = 0, hits = 0;

	for (int i = 0; i < ids->n; i++) {
		struct span_bytes at = ids->offset[i];

		if (at.first == at.end || !tokenizer_is_special(t, ids->id[i]))
			continue;
		while (from < n && (size_t)(piece[from].text - text) + piece[from].len <= at.first)
			from++;
		for (int p = from; p < n && (size_t)(piece[p].text - text) < at.end; p++)
			if (piece[p].user && !touched[p]) {
				touched[p] = true;
				hits++;
			}
	}
	return hits;
}

/* Cuts out all forging pieces at once, so that many of them cost little more than one. The text between them is checked
 * again, because it ends elsewhere now. */
static int encode_between(const struct tokenizer *t, const struct template_piece *piece, int n, const bool *touched,
			  struct ids *ids, struct why *why)
{
	struct encode_options plain = {0};
	struct ids alone = {0};
	int err = 0;

	for (int i = 0, end; i < n && !err; i = end) {
		end = i + 1;
		if (!touched[i]) {
			while (end < n && !touched[end])
				end++;
			err = encode_pieces(t, piece + i, end - i, ids, why);
			continue;
		}
		alone.n = 0;
		err = tokenizer_encode(t, piece[i].text, piece[i].len, &plain, &alone, why);
		if (!err)
			append(ids, &alone);
	}
	ids_finish(&alone);
	return err;
}

int encode_pieces(const struct tokenizer *t, const struct template_piece *piece, int n, struct ids *ids,
		  struct why *why)
{
	struct encode_options special = {.parse_special = true};
	struct ids all = {.want_offsets = true, .most = ids->most};
	bool *touched;
	int err;

	if (!n)
		return 0;
	touched = heap_take((size_t)n, sizeof *touched);
	if (!touched)
		return effort_check(why);
	err = tokenizer_encode(t, piece[0].text, (size_t)(piece[n - 1].text - piece[0].text) + piece[n - 1].len,
			       &special, &all, why);
	if (!err && forged(t, piece, n, &all, touched))
		err = encode_between(t, piece, n, touched, ids, why);
	else if (!err)
		append(ids, &all);
	ids->over |= all.over || (ids->most && ids->n > ids->most);
	ids_finish(&all);
	free(touched);
	if (!err && ids->over)
		err = fail(why, ERR_LIMIT, "the conversation has more than %d tokens", ids->most);
	return err ? err : effort_check(why);
}

static void add(struct build *b, const char *text, size_t len, bool user)
{
	size_t max = (b->len + len + 1) + b->len / 2;
	void *to;

	if (b->err || !len)
		return;
	if (b->len + len + 1 > b->max) {
		to = heap_grow(b->text, max, 1);
		if (!to) {
			b->err = effort_check(b->why);
			return;
		}
		b->text = to;
		b->max = max;
	}
	memcpy(b->text + b->len, text, len);
	b->len += len;
	if (b->n && b->piece[b->n - 1].user == user) {
		b->piece[b->n - 1].len += len;
		return;
	}
	if (b->n == b->max_pieces) {
		to = heap_grow(b->piece, (size_t)b->max_pieces * 2 + 8, sizeof *b->piece);
		if (!to) {
			b->err = effort_check(b->why);
			return;
		}
		b->piece = to;
		b->max_pieces = b->max_pieces * 2 + 8;
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
	for (int i = 0; i < b->n; i++) { /* the text moves no more */
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
		b->err = fail(b->why, ERR_MISMATCH, "the chat format '%s' needs a token that this model lacks",
			      b->chat->name);
		return;
	}
	append(b->ids, &one);
	add(b, name, len, false); /* only for the text that the caller may ask for */
	b->from = b->len;
	b->n = 0;
}

void build_finish(struct build *b)
{
	free(b->piece);
	free(b->text);
}
