/* room.c - the vocabulary as tries, and all memory of runs. */
#include "engine/grammar/inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/tokenizer/tokenizer.h"

enum { TOKEN_BYTES = 255 };

/* ---- the tokens' bytes ---- */

static size_t token_bytes(const struct tokenizer *t, int id, char out[TOKEN_BYTES + 1])
{
	size_t n;

	if (id >= tokenizer_vocab(t) || (tokenizer_is_special(t, id) && id >= MARK_IDS))
		return 0;
	if (tokenizer_is_special(t, id)) {
		mark_write((uint8_t *)out, id);
		return MARK_BYTES;
	}
	n = tokenizer_token_text(t, id, out, TOKEN_BYTES + 1);
	return n > TOKEN_BYTES || memchr(out, MARK_BYTE, n) ? 0 : n; /* no text has that byte */
}

static void read_tokens(struct grammar_room *r, const struct tokenizer *t)
{
	char one[TOKEN_BYTES + 1];
	size_t n = 0, room = 1 << 16;

	r->bytes = xalloc(room, 1);
	r->at = xalloc((size_t)r->vocab + 1, sizeof *r->at);
	for (int id = 0; id < r->vocab; id++) {
		size_t len = token_bytes(t, id, one);
		if (n + len > room) {
			room *= 2;
			r->bytes = xgrow(r->bytes, room, 1);
		}
		memcpy(r->bytes + n, one, len);
		n += len;
		r->at[id + 1] = (int32_t)n;
		r->longest = max_int(r->longest, (int)len);
	}
}

static int length_of(const struct grammar_room *r, int32_t id)
{
	return r->at[id + 1] - r->at[id];
}

/* ---- pure tokens ---- */

static bool is_pure_char(const char *s, int n)
{
	uint32_t cp;
	int len;

	if (n == 1)
		return (uint8_t)*s >= 0x20 && (uint8_t)*s < 0x7f && *s != '"' && *s != '\\';
	cp = utf8_get(s, &len);
	return cp >= 0xa0 && cp != 0x2028 && cp != 0x2029;
}

/* Its characters, or 0: not pure. */
static int pure_chars(const char *s, int n)
{
	int chars = 0;

	for (int i = 0, len; i < n; i += len, chars++) {
		len = utf8_char(s + i, (size_t)(n - i));
		if (!len || !is_pure_char(s + i, len))
			return 0;
	}
	return chars <= PURE_CHARS ? chars : 0;
}

static void put_pure(struct grammar_room *r, int32_t id, int chars)
{
	for (int i = chars; i <= PURE_CHARS; i++)
		r->pure_upto[(size_t)i * (size_t)r->words + (size_t)(id / 32)] |= 1u << id % 32;
}

/* ---- tries ---- */

static const struct grammar_room *sorting; /* of the thread that creates a room */

static int by_bytes(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	int n = length_of(sorting, x), m = length_of(sorting, y);
	int c = memcmp(sorting->bytes + sorting->at[x], sorting->bytes + sorting->at[y], (size_t)min_int(n, m));

	return c ? c : n != m ? (n > m) - (n < m) : (x > y) - (x < y);
}

static int common(const struct grammar_room *r, int32_t a, int32_t b)
{
	int n = min_int(length_of(r, a), length_of(r, b)), i = 0;

	while (i < n && r->bytes[r->at[a] + i] == r->bytes[r->at[b] + i])
		i++;
	return i;
}

/* Ends the open nodes of depth `from` and more. */
static void close_nodes(struct trie *t, const int *open, int from, int depth, int tokens)
{
	for (int d = depth - 1; d >= from; d--) {
		t->node[open[d]].skip = t->n - open[d];
		t->node[open[d]].end = tokens;
	}
}

