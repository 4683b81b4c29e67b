#include "engine/tokenizer/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/json.h"
#include "engine/tokenizer/pretokenizer.h"
#include "base/utf8.h"

/* The state that a stage keeps of its stream. */
struct stage_state {
	bool begun;           /* it has received something */
	struct tok_text held; /* BYTES: the run so far; STRIP after Fuse: a possible end */
	int stripped;
	struct utf8_stream utf8;
};
struct decoding {
	const struct decoder *decoder;
	struct tok_pieces cut;
	struct stage_state state[];
};

static const char replacement[] = "\xEF\xBF\xBD";

void decoder_finish(struct decoder *d)
{
	for (int i = 0; i < d->n; i++) {
		pattern_finish(&d->stage[i].pattern);
		free(d->stage[i].content);
	}
	free(d->stage);
	*d = (struct decoder){0};
}

static struct stage *add_stage(struct decoder *d, enum stage_kind kind)
{
	d->stage = xgrow(d->stage, (size_t)d->n + 1, sizeof *d->stage);
	d->stage[d->n] = (struct stage){.kind = kind};
	return &d->stage[d->n++];
}

void decoder_letters(struct decoder *d)
{
	add_stage(d, STAGE_LETTERS);
}

static int parse_content(struct stage *s, const struct json *json, const char *key, const char *file, struct why *why)
{
	const struct json *v = json_get(json, key);

	if (!json_is(v, JSON_IS_TEXT))
		return fail(why, ERR_FORMAT, "%s: a decoder without \"%s\"", file, key);
	s->content = json_copy_text(v, &s->len);
	return 0;
}

static int parse_strip(struct stage *s, const struct json *json, const char *file, struct why *why)
{
	int64_t start = json_int_or(json_get(json, "start"), 0);
	int64_t stop = json_int_or(json_get(json, "stop"), 0);

	if (start < 0 || stop < 0 || start > 1000 || stop > 1000)
		return fail(why, ERR_FORMAT, "%s: decoder Strip: start and stop must be between 0 and 1000", file);
	s->start = (int)start;
	s->stop = (int)stop;
	return parse_content(s, json, "content", file, why);
}

static int parse_metaspace(struct stage *s, const struct json *json, const char *file, struct why *why)
{
	const char *mark = json_word(json, "replacement"), *scheme = json_word(json, "prepend_scheme");

	if (!mark)
		mark = json_word(json, "str_rep");
	if (!mark || !*mark)
		return fail(why, ERR_FORMAT, "%s: decoder Metaspace without replacement", file);
	s->pattern = (struct pattern){.kind = PATTERN_STRING, .string = xstrdup(mark), .len = strlen(mark)};
	s->keep_first = scheme ? strcmp(scheme, "never") == 0 : !json_flag(json, "add_prefix_space", true);
	return 0;
}

static int parse(struct decoder *d, const struct json *json, const char *file, int depth, struct why *why);

static int parse_sequence(struct decoder *d, const struct json *json, const char *file, int depth, struct why *why)
{
	const struct json *item;
	size_t i;
	int err = 0;

	for (i = 0; (item = json_at(json_get(json, "decoders"), i)); i++)
		if (!err)
			err = parse(d, item, file, depth + 1, why);
	return err;
}

static int parse_stage(struct decoder *d, const struct json *json, const char *type, bool fused, const char *file,
		       struct why *why)
{
	struct stage *s;
	int err;

	if (strcmp(type, "Strip") == 0) {
		s = add_stage(d, STAGE_STRIP);
		s->fused = fused;
		return parse_strip(s, json, file, why);
	}
	if (fused)
		return fail(why, ERR_UNSUPPORTED, "%s: decoder %.60s after Fuse is not supported", file, type);
	if (strcmp(type, "Replace") == 0) {
		s = add_stage(d, STAGE_REPLACE);
		err = pattern_parse(&s->pattern, json_get(json, "pattern"), file, why);
		return err ? err : parse_content(s, json, "content", file, why);
	}
	if (strcmp(type, "Metaspace") == 0)
		return parse_metaspace(add_stage(d, STAGE_METASPACE), json, file, why);
	if (strcmp(type, "ByteFallback") == 0)
		return add_stage(d, STAGE_BYTES), 0;
	if (strcmp(type, "Fuse") == 0)
		return add_stage(d, STAGE_FUSE), 0;
	if (strcmp(type, "ByteLevel") == 0)
		return add_stage(d, STAGE_LETTERS), 0;
	return fail(why, ERR_UNSUPPORTED, "%s: decoder %.60s is not supported", file, type);
}

