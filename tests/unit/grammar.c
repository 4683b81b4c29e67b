/* Constrained output: masks against parsing again from the start, end tokens, counts, full pools. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "engine/grammar/inside.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/unit/grammar.h"

enum { STOP = 0 };
static struct tokenizer *tokens;
static struct grammar_room *room;
static const int32_t stop[] = {STOP};

static void open_small(void)
{
	struct why why;

	if (room)
		return;
	CHECK_EQ(tokenizer_open(&tokens, "tests/fuzz/model", &why), 0);
	room = grammar_room_create(tokens, tokenizer_vocab(tokens), 8);
}

/* ---- masks ---- */

static uint64_t next_random(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return *s >> 33;
}

/* From the start, in a pool of its own: no state, mask or count that a run kept has a part in it. */
static bool parses(struct pool *p, const struct grammar *g, const char *text, size_t len)
{
	int32_t state;

	pool_clear(p);
	state = pool_start(p, g);
	for (size_t i = 0; i < len && state >= 0; i++)
		state = pool_step(p, state, (uint8_t)text[i]);
	CHECK(!p->full);
	return state >= 0;
}

static bool bit(const uint32_t *mask, int32_t id)
{
	return mask[id / 32] >> id % 32 & 1;
}

/* The first token whose bit is not what the bytes say, or -1. */
static int32_t wrong_bit(struct pool *p, const struct grammar *g, const uint32_t *mask, bool ends, char *text,
			 size_t len)
{
	int vocab = tokenizer_vocab(tokens);

	for (int32_t id = 0; id < vocab; id++) {
		size_t n = tokenizer_is_special(tokens, id) ? 0 : tokenizer_token_text(tokens, id, text + len, 64);
		bool want = id == STOP ? ends : n && parses(p, g, text, len + n);
		if (bit(mask, id) != want)
			return id;
	}
	return -1;
}

static void walk_and_compare(struct pool *p, const struct grammar *g, uint64_t seed, int most)
{
	struct grammar_run run = {.room = NULL};
	char text[4096];
	size_t len = 0;

	grammar_run_begin(&run, room, g, stop, 1);
	for (int i = 0; i < most; i++) {
		struct grammar_mask m = grammar_run_mask(&run);
		int32_t id;
		CHECK(m.allow);
		id = wrong_bit(p, g, m.allow, grammar_run_may_end(&run), text, len);
		if (id >= 0)
			CHECK_FAIL("after %zu bytes \"%.*s\" the bit of token %d is wrong", len, (int)len, text, id);
		do
			id = (int32_t)(next_random(&seed) % (uint64_t)tokenizer_vocab(tokens));
		while (!bit(m.allow, id));
		CHECK(grammar_run_accept(&run, id));
		if (id == STOP)
			break;
		len += tokenizer_token_text(tokens, id, text + len, 64);
	}
	grammar_run_end(&run);
}

static const struct {
	enum grammar_kind kind;
	const char *text;
} sources[] = {
	{GRAMMAR_JSON, ""},
	{GRAMMAR_REGEX, "(a|b)*c{2,5}"},
	{GRAMMAR_REGEX, ".{3,40}"},
	{GRAMMAR_REGEX, "(a|.){6}b"},
	{GRAMMAR_REGEX, "(a|[^\"]){4}"},
	{GRAMMAR_REGEX, "x(y|.){3}[\\s\\S]*"},
	{GRAMMAR_REGEX, "^(x|[^\\x00-\\x7f]{1,3})+$"},
	{GRAMMAR_REGEX, "[a-zA-Z]{1,40}( [a-z.-]{2,4}){3}[0-9_]*"},
	{GRAMMAR_REGEX, "([a-z0-9-]{1,9}\\.){1,3}[A-Z]+(é|[a-c])*"},
	{GRAMMAR_REGEX, "[^,;]+(,[^.]*)?"},
	{GRAMMAR_SCHEMA, "{\"type\":\"string\",\"format\":\"email\"}"},
	{GRAMMAR_SCHEMA, "{\"type\":\"string\",\"not\":{\"pattern\":\"[a-c,]\"}}"},
	{GRAMMAR_TAG,
	 "{\"type\":\"sequence\",\"elements\":[{\"type\":\"regex\",\"pattern\":\"^[a-z.]+$\"},{\"type\":\"const_string\",\"value\":\"(,x\"}]}"},
	{GRAMMAR_GBNF, "root ::= \"(\" root? \")\" | [a-f] root | \"\\u00e9\"{2,3}"},
	{GRAMMAR_SCHEMA, "{\"type\":\"string\",\"maxLength\":5}"},
	{GRAMMAR_SCHEMA, "{\"type\":\"string\",\"minLength\":2,\"maxLength\":80}"},
	{GRAMMAR_SCHEMA, "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":40},{\"enum\":[\"\",\"a\\\"b\",7]}]}"},
	{GRAMMAR_SCHEMA, "{\"type\":\"string\",\"pattern\":\"a.\",\"maxLength\":4}"},
	{GRAMMAR_SCHEMA, "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"number\",\"minimum\":-1.5}},"
			 "\"additionalProperties\":{\"type\":\"boolean\"},\"minProperties\":1}"},
	{GRAMMAR_SCHEMA, "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"maxItems\":3}"},
};

