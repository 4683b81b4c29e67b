#include "engine/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "base/utf8.h"

enum { TEXT_MAX = 1 << 30 }; /* bytes of one text */

/* As the reference numbers added tokens: behind the model's words. */
static int free_id(const struct tokenizer *t)
{
	int id = t->n_words;
	size_t len;

	while (vocab_get(&t->vocab, id, &len))
		id++;
	return id;
}

int token_add(struct tokenizer *t, struct added_token *token, const char *file, struct why *why)
{
	int known = vocab_find(&t->vocab, token->content, token->len);
	size_t len;

	if (!token->len)
		return 0; /* the reference passes over empty ones */
	if (known >= 0) {
		token->id = known;
	} else if (token->id < 0 || token->id >= VOCAB_MAX) {
		return fail(why, ERR_FORMAT, "%s: added token %.60s has no id from 0 to %d", file, token->content,
			    VOCAB_MAX - 1);
	} else {
		if (vocab_get(&t->vocab, token->id, &len)) {
			log_at(LOG_WARN,
			       "%s: added token %.60s has the id %d of another word: it gets %d, the next free one",
			       file, token->content, token->id, free_id(t));
			token->id = free_id(t);
		}
		vocab_set(&t->vocab, token->id, token->content, token->len);
	}
	added_put(&t->added, token);
	return 0;
}

/* A token that is looked for in normalized text is normalized itself. */
static int match_token(struct tokenizer *t, int index, struct normalizer_work *work, struct why *why)
{
	const struct added_token *a = &t->added.t[index];
	struct text text = {0};
	int err = 0;

	if (!a->normalized) {
		matcher_put(&t->added.raw, a->content, a->len, index);
		return 0;
	}
	text_add(&text, a->content, a->len, NULL);
	err = normalizers_apply(&t->normalizers, &text, work, why);
	matcher_put(&t->added.normalized, text.s, text.n, index);
	text_finish(&text);
	return err;
}

int added_match(struct tokenizer *t, int n, struct why *why)
{
	struct normalizer_work work = {0};
	int err = 0;

	for (int i = 0; i < t->added.n && !err; i++)
		if (t->added.t[i].id < n)
			err = match_token(t, i, &work, why);
	normalizer_work_finish(&work);
	return err;
}

int tokenizer_ready(struct tokenizer *t, struct why *why)
{
	bpe_ready(&t->bpe);
	t->special = xalloc((size_t)t->vocab.n + 1, 1);
	for (int i = 0; i < t->added.n; i++) {
		t->special[t->added.t[i].id] = t->added.t[i].special;
		bpe_never_whole(&t->bpe, t->added.t[i].id);
	}
	for (int i = 0; t->spm && i < t->spm->n; i++)
		if (t->spm->type[i] != SPM_NORMAL)
			bpe_never_whole(&t->bpe, i);
	return added_match(t, t->vocab.n, why);
}

static int open_any(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why)
{
	int err = hf_open(t, dir, c, why);

	if (err == ERR_UNKNOWN)
		err = spm_open(t, dir, c, why);
	if (err == ERR_UNKNOWN)
		err = gpt2_open(t, dir, c, why);
	if (err == ERR_UNKNOWN)
		return fail(why, ERR_UNKNOWN, "no tokenizer.json, tokenizer.model or vocab.json in %.300s", dir);
	return err ? err : tokenizer_ready(t, why);
}

int tokenizer_open(struct tokenizer **out, const char *dir, struct why *why)
{
	struct tokenizer *t = xalloc(1, sizeof *t);
	struct token_config c;
	int err;

	*out = NULL;
	uc_init();
	t->bos = t->eos = -1;
	err = config_open(&c, dir, &t->fingerprint, why);
	if (!err)
		err = open_any(t, dir, &c, why);
	config_close(&c);
	if (err)
		tokenizer_close(t);
	else
		*out = t;
	return err;
}

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

/* Everything one encode needs besides its input. */
struct encoding {
	const struct tokenizer *t;
	struct text whole, part, normal;
	struct segments raw, inner;
	struct normalizer_work normalizer;
	struct pretokenizer_work pretokenizer;
	struct bpe_work bpe;
	struct ids *out;
	bool parse_special;
};

static void encoding_finish(struct encoding *e)
{
	text_finish(&e->whole);
	text_finish(&e->part);
	text_finish(&e->normal);
	heap_free(e->raw.s);
	heap_free(e->inner.s);
	normalizer_work_finish(&e->normalizer);
	pretokenizer_work_finish(&e->pretokenizer);
	bpe_work_finish(&e->bpe);
}

/* Bytes to valid UTF-8, each with the character it came from. */
static void take_text(struct text *to, const char *s, size_t len)
{
	static const char bad[] = "\xEF\xBF\xBD";

	for (size_t i = 0; i < len;) {
		int n = utf8_check(s + i, len - i, NULL);
		struct span_bytes from = {(uint32_t)i, (uint32_t)(i + (size_t)abs(n))};

		text_add_at(to, n > 0 ? s + i : bad, n > 0 ? (size_t)n : 3, from);
		i += (size_t)abs(n);
	}
}

/* The whole of `from` moves, and costs no copy. */
static void set_part(struct text *to, struct text *from, size_t first, size_t end)
{
	if (first == 0 && end == from->n)
		text_swap(to, from);
	else
		text_set(to, from, first, end);
}

static int check(const struct encoding *e, struct why *why)
{
	if (e->out->over)
		return fail(why, ERR_LIMIT, "the text has more than %d tokens", e->out->most);
	return effort_check(why);
}

static int take_words(void *arg, const struct text *part, const struct pieces *words, struct why *why)
{
	struct encoding *e = arg;

	for (size_t i = 0; i < words->n; i++) {
		const struct piece *p = &words->p[i];

		if (p->end > p->first)
			bpe_encode(&e->t->bpe, &e->bpe, part, p->first, p->end, e->out);
		if (e->out->over || (i % 1024 == 1023 && !effort_goes_on()))
			break;
	}
	return check(e, why);
}

/* A stretch between raw added tokens: normalize, look for the other added tokens, and encode what is left. */
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
		const struct segment *s = &e->inner.s[i];

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
		const struct segment *s = &e->raw.s[i];

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
		return fail(why, ERR_LIMIT, "a text of %zu bytes is longer than the %d that are taken", len, TEXT_MAX);
	out->over = false;
	for (int i = 0; how->add_special && i < t->before.n; i++)
		ids_add(out, t->before.id[i], NULL, 0, 0);
	text_room(&e.whole, len + 1);
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