static int parse(struct decoder *d, const struct json *json, const char *file, int depth, struct why *why)
{
	const char *type = json_word(json, "type");
	bool fused = false;

	if (!type)
		return fail(why, ERR_FORMAT, "%s: a decoder without a type", file);
	if (depth > 16)
		return fail(why, ERR_LIMIT, "%s: decoders nested more than 16 deep", file);
	if (strcmp(type, "Sequence") == 0)
		return parse_sequence(d, json, file, depth, why);
	for (int i = 0; i < d->n; i++)
		fused |= d->stage[i].kind == STAGE_FUSE || d->stage[i].kind == STAGE_LETTERS;
	return parse_stage(d, json, type, fused, file, why);
}

int decoder_parse(struct decoder *d, const struct json *json, const char *file, struct why *why)
{
	*d = (struct decoder){0};
	if (json && !json_is(json, JSON_IS_NULL))
		return parse(d, json, file, 0, why);
	add_stage(d, STAGE_SPACES);
	return 0;
}

int byte_token(const char *s, size_t len)
{
	char *end;
	long b;

	if (len != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || s[3] == '+' || s[3] == '-' || s[3] == ' ')
		return -1;
	b = strtol(s + 3, &end, 16);
	return end == s + 5 ? (int)b : -1;
}

void utf8_stream_push(struct utf8_stream *u, const char *s, size_t len, struct tok_text *out)
{
	char buf[8];

	for (size_t i = 0; i < len;) {
		size_t have = (size_t)u->n, more = len - i < 4 ? len - i : 4;
		int ends, n;

		memcpy(buf, u->held, have);
		memcpy(buf + have, s + i, more);
		n = utf8_check(buf, have + more, &ends);
		if (n < 0 && ends) {
			memcpy(u->held, buf, have + more);
			u->n = (int)(have + more);
			return;
		}
		if (n > 0)
			tok_text_add_at(out, buf, (size_t)n, (struct span_bytes){0, 0});
		else
			tok_text_add_at(out, replacement, 3, (struct span_bytes){0, 0});
		/* An ill-formed part is shorter than the held one only if the byte that ended it came. */
		i += (size_t)abs(n) - have;
		u->n = 0;
	}
}

void utf8_stream_flush(struct utf8_stream *u, struct tok_text *out)
{
	if (u->n)
		tok_text_add_at(out, replacement, 3, (struct span_bytes){0, 0});
	u->n = 0;
}

static void push(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out);

static void push_replace(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	const struct stage *stage = &d->decoder->stage[at];
	struct tok_text t = {0};
	struct why why;

	if (pattern_cut(&stage->pattern, s, len, &d->cut, &why))
		d->cut.n = 0, tok_text_add(&t, s, len, NULL);
	for (size_t i = 0; i < d->cut.n; i++) {
		const struct tok_piece *p = &d->cut.p[i];

		if (p->match)
			tok_text_add(&t, stage->content, stage->len, NULL);
		else
			tok_text_add(&t, s + p->first, p->end - p->first, NULL);
	}
	push(d, at + 1, t.s, t.n, out);
	tok_text_finish(&t);
}

/* A run of byte tokens is one text if it is valid UTF-8, else one U+FFFD for each byte. */
static void flush_bytes(struct decoding *d, int at, struct tok_text *out)
{
	struct tok_text *run = &d->state[at].held;
	bool valid = true;

	for (size_t i = 0; i < run->n && valid;) {
		int n = utf8_check(run->s + i, run->n - i, NULL);

		valid = n > 0;
		i += (size_t)abs(n);
	}
	if (run->n && valid)
		push(d, at + 1, run->s, run->n, out);
	for (size_t i = 0; i < run->n && !valid; i++)
		push(d, at + 1, replacement, 3, out);
	tok_text_clear(run);
}

static void push_bytes(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	int b = byte_token(s, len);
	char byte = (char)b;

	if (b >= 0) {
		tok_text_add(&d->state[at].held, &byte, 1, NULL);
		return;
	}
	flush_bytes(d, at, out);
	push(d, at + 1, s, len, out);
}

/* Strips one string: the content's character, at most `start` times on the left and `stop` times on the right. */
static void strip_one(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	const struct stage *stage = &d->decoder->stage[at];
	size_t n = stage->len;

	for (int i = 0; n && i < stage->start && len >= n && memcmp(s, stage->content, n) == 0; i++)
		s += n, len -= n;
	for (int i = 0; n && i < stage->stop && len >= n && memcmp(s + len - n, stage->content, n) == 0; i++)
		len -= n;
	push(d, at + 1, s, len, out);
}