TEST(every_bit_of_a_mask)
{
	struct pool p;

	open_small();
	pool_init(&p);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		struct grammar *g = compile(sources[i].kind, sources[i].text);
		for (uint64_t seed = 1; seed <= (check_full ? 50 : 2); seed++)
			walk_and_compare(&p, g, seed, check_full ? 200 : 25);
		grammar_destroy(g);
	}
	pool_finish(&p);
}

/* Of a vocabulary of words: the text is parsed once, each token from there, in a pool without masks. */
static int32_t parse(struct pool *p, const struct grammar *g, const char *text, size_t len)
{
	int32_t at;

	pool_clear(p);
	at = pool_start(p, g);
	for (size_t i = 0; i < len; i++)
		at = pool_step(p, at, (uint8_t)text[i]);
	CHECK(!p->full);
	return at;
}

static bool goes_on(struct pool *p, int32_t from, const char *token, size_t n)
{
	for (size_t i = 0; i < n && from >= 0; i++)
		from = pool_step(p, from, (uint8_t)token[i]);
	return n && from >= 0;
}

static int32_t wrong_word(struct pool *p, const struct grammar *g, const struct grammar_room *words,
			  const struct tokenizer *t, const uint32_t *mask, const char *text, size_t len)
{
	int32_t from = parse(p, g, text, len);

	for (int32_t id = 3; id < words->vocab; id++) {
		char one[256];
		size_t n = tokenizer_is_special(t, id) ? 0 : tokenizer_token_text(t, id, one, sizeof one);
		bool want = goes_on(p, from, one, n);
		if (p->full) {
			from = parse(p, g, text, len);
			want = goes_on(p, from, one, n);
			CHECK(!p->full);
		}
		if (bit(mask, id) != want)
			return id;
	}
	return -1;
}

static void walk_words(struct pool *p, const struct grammar *g, struct grammar_room *words, const struct tokenizer *t,
		       uint64_t seed, int most)
{
	struct grammar_run run = {.room = NULL};
	char text[8192];
	size_t len = 0;

	grammar_run_begin(&run, words, g, (int32_t[]){2}, 1);
	for (int i = 0; i < most; i++) {
		struct grammar_mask m = grammar_run_mask(&run);
		int32_t id = m.allow ? wrong_word(p, g, words, t, m.allow, text, len) : -1;
		if (id >= 0)
			CHECK_FAIL("after \"%.*s\" the bit of token %d is wrong", (int)len, text, id);
		if (!m.allow)
			break;
		do
			id = (int32_t)(next_random(&seed) % (uint64_t)words->vocab);
		while (!bit(m.allow, id));
		if (id < 3 || !grammar_run_accept(&run, id))
			break;
		len += tokenizer_token_text(t, id, text + len, sizeof text - len);
	}
	grammar_run_end(&run);
}

static void compare_words(const char *model)
{
	struct grammar_room *words;
	struct tokenizer *t;
	struct why why = {""};
	struct pool p;

	if (tokenizer_open(&t, model, &why))
		CHECK_FAIL("%s: %s", model, why.text);
	words = grammar_room_create(t, tokenizer_vocab(t), 8);
	pool_init(&p);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		struct grammar *g = compile(sources[i].kind, sources[i].text);
		for (uint64_t seed = 1; seed <= (check_full ? 50 : 3); seed++)
			walk_words(&p, g, words, t, seed, check_full ? 100 : 12);
		grammar_destroy(g);
	}
	pool_finish(&p);
	grammar_room_destroy(words);
	tokenizer_close(t);
}