static void build(const struct grammar_room *r, struct trie *t)
{
	int open[TOKEN_BYTES + 1], depth = 0;
	size_t nodes = 0;

	sorting = r;
	if (t->n_tokens)
		qsort(t->order, (size_t)t->n_tokens, sizeof *t->order, by_bytes);
	for (int i = 0; i < t->n_tokens; i++)
		nodes += (size_t)(length_of(r, t->order[i]) - (i ? common(r, t->order[i - 1], t->order[i]) : 0));
	t->node = xalloc(nodes + 1, sizeof *t->node);
	for (int i = 0; i < t->n_tokens; i++) {
		int32_t id = t->order[i];
		int same = i ? common(r, t->order[i - 1], id) : 0, n = length_of(r, id);
		close_nodes(t, open, same, depth, i);
		for (int d = same; d < n; d++) {
			open[d] = t->n;
			t->node[t->n++] = (struct trie_node){
				.byte = (uint8_t)r->bytes[r->at[id] + d], .depth = (uint8_t)d, .first = i};
		}
		depth = n;
		t->node[open[n - 1]].own++;
	}
	close_nodes(t, open, 0, depth, t->n_tokens);
	memset(t->root, 0xff, sizeof t->root);
	for (int i = 0; i < t->n; i += t->node[i].skip) {
		t->root[t->node[i].byte] = i;
		t->tokens[t->node[i].byte] = t->node[i].end - t->node[i].first;
	}
}

static void build_tries(struct grammar_room *r)
{
	r->pure.order = xalloc((size_t)r->vocab, sizeof *r->pure.order);
	r->rest.order = xalloc((size_t)r->vocab, sizeof *r->rest.order);
	for (int32_t id = 0; id < r->vocab; id++) {
		int n = length_of(r, id), chars = pure_chars(r->bytes + r->at[id], n);
		if (chars) {
			r->pure.order[r->pure.n_tokens++] = id;
			put_pure(r, id, chars);
		} else if (n) {
			r->rest.order[r->rest.n_tokens++] = id;
		}
	}
	build(r, &r->pure);
	build(r, &r->rest);
}

/* ---- the room ---- */

static int masks_of(int rows)
{
	return max_int(256, 2 * rows);
}

struct grammar_room *grammar_room_create(const struct tokenizer *t, int vocab, int rows)
{
	struct grammar_room *r = xalloc(1, sizeof *r);

	*r = (struct grammar_room){.vocab = vocab, .words = (vocab + 31) / 32, .n_masks = masks_of(rows)};
	r->pure_upto = xalloc_touched((size_t)(PURE_CHARS + 1) * (size_t)r->words, sizeof *r->pure_upto);
	read_tokens(r, t);
	build_tries(r);
	for (int i = 0; i < 2; i++)
		pool_init(&r->pool[i]);
	pool_clear(&r->pool[0]);
	r->path = xalloc_touched((size_t)r->longest + 2, sizeof *r->path);
	r->mask = xalloc_touched((size_t)r->n_masks * (size_t)r->words, sizeof *r->mask);
	r->owner = xalloc_touched((size_t)r->n_masks, sizeof *r->owner);
	for (int i = 0; i < r->n_masks; i++)
		r->owner[i].state = -1;
	return r;
}

void grammar_room_destroy(struct grammar_room *r)
{
	if (!r)
		return;
	for (int i = 0; i < 2; i++)
		pool_finish(&r->pool[i]);
	free(r->bytes), free(r->at), free(r->pure_upto), free(r->path), free(r->mask), free(r->owner);
	free(r->pure.node), free(r->pure.order), free(r->rest.node), free(r->rest.order);
	free(r);
}

static size_t bytes_of(int vocab, int masks, size_t token_bytes, size_t nodes)
{
	return sizeof(struct grammar_room) + 2 * pool_bytes() + token_bytes +
	       (size_t)(masks + PURE_CHARS + 1) * (size_t)((vocab + 31) / 32) * 4 + nodes * sizeof(struct trie_node) +
	       (size_t)vocab * 12;
}

size_t grammar_room_bytes(const struct grammar_room *r)
{
	return bytes_of(r->vocab, r->n_masks, (size_t)r->at[r->vocab], (size_t)(r->pure.n + r->rest.n));
}

size_t grammar_room_plan(int vocab, int rows)
{
	enum { BYTES = 8, NODES = 3 }; /* of a token, about */

	return bytes_of(vocab, masks_of(rows), (size_t)vocab * BYTES, (size_t)vocab * NODES);
}