/* Strips the whole text as it arrives: marks at its end wait until something follows. */
static void strip_stream(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	const struct stage *stage = &d->decoder->stage[at];
	struct stage_state *state = &d->state[at];
	size_t n = stage->len, keep = 0, whole;

	while (n && !state->begun && state->stripped < stage->start && len >= n && memcmp(s, stage->content, n) == 0) {
		s += n, len -= n;
		state->stripped++;
	}
	state->begun |= len > 0 || state->stripped == stage->start;
	tok_text_add(&state->held, s, len, NULL);
	whole = state->held.n;
	while (n && keep < (size_t)stage->stop && whole - keep * n >= n &&
	       memcmp(state->held.s + whole - (keep + 1) * n, stage->content, n) == 0)
		keep++;
	whole -= keep * n;
	if (!whole)
		return;
	push(d, at + 1, state->held.s, whole, out);
	memmove(state->held.s, state->held.s + whole, keep * n);
	state->held.n = keep * n;
}

static void push_metaspace(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	const struct stage *stage = &d->decoder->stage[at];
	struct tok_text t = {0};
	bool first = !d->state[at].begun;
	const char *end = s + len, *m;

	d->state[at].begun = true;
	for (; (m = memmem(s, (size_t)(end - s), stage->pattern.string, stage->pattern.len));
	     s = m + stage->pattern.len) {
		tok_text_add(&t, s, (size_t)(m - s), NULL);
		if (!first || stage->keep_first)
			tok_text_add(&t, " ", 1, NULL);
	}
	tok_text_add(&t, s, (size_t)(end - s), NULL);
	push(d, at + 1, t.s, t.n, out);
	tok_text_finish(&t);
}

/* Maps letters to bytes; a token with a character that is no letter stands for itself. */
static void push_letters(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	struct tok_text bytes = {0}, t = {0};
	int n, b = 0;

	for (size_t i = 0; i < len && b >= 0; i += (size_t)n) {
		char byte;

		b = letter_byte(utf8_get(s + i, &n));
		byte = (char)b;
		if (b >= 0)
			tok_text_add(&bytes, &byte, 1, NULL);
	}
	if (b < 0)
		utf8_stream_push(&d->state[at].utf8, s, len, &t);
	else
		utf8_stream_push(&d->state[at].utf8, bytes.s, bytes.n, &t);
	push(d, at + 1, t.s, t.n, out);
	tok_text_finish(&bytes);
	tok_text_finish(&t);
}

static void push(struct decoding *d, int at, const char *s, size_t len, struct tok_text *out)
{
	const struct stage *stage;

	if (!len)
		s = ""; /* an empty text may have no buffer */
	if (at == d->decoder->n) {
		tok_text_add(out, s, len, NULL);
		return;
	}
	stage = &d->decoder->stage[at];
	switch (stage->kind) {
	case STAGE_REPLACE:
		push_replace(d, at, s, len, out);
		break;
	case STAGE_BYTES:
		push_bytes(d, at, s, len, out);
		break;
	case STAGE_METASPACE:
		push_metaspace(d, at, s, len, out);
		break;
	case STAGE_LETTERS:
		push_letters(d, at, s, len, out);
		break;
	case STAGE_STRIP:
		(stage->fused ? strip_stream : strip_one)(d, at, s, len, out);
		break;
	case STAGE_SPACES:
		if (d->state[at].begun)
			push(d, at + 1, " ", 1, out);
		d->state[at].begun = true; /* fallthrough */
	default:
		push(d, at + 1, s, len, out);
	}
}

struct decoding *decoding_start(const struct decoder *decoder)
{
	struct decoding *d = xalloc(1, sizeof *d + (size_t)decoder->n * sizeof *d->state);

	d->decoder = decoder;
	return d;
}

void decoding_end(struct decoding *d)
{
	for (int i = 0; i < d->decoder->n; i++)
		tok_text_finish(&d->state[i].held);
	free(d->cut.p);
	free(d);
}

void decoding_peek(const struct decoding *d, struct tok_text *out)
{
	struct decoding *copy = decoding_start(d->decoder);

	for (int i = 0; i < d->decoder->n; i++) {
		copy->state[i] = d->state[i];
		copy->state[i].held = (struct tok_text){0};
		tok_text_add(&copy->state[i].held, d->state[i].held.s, d->state[i].held.n, NULL);
	}
	decoding_flush(copy, out);
	decoding_end(copy);
}

void decoding_push(struct decoding *d, const char *s, size_t len, struct tok_text *out)
{
	push(d, 0, s, len, out);
}

void decoding_flush(struct decoding *d, struct tok_text *out)
{
	for (int i = 0; i < d->decoder->n; i++) {
		struct tok_text t = {0};

		if (d->decoder->stage[i].kind == STAGE_BYTES)
			flush_bytes(d, i, out);
		utf8_stream_flush(&d->state[i].utf8, &t);
		if (t.n)
			push(d, i + 1, t.s, t.n, out);
		tok_text_finish(&t);
	}
}