/* Tokens by chance, as byte-level BPE spells them: pure ones of each class, long ones, parts of characters. */
static void write_words(FILE *f)
{
	static const char *const parts[] = {"a",      "b",      "c",
					    "x",      "A",      "B",
					    "\u0120", "-",      ".",
					    ",",      "0",      "7",
					    "_",      "(",      "{",
					    ":",      "@",      "\\\"",
					    "\\\\",   "\u010a", "\u00c3\u00a9",
					    "\u00c3", "\u00a9", "\u00e2\u0122\u00a8"};
	enum { PARTS = sizeof parts / sizeof *parts, WORDS = 1500 };
	uint64_t seed = 7;

	fputs("{\"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {\"<unk>\": 0, \"<s>\": 1, \"</s>\": 2", f);
	for (int i = 0; i < PARTS; i++)
		fprintf(f, ", \"%s\": %d", parts[i], 3 + i);
	for (int i = 0; i < WORDS; i++) {
		int few = 1 + (int)(next_random(&seed) % 5), from = (int)(next_random(&seed) % PARTS),
		    n = 2 + (int)(next_random(&seed) % (i % 4 ? 5 : 45));
		fputs(", \"", f);
		for (int k = 0; k < n; k++)
			fputs(parts[(from + (int)(next_random(&seed) % (uint64_t)few)) % PARTS], f);
		fprintf(f, "\": %d", 3 + PARTS + i);
	}
	fputs("}}, \"normalizer\": null, \"post_processor\": null, \"added_tokens\": [", f);
	for (int i = 0; i < 3; i++)
		fprintf(f,
			"%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"single_word\": false, \"lstrip\": false, "
			"\"rstrip\": false, \"normalized\": false}",
			i ? ", " : "", i, (const char *[]){"<unk>", "<s>", "</s>"}[i]);
	fputs("]", f);
	for (int i = 0; i < 2; i++)
		fprintf(f,
			", \"%s\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}",
			i ? "decoder" : "pre_tokenizer");
	fputs("}", f);
}

