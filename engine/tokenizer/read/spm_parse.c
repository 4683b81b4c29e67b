/* spm_parse.c - parses a SentencePiece model file: a protobuf message (sentencepiece_model.proto, proto2: absent fields
 * have defaults). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "base/utf8.h"

struct field {
	uint32_t number;
	int wire; /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
	uint64_t value;
	const char *bytes;
	size_t len;
};
struct spm_reader {
	const char *at, *end;
	bool bad;
};

static uint64_t read_varint(struct spm_reader *r)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		unsigned char b = (unsigned char)*r->at++;

		v |= (uint64_t)(b & 127) << shift;
		if (b < 128)
			return v;
	}
	r->bad = true;
	return 0;
}

static const char *read_bytes(struct spm_reader *r, uint64_t len)
{
	const char *s = r->at;

	if (len > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return NULL;
	}
	r->at += len;
	return s;
}

/* Reads the next field; returns false at the end or at a malformed field. */
static bool next_field(struct spm_reader *r, struct field *f)
{
	uint64_t key;

	if (r->bad || r->at == r->end)
		return false;
	key = read_varint(r);
	*f = (struct field){.number = (uint32_t)(key >> 3), .wire = (int)(key & 7)};
	switch (f->wire) {
	case 0:
		f->value = read_varint(r);
		break;
	case 1:
		f->bytes = read_bytes(r, f->len = 8);
		break;
	case 2:
		f->len = (size_t)read_varint(r), f->bytes = r->bad ? NULL : read_bytes(r, f->len);
		break;
	case 5:
		f->bytes = read_bytes(r, f->len = 4);
		break;
	default:
		r->bad = true;
	}
	return !r->bad;
}

static float as_float(const struct field *f)
{
	float v = NAN;

	if (f->wire == 5)
		memcpy(&v, f->bytes, 4);
	return v;
}

struct piece_fields {
	const char *s;
	size_t len;
	float score;
	int type;
};

static bool parse_piece(const struct field *from, struct piece_fields *p)
{
	struct spm_reader r = {from->bytes, from->bytes + from->len, false};
	struct field f;

	*p = (struct piece_fields){.s = "", .type = SPM_NORMAL};
	while (next_field(&r, &f)) {
		if (f.number == 1 && f.wire == 2)
			p->s = f.bytes, p->len = f.len;
		else if (f.number == 2)
			p->score = as_float(&f);
		else if (f.number == 3 && f.wire == 0)
			p->type = (int)f.value;
	}
	return !r.bad && !isnan(p->score) && p->type >= SPM_NORMAL && p->type <= SPM_BYTE;
}

static bool valid_utf8(const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		int n = utf8_check(s + i, len - i, NULL);

		if (n < 0)
			return false;
		i += (size_t)n;
	}
	return true;
}

static int add_piece(struct tokenizer *t, const struct field *f, const char *file, struct why *why)
{
	struct spm *s = t->spm;
	struct piece_fields p;

	if (f->wire != 2 || !parse_piece(f, &p) || !p.len || !valid_utf8(p.s, p.len))
		return fail(why, ERR_FORMAT, "%s: piece %d is malformed", file, s->n);
	if (s->n == VOCAB_MAX)
		return fail(why, ERR_LIMIT, "%s: more than %d pieces", file, VOCAB_MAX);
	if (vocab_find(&t->vocab, p.s, p.len) >= 0)
		return fail(why, ERR_FORMAT, "%s: piece %d is a duplicate", file, s->n);
	if ((s->n & (s->n - 1)) == 0) {
		s->type = xgrow(s->type, (size_t)s->n * 2 + 1, sizeof *s->type);
		s->score = xgrow(s->score, (size_t)s->n * 2 + 1, sizeof *s->score);
	}
	s->type[s->n] = (uint8_t)p.type;
	s->score[s->n] = p.score;
	vocab_set(&t->vocab, s->n++, p.s, p.len);
	return 0;
}

