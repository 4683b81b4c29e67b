#include "engine/tokenizer/added.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/unicode.h"
#include "base/utf8.h"

void matcher_finish(struct matcher *m)
{
	pairs_finish(&m->edges);
	free(m->token);
	*m = (struct matcher){0};
}

void added_finish(struct added_tokens *a)
{
	for (int i = 0; i < a->n; i++)
		free(a->t[i].content);
	free(a->t);
	matcher_finish(&a->raw);
	matcher_finish(&a->normalized);
	*a = (struct added_tokens){0};
}

const struct added_token *added_find(const struct added_tokens *a, const char *s, size_t len)
{
	for (int i = 0; i < a->n; i++)
		if (a->t[i].len == len && memcmp(a->t[i].content, s, len) == 0)
			return &a->t[i];
	return NULL;
}

void added_put(struct added_tokens *a, const struct added_token *token)
{
	struct added_token *t = (struct added_token *)added_find(a, token->content, token->len);

	if (!t) {
		a->t = xgrow(a->t, (size_t)a->n + 1, sizeof *a->t);
		t = &a->t[a->n++];
	} else {
		free(t->content);
	}
	*t = *token;
	t->content = xalloc(token->len + 1, 1);
	memcpy(t->content, token->content, token->len);
}

static int new_node(struct matcher *m)
{
	if (m->n_nodes == m->max_nodes)
		m->token = xgrow(m->token, (size_t)(m->max_nodes = m->max_nodes * 2 + 64), sizeof *m->token);
	m->token[m->n_nodes] = -1;
	return m->n_nodes++;
}

void matcher_put(struct matcher *m, const char *s, size_t len, int token)
{
	int node = m->n_nodes ? 0 : new_node(m);

	if (!len)
		return;
	m->first[(unsigned char)*s] = true;
	for (size_t i = 0; i < len; i++) {
		uint32_t byte = (unsigned char)s[i];
		const struct pair_slot *edge = pairs_find(&m->edges, (uint32_t)node, byte);

		if (edge) {
			node = edge->id;
		} else {
			int next = new_node(m);

			pairs_set(&m->edges, (uint32_t)node, byte, 0, next);
			node = next;
		}
	}
	m->token[node] = token;
}

int matcher_longest(const struct matcher *m, const char *s, size_t len, size_t *token_len)
{
	int node = 0, best = -1;

	if (!len || !m->first[(unsigned char)*s])
		return -1;
	for (size_t i = 0; i < len; i++) {
		const struct pair_slot *edge = pairs_find(&m->edges, (uint32_t)node, (unsigned char)s[i]);

		if (!edge)
			break;
		node = edge->id;
		if (m->token[node] >= 0) {
			best = m->token[node];
			*token_len = i + 1;
		}
	}
	return best;
}

void added_segment_add(struct added_segments *list, size_t first, size_t end, int token)
{
	size_t max = list->max + list->max / 2 + 16;
	void *s;

	if (list->n == list->max) {
		s = heap_grow(list->s, max, sizeof *list->s);
		if (!s)
			return;
		list->s = s;
		list->max = max;
	}
	list->s[list->n++] = (struct added_segment){first, end, token};
}

static size_t char_before(const char *s, size_t at)
{
	for (at--; at > 0 && (s[at] & 0xC0) == 0x80; at--)
		;
	return at;
}

static bool inside_word(const char *s, size_t len, size_t first, size_t end)
{
	int n;

	return (first > 0 && uc_is(utf8_get(s + char_before(s, first), &n), UC_WORD)) ||
	       (end < len && uc_is(utf8_get(s + end, &n), UC_WORD));
}

/* Adds a match with the white space it takes; what lies before it is text. */
static size_t take(const struct added_token *t, int index, const char *s, size_t len, size_t done, size_t first,
		   size_t end, struct added_segments *out)
{
	int n;

	while (t->lstrip && first > done && uc_is(utf8_get(s + char_before(s, first), &n), UC_SPACE))
		first = char_before(s, first);
	while (t->rstrip && end < len && uc_is(utf8_get(s + end, &n), UC_SPACE))
		end += (size_t)n;
	if (first > done)
		added_segment_add(out, done, first, -1);
	added_segment_add(out, first, end, index);
	return end;
}

void added_cut(const struct added_tokens *a, const struct matcher *m, const char *s, size_t len, bool parse_special,
	       struct added_segments *out)
{
	size_t done = 0, n = 0;

	for (size_t i = 0; m->n_nodes && i < len; i += n) {
		int token = matcher_longest(m, s + i, len - i, &n);
		const struct added_token *t = &a->t[token < 0 ? 0 : token];

		if (token < 0)
			n = 1;
		else if ((parse_special || !t->special) && !(t->single_word && inside_word(s, len, i, i + n)))
			done = take(t, token, s, len, done, i, i + n, out);
	}
	if (done < len)
		added_segment_add(out, done, len, -1);
}
