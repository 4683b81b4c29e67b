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

static int class_of_char(const char *s, int n)
{
	uint32_t cp = (uint8_t)*s;
	int len;

	if (n > 1) {
		cp = utf8_get(s, &len);
		return cp >= 0xa0 && cp != 0x2028 && cp != 0x2029 ? PURE_WIDE : PURE_CLASSES;
	}
	return pure_class[cp];
}

/* The token's class, or PURE_CLASSES: it is not pure. */
static int class_of_token(const struct grammar_room *r, int32_t id, int *chars)
{
	const char *s = r->bytes + r->at[id];
	int n = length_of(r, id), class = n ? 0 : PURE_CLASSES;

	*chars = 0;
	for (int i = 0, len; i < n && class < PURE_CLASSES; i += len, ++*chars) {
		len = utf8_char(s + i, (size_t)(n - i));
		class = len ? max_int(class, class_of_char(s + i, len)) : PURE_CLASSES;
	}
	return *chars <= PURE_CHARS ? class : PURE_CLASSES;
}

uint32_t *room_upto(const struct grammar_room *r, int class, int chars)
{
	return r->upto + (size_t)(class * (PURE_CHARS + 1) + min_int(chars, PURE_CHARS)) * (size_t)r->words;
}

static void put_pure(struct grammar_room *r, int32_t id, int class, int chars)
{
	for (int i = chars; i <= PURE_CHARS; i++) {
		room_upto(r, class, i)[id / 32] |= 1u << id % 32;
		room_upto(r, PURE_CLASSES, i)[id / 32] |= 1u << id % 32;
	}
}

/* ---- tries ---- */

static const struct grammar_room *sorting; /* of the thread that creates a room */
static bool by_kinds;

static uint64_t kinds_of(const struct grammar_room *r, int32_t id)
{
	uint64_t kinds = 0;

	for (int32_t i = r->at[id]; i < r->at[id + 1]; i++)
		kinds |= pure_bit((uint8_t)r->bytes[i]);
	return kinds;
}

static int by_bytes(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	uint64_t u = by_kinds ? kinds_of(sorting, x) : 0, v = by_kinds ? kinds_of(sorting, y) : 0;
	int n = length_of(sorting, x), m = length_of(sorting, y);
	int c = memcmp(sorting->bytes + sorting->at[x], sorting->bytes + sorting->at[y], (size_t)min_int(n, m));

	if (u != v)
		return u < v ? -1 : 1;
	return c ? c : n != m ? (n > m) - (n < m) : (x > y) - (x < y);
}

static int common(const struct grammar_room *r, int32_t a, int32_t b)
{
	int n = min_int(length_of(r, a), length_of(r, b)), i = 0;

	if (by_kinds && kinds_of(r, a) != kinds_of(r, b))
		return 0;

	while (i < n && r->bytes[r->at[a] + i] == r->bytes[r->at[b] + i])
		i++;
	return i;
}

/* Only tokens that are pure hold whole characters, all of them pure, where a byte is beyond ASCII. */
static int class_of_byte(uint8_t byte, bool pure)
{
	return byte < 0x80 ? pure_class[byte] : pure ? PURE_WIDE : PURE_CLASSES;
}

/* Ends the open nodes of depth `from` and more. */
static void close_nodes(struct trie *t, bool pure, const int *open, int from, int depth)
{
	for (int d = depth - 1; d >= from; d--) {
		struct trie_node *n = &t->node[open[d]], *up = d ? &t->node[open[d - 1]] : NULL;
		n->skip = t->n - open[d];
		if (!up)
			continue;
		up->height = (uint8_t)max_int(up->height, n->height + 1);
		up->below = (uint8_t)max_int(up->below, max_int(n->below, class_of_byte(n->byte, pure)));
	}
}

static void list_roots(struct trie *t)
{
	for (int i = 0; i < t->n; i += t->node[i].skip) {
		const struct trie_node *n = &t->node[i];
		t->first[t->n_roots] = n->byte;
		t->root[t->n_roots] = i;
		t->tokens[t->n_roots++] = n[n->skip].first - n->first;
	}
}