static int parse_trainer(struct tokenizer *t, const struct field *from, const char *file, struct why *why)
{
	static const char *const kinds[] = {"", "Unigram", "BPE", "Word", "Char"};
	struct spm_reader r = {from->bytes, from->bytes + from->len, false};
	struct spm *s = t->spm;
	uint64_t kind = 1;
	struct field f;

	while (next_field(&r, &f)) {
		switch (f.number) {
		case 3:
			kind = f.value;
			break;
		case 24:
			if (f.value)
				return fail(why, ERR_UNSUPPORTED, "%s: treat_whitespace_as_suffix is not supported",
					    file);
			break;
		case 35:
			t->bpe.byte_fallback = f.value != 0;
			break;
		case 40:
			s->unk = (int)f.value;
			break;
		case 41:
			s->bos = (int)f.value;
			break;
		case 42:
			s->eos = (int)f.value;
			break;
		case 43:
			s->pad = (int)f.value;
			break;
		case 44:
			if (f.wire != 2)
				return fail(why, ERR_FORMAT, "%s: the trainer's settings are malformed", file);
			free(s->unk_surface);
			s->unk_surface = xalloc(f.len + 1, 1);
			memcpy(s->unk_surface, f.bytes, f.len);
			s->unk_len = f.len;
			break;
		}
	}
	if (r.bad)
		return fail(why, ERR_FORMAT, "%s: the trainer's settings are malformed", file);
	if (kind != 2)
		return fail(why, ERR_UNSUPPORTED, "%s: a model of type %s is not supported (BPE is)", file,
			    kind < 5 ? kinds[kind] : "unknown");
	return 0;
}

static int parse_normalizer(struct spm *s, const struct field *from, const char *file, struct why *why)
{
	struct spm_reader r = {from->bytes, from->bytes + from->len, false};
	struct field f;

	while (next_field(&r, &f)) {
		if (f.number == 2 && f.len)
			return fail(why, ERR_UNSUPPORTED, "%s: a precompiled normalization map is not supported", file);
		if (f.number == 3)
			s->dummy_prefix = f.value != 0;
		else if (f.number == 4)
			s->remove_extra = f.value != 0;
		else if (f.number == 5)
			s->escape = f.value != 0;
	}
	return r.bad ? fail(why, ERR_FORMAT, "%s: the normalizer's settings are malformed", file) : 0;
}

bool spm_removes_spaces(const char *bytes, size_t len)
{
	struct spm_reader r = {bytes, bytes + len, false}, part;
	struct field f, inner;
	uint64_t kind = 1;
	bool removes = true;

	while (next_field(&r, &f)) {
		part = (struct spm_reader){f.bytes, f.bytes + f.len, false};
		while ((f.number == 2 || f.number == 3) && f.wire == 2 && next_field(&part, &inner)) {
			if (f.number == 2 && inner.number == 3)
				kind = inner.value;
			else if (f.number == 3 && inner.number == 4)
				removes = inner.value != 0;
		}
	}
	return !r.bad && kind == 2 && removes;
}

int spm_parse(struct tokenizer *t, const char *bytes, size_t len, const char *file, struct why *why)
{
	static const struct field none = {.bytes = "", .wire = 2};
	struct spm_reader r = {bytes, bytes + len, false};
	struct field f, trainer = none, normalizer = none;
	struct spm *s = t->spm = xalloc(1, sizeof *s);
	int err = 0;

	*s = (struct spm){
		.dummy_prefix = true, .remove_extra = true, .escape = true, .unk = 0, .bos = 1, .eos = 2, .pad = -1};
	s->unk_surface = xstrdup(" \xE2\x81\x87 ");
	s->unk_len = strlen(s->unk_surface);
	while (!err && next_field(&r, &f)) {
		if (f.number == 1)
			err = add_piece(t, &f, file, why);
		else if (f.number == 2 && f.wire == 2)
			trainer = f;
		else if (f.number == 3 && f.wire == 2)
			normalizer = f;
	}
	if (!err && (r.bad || !s->n))
		err = fail(why, ERR_FORMAT, "%s: not a SentencePiece model (damaged after %d pieces)", file, s->n);
	if (!err)
		err = parse_trainer(t, &trainer, file, why);
	if (!err)
		err = parse_normalizer(s, &normalizer, file, why);
	if (!err && (s->unk < 0 || s->unk >= s->n || s->type[s->unk] != SPM_UNKNOWN))
		err = fail(why, ERR_FORMAT, "%s: unk_id %d is not a piece of type UNKNOWN", file, s->unk);
	if (!err && (s->bos >= s->n || s->eos >= s->n))
		err = fail(why, ERR_FORMAT, "%s: bos_id %d or eos_id %d is not a piece", file, s->bos, s->eos);
	return err;
}

void spm_close(struct spm *s)
{
	if (!s)
		return;
	free(s->type);
	free(s->score);
	free(s->unk_surface);
	matcher_finish(&s->user);
	free(s);
}