TEST(every_bit_of_a_mask_of_words)
{
	char folder[] = "/tmp/xv-grammar-XXXXXX", path[64];
	FILE *f;

	CHECK(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/tokenizer.json", folder);
	f = fopen(path, "w");
	CHECK(f);
	write_words(f);
	CHECK_EQ(fclose(f), 0);
	compare_words(folder);
	unlink(path);
	rmdir(folder);
	compare_words("launch/demo/model");
}

TEST(a_wrong_bit_is_found)
{
	struct grammar *g = compile(GRAMMAR_REGEX, "[ab]+");
	struct grammar_run run = {.room = NULL};
	struct pool p;
	char text[128];
	uint32_t wrong[64];
	struct grammar_mask m;

	open_small();
	pool_init(&p);
	grammar_run_begin(&run, room, g, stop, 1);
	m = grammar_run_mask(&run);
	memcpy(wrong, m.allow, (size_t)room->words * sizeof *wrong);
	CHECK_EQ(wrong_bit(&p, g, wrong, false, text, 0), -1);
	wrong[3] ^= 1u << 7;
	CHECK_EQ(wrong_bit(&p, g, wrong, false, text, 0), 3 * 32 + 7);
	grammar_run_end(&run);
	grammar_destroy(g);
	pool_finish(&p);
}

/* ---- runs ---- */

static int32_t token(const char *text)
{
	int32_t id = tokenizer_find(tokens, text, strlen(text));

	CHECK(id >= 0);
	return id;
}

TEST(end_tokens_only_at_the_end)
{
	struct grammar *g = compile(GRAMMAR_REGEX, "ab?");
	struct grammar_run run = {.room = NULL};

	open_small();
	grammar_run_begin(&run, room, g, stop, 1);
	CHECK(!bit(grammar_run_mask(&run).allow, STOP) && !grammar_run_may_end(&run));
	CHECK_EQ(grammar_run_mask(&run).only, token("a"));
	CHECK(grammar_run_accept(&run, token("a")));
	CHECK(bit(grammar_run_mask(&run).allow, STOP) && grammar_run_may_end(&run) && !grammar_run_must_end(&run));
	CHECK(grammar_run_accept(&run, token("b")));
	CHECK(grammar_run_must_end(&run));
	CHECK_EQ(grammar_run_mask(&run).only, STOP);
	CHECK(grammar_run_accept(&run, STOP));
	CHECK(!grammar_run_accept(&run, token("a")) && run.lost);
	grammar_run_end(&run);
	grammar_destroy(g);
}

/* An end token that is a character of the text, too, ends it and is allowed nowhere else. */
TEST(an_end_token_that_is_text)
{
	struct grammar *g = compile(GRAMMAR_REGEX, "[ab]{2}");
	struct grammar_run run = {.room = NULL};

	open_small();
	const int32_t ends[] = {token("b")};
	grammar_run_begin(&run, room, g, ends, 1);
	CHECK_EQ(grammar_run_mask(&run).only, token("a"));
	CHECK(!grammar_run_accept(&run, token("b")));
	grammar_run_end(&run);
	grammar_destroy(g);
}

/* More states than a pool holds: runs move to the other one and go on. */
TEST(a_full_pool_is_left)
{
	struct grammar *g = compile(GRAMMAR_REGEX, "(a|b[ab]{1,20000}c)*");
	struct grammar_run run = {.room = NULL}, other = {.room = NULL};
	int before;

	open_small();
	before = room->active;
	grammar_run_begin(&other, room, g, stop, 1);
	CHECK(grammar_run_accept(&other, token("a")));
	grammar_run_begin(&run, room, g, stop, 1);
	for (int i = 0; i < 12000; i++)
		CHECK(grammar_run_accept(&run, token("b")));
	CHECK(room->active != before);
	CHECK(!grammar_run_may_end(&run) && grammar_run_may_end(&other));
	CHECK(bit(grammar_run_mask(&run).allow, token("c")));
	CHECK(grammar_run_accept(&run, token("c")) && grammar_run_may_end(&run));
	grammar_run_end(&run);
	CHECK(grammar_run_accept(&other, token("a")) && grammar_run_may_end(&other));
	grammar_run_end(&other);
	grammar_destroy(g);
}

/* Deeper than a stack may be: only what closes is allowed. */
TEST(depth_has_an_end)
{
	struct grammar *g = compile(GRAMMAR_GBNF, "root ::= \"(\" root \")\" | \"x\"");
	struct grammar_run run = {.room = NULL};
	int n = 0;

	open_small();
	grammar_run_begin(&run, room, g, stop, 1);
	for (; bit(grammar_run_mask(&run).allow, token("(")) && n < 1000; n++)
		CHECK(grammar_run_accept(&run, token("(")));
	CHECK(n > 100 && n < 300);
	CHECK_EQ(grammar_run_mask(&run).only, token("x"));
	grammar_run_end(&run);
	grammar_destroy(g);
}

/* Also where the end is the last state of an automaton. */
static void check_ends_behind(enum grammar_kind kind, const char *source, const char *text)
{
	struct grammar *g = compile(kind, source);
	struct grammar_run run = {.room = NULL};

	grammar_run_begin(&run, room, g, NULL, 0);
	for (const char *s = text; *s; s++) {
		char one[2] = {*s, 0};
		CHECK(grammar_run_mask(&run).allow && !grammar_run_must_end(&run));
		CHECK(grammar_run_accept(&run, token(one)));
	}
	CHECK(grammar_run_may_end(&run) && grammar_run_must_end(&run));
	grammar_run_end(&run);
	grammar_destroy(g);
}

TEST(the_end_is_seen)
{
	open_small();
	check_ends_behind(GRAMMAR_REGEX, "ab", "ab");
	check_ends_behind(GRAMMAR_REGEX, "^ab$", "ab");
	check_ends_behind(GRAMMAR_SCHEMA, "{\"enum\":[7]}", "7");
	check_ends_behind(GRAMMAR_SCHEMA, "{\"enum\":[7,78]}", "78");
	check_ends_behind(GRAMMAR_SCHEMA, "{\"type\":\"string\",\"pattern\":\"^a{2}$\"}", "\"aa\"");
}

CHECK_MAIN()