static void build(const struct grammar_room *r, struct trie *t)
{
	int open[TOKEN_BYTES + 1], depth = 0;
	size_t nodes = 0;

	sorting = r;
	by_kinds = t == &r->signs;
	if (t->n_tokens)
		qsort(t->order, (size_t)t->n_tokens, sizeof *t->order, by_bytes);
	for (int i = 0; i < t->n_tokens; i++)
		nodes += (size_t)(length_of(r, t->order[i]) - (i ? common(r, t->order[i - 1], t->order[i]) : 0));
	t->node = xalloc(nodes + 1, sizeof *t->node);
	for (int i = 0; i < t->n_tokens; i++) {
		int32_t id = t->order[i];
		int same = i ? common(r, t->order[i - 1], id) : 0, n = length_of(r, id);
		close_nodes(t, t != &r->rest, open, same, depth);
		for (int d = same; d < n; d++) {
			open[d] = t->n;
			t->node[t->n++] = (struct trie_node){
				.byte = (uint8_t)r->bytes[r->at[id] + d], .depth = (uint8_t)d, .first = i};
		}
		depth = n;
	}
	close_nodes(t, t != &r->rest, open, 0, depth);
	t->node[t->n].first = t->n_tokens;
	if (!by_kinds)
		list_roots(t);
}

static void build_buckets(struct grammar_room *r)
{
	struct trie *t = &r->signs;
	uint64_t last = 0;

	t->n_tokens = r->pure[PURE_OTHER].n_tokens;
	t->order = xalloc((size_t)t->n_tokens + 1, sizeof *t->order);
	memcpy(t->order, r->pure[PURE_OTHER].order, (size_t)t->n_tokens * sizeof *t->order);
	build(r, t);
	r->bucket = xalloc((size_t)t->n_tokens + 1, sizeof *r->bucket);
	for (int i = 0; i < t->n; i += t->node[i].skip) {
		uint64_t kinds = kinds_of(r, t->order[t->node[i].first]);
		if (!r->n_buckets || kinds != last)
			r->bucket[r->n_buckets++] = (struct bucket){kinds, i, t->node[i].first};
		last = kinds;
	}
	r->bucket[r->n_buckets] = (struct bucket){0, t->n, t->n_tokens};
	r->bucket = xgrow(r->bucket, (size_t)r->n_buckets + 1, sizeof *r->bucket);
}

static void build_tries(struct grammar_room *r)
{
	uint8_t *class = xalloc((size_t)r->vocab + 1, 1);
	struct trie *of[PURE_CLASSES + 1] = {[PURE_CLASSES] = &r->rest};

	for (int c = 0; c < PURE_CLASSES; c++)
		of[c] = &r->pure[c];
	for (int32_t id = 0; id < r->vocab; id++) {
		int chars;
		class[id] = (uint8_t)class_of_token(r, id, &chars);
		if (class[id] < PURE_CLASSES)
			put_pure(r, id, class[id], chars);
		of[class[id]]->n_tokens += length_of(r, id) > 0;
	}
	for (int c = 0; c <= PURE_CLASSES; c++) {
		int n = 0;
		of[c]->order = xalloc((size_t)of[c]->n_tokens + 1, sizeof *of[c]->order);
		for (int32_t id = 0; id < r->vocab; id++)
			if (class[id] == c && length_of(r, id))
				of[c]->order[n++] = id;
		build(r, of[c]);
	}
	build_buckets(r);
	free(class);
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
	r->upto = xalloc_touched((size_t)UPTO_MASKS * (size_t)r->words, sizeof *r->upto);
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
	free(r->bytes), free(r->at), free(r->upto), free(r->path), free(r->mask), free(r->owner);
	for (int c = 0; c < PURE_CLASSES; c++)
		free(r->pure[c].node), free(r->pure[c].order);
	free(r->rest.node), free(r->rest.order);
	free(r->signs.node), free(r->signs.order), free(r->bucket);
	free(r);
}

static size_t bytes_of(int vocab, int masks, size_t token_bytes, size_t nodes, size_t buckets)
{
	return sizeof(struct grammar_room) + 2 * pool_bytes() + token_bytes +
	       (size_t)(masks + UPTO_MASKS) * (size_t)((vocab + 31) / 32) * 4 + nodes * sizeof(struct trie_node) +
	       buckets * sizeof(struct bucket) + (size_t)vocab * 8;
}

size_t grammar_room_bytes(const struct grammar_room *r)
{
	size_t nodes = (size_t)(r->rest.n + r->signs.n);

	for (int c = 0; c < PURE_CLASSES; c++)
		nodes += (size_t)r->pure[c].n;
	return bytes_of(r->vocab, r->n_masks, (size_t)r->at[r->vocab], nodes, (size_t)r->n_buckets + 1);
}

size_t grammar_room_plan(int vocab, int rows)
{
	enum { BYTES = 8, NODES = 4, TOKENS = 30 }; /* of a token, about; tokens of a bucket */

	return bytes_of(vocab, masks_of(rows), (size_t)vocab * BYTES, (size_t)vocab * NODES, (size_t)vocab / TOKENS);
}
