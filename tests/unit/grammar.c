/* Constrained output: compilers, masks against parsing again from the start, end tokens, counts, full pools, refusals.
 */
#include "tests/check.h"

#include "base/base.h"
#include "engine/grammar/inside.h"
#include "engine/tokenizer/tokenizer.h"

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

static struct grammar *compile(enum grammar_kind kind, const char *text)
{
	struct grammar_source src = {.kind = kind, .text = {text, strlen(text)}, .compact = true};
	struct grammar *g = NULL;
	struct why why = {""};

	if (grammar_compile(&g, &src, &why))
		CHECK_FAIL("%s: %s", text, why.text);
	return g;
}

static bool matches(const struct grammar *g, const char *text)
{
	return grammar_matches(g, text, strlen(text));
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

/* ---- languages ---- */

static void check_matches(enum grammar_kind kind, const char *source, const char *good, const char *bad)
{
	struct grammar *g = compile(kind, source);

	for (int side = 0; side < 2; side++)
		for (const char *s = side ? bad : good; *s; s += strlen(s) + 1)
			if (matches(g, s) == side)
				CHECK_FAIL("%s: \"%s\" is %s", source, s, side ? "taken" : "refused");
	grammar_destroy(g);
}

TEST(regular_expressions)
{
	check_matches(GRAMMAR_REGEX, "a|bc?", "a\0b\0bc\0", "c\0ab\0");
	check_matches(GRAMMAR_REGEX, "\\d{2}-\\w+", "12-a_9\0",
		      "1-a\0"
		      "12-\0");
	check_matches(GRAMMAR_REGEX, "[^a-c]", "d\0\xc3\xa9\0", "a\0");
	check_matches(GRAMMAR_REGEX, "(?:x{1,2}y)*?z", "z\0xyz\0xxyxyz\0", "xxxyz\0");
	check_matches(GRAMMAR_REGEX, "^a$|^b", "a\0b\0", "ab\0");
	check_matches(GRAMMAR_REGEX, "\\u00e9\\x41\\p{L}",
		      "\xc3\xa9"
		      "A\xe6\x96\x87\0",
		      "\xc3\xa9"
		      "A1\0");
	check_matches(GRAMMAR_REGEX, "a{,3}", "a{,3}\0", "aaa\0");
}

TEST(grammars)
{
	check_matches(GRAMMAR_GBNF, "root ::= a (\"x\" |\n \"y\")+ # end\na ::= [0-9]{2}",
		      "12x\0"
		      "34xy\0",
		      "1x\0"
		      "12\0");
	check_matches(GRAMMAR_GBNF, "root ::= .*", "\0\xf0\x9f\x98\x80\n\0", "\xff\0");
}

/* More values than readings of an answer that there may be at a time: they share what they have in common. */
TEST(long_lists)
{
	static char text[100000];
	char *at = text + sprintf(text, "{\"pattern\":\"^x\",\"enum\":[\"y\"");

	for (int i = 0; i < 5000; i++)
		at += sprintf(at, ",\"x%d\"", i);
	sprintf(at, "]}");
	check_matches(GRAMMAR_SCHEMA, text, "\"x0\"\0\"x4999\"\0", "\"y\"\0\"x5000\"\0\"x\"\0");
}

static void check_refused(enum grammar_kind kind, const char *source, int err, const char *part)
{
	struct grammar_source src = {.kind = kind, .text = {source, strlen(source)}};
	struct grammar *g = NULL;
	struct why why = {""};

	CHECK_EQ(grammar_compile(&g, &src, &why), err);
	CHECK_HAS(why.text, part);
}

TEST(refusals_name_what_and_where)
{
	check_refused(GRAMMAR_REGEX, "a(b", ERR_INVALID, "regex: at byte 1");
	check_refused(GRAMMAR_REGEX, "(?=a)", ERR_UNSUPPORTED, "look-around");
	check_refused(GRAMMAR_REGEX, "a\\1", ERR_UNSUPPORTED, "\\1");
	check_refused(GRAMMAR_REGEX, "[b-a]", ERR_INVALID, "no range");
	check_refused(GRAMMAR_REGEX, "*", ERR_INVALID, "nothing to repeat");
	check_refused(GRAMMAR_REGEX, "((.{0,5}a)|(.{0,7}b)){40}", ERR_LIMIT, "regex: it is too ambiguous");
	check_refused(GRAMMAR_REGEX, "(.{0,100}){100}", ERR_LIMIT, "too ambiguous");
	check_refused(GRAMMAR_GBNF, "root ::= x", ERR_INVALID, "there is no rule \"x\"");
	check_refused(GRAMMAR_GBNF, "a ::= \"x\"", ERR_INVALID, "no rule \"root\"");
	check_refused(GRAMMAR_GBNF, "root ::= a\na ::= b? root \"x\"\nb ::= \"b\"", ERR_UNSUPPORTED, "left recursion");
	check_refused(GRAMMAR_GBNF, "root ::= root2\nroot2 ::= \"a\" root2", ERR_INVALID, "nothing satisfies it");
	check_refused(GRAMMAR_SCHEMA, "{\"properties\":{\"a\":{\"not\":{}}}}", ERR_UNSUPPORTED, "#/properties/a: not");
	check_refused(GRAMMAR_SCHEMA, "{\"items\":{\"minLength\":-1}}", ERR_INVALID, "#/items: minLength");
	check_refused(GRAMMAR_SCHEMA, "{\"typ\":\"string\"}", ERR_UNSUPPORTED, "typ: an unknown keyword");
	check_refused(GRAMMAR_SCHEMA, "{\"$ref\":\"#/a\"}", ERR_INVALID, "$ref: it names nothing");
	check_refused(GRAMMAR_SCHEMA, "{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"integer\"}]}", ERR_UNSUPPORTED,
		      "oneOf");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"string\",\"format\":\"x\"}", ERR_UNSUPPORTED, "format: \"x\"");
	check_refused(GRAMMAR_SCHEMA, "{", ERR_INVALID, "json_schema");
	check_refused(GRAMMAR_GBNF, "root ::= \xc3\xa9", ERR_INVALID, "\"\xc3\xa9\" is not part of a rule");
	check_refused(GRAMMAR_SCHEMA, "{\"oneOf\":[{\"$ref\":5},{\"type\":\"null\"}]}", ERR_INVALID,
		      "$ref: must be a text");
	check_refused(GRAMMAR_SCHEMA, "{\"$ref\":\"#\\u0000\"}", ERR_INVALID, "$ref: holds U+0000");
	check_refused(GRAMMAR_SCHEMA, "{\"type\\u0000x\":\"null\"}", ERR_UNSUPPORTED, "an unknown keyword");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"null\\u0000\"}", ERR_INVALID, "type: must name types");
	check_refused(GRAMMAR_SCHEMA, "{\"format\":\"date\\u0000\"}", ERR_UNSUPPORTED, "format");
	check_refused(GRAMMAR_SCHEMA, "{\"multipleOf\":0}", ERR_INVALID, "#: multipleOf: must be above 0");
	check_refused(GRAMMAR_SCHEMA, "{\"items\":{\"multipleOf\":12345}}", ERR_UNSUPPORTED, "#/items: multipleOf");
	check_refused(GRAMMAR_SCHEMA, "{\"minimum\":2,\"maximum\":1,\"type\":\"integer\"}", ERR_INVALID,
		      "nothing satisfies");
}

/* What cannot be told of a listed value is refused, with its path: the value is not left out. */
TEST(refusals_beside_listed_values)
{
	check_refused(GRAMMAR_SCHEMA, "{\"anyOf\":[{\"enum\":[\"a\"],\"pattern\":\"(\"},{\"type\":\"null\"}]}",
		      ERR_INVALID, "#/anyOf/0: pattern: at byte 0");
	check_refused(GRAMMAR_SCHEMA, "{\"enum\":[\"a\",\"b\"],\"pattern\":\"(?=a)\"}", ERR_UNSUPPORTED, "#: pattern");
	check_refused(GRAMMAR_SCHEMA, "{\"enum\":[\"a\"],\"pattern\":\"a{1,100000000}\"}", ERR_LIMIT, "#: pattern");
	check_refused(GRAMMAR_SCHEMA, "{\"items\":{\"const\":5,\"multipleOf\":12345}}", ERR_UNSUPPORTED,
		      "#/items: multipleOf");
	check_refused(GRAMMAR_SCHEMA, "{\"const\":1e30,\"minimum\":0}", ERR_UNSUPPORTED, "exponent");
	check_refused(GRAMMAR_SCHEMA, "{\"enum\":[[{\"a\":-1e400}]]}", ERR_UNSUPPORTED, "too large");
	check_refused(GRAMMAR_SCHEMA, "{\"enum\":[{\"a\":1}],\"required\":[\"a\"]}", ERR_UNSUPPORTED, "required");
	check_refused(GRAMMAR_SCHEMA, "{\"const\":\"abc\",\"maxLength\":2}", ERR_INVALID, "nothing satisfies");
}

/* A compilation ends within its effort: hostile sources of each kind. */
static void check_bounded(enum grammar_kind kind, const char *source)
{
	struct grammar_source src = {.kind = kind, .text = {source, strlen(source)}};
	struct effort effort = {.bytes = GRAMMAR_MEMORY, .cpu_ns = GRAMMAR_COMPILE_MS * 1000000ull};
	struct grammar *g = NULL;
	struct why why = {""};
	int err;

	effort_begin(&effort);
	err = grammar_compile(&g, &src, &why);
	effort_end();
	if (err && err != ERR_LIMIT)
		CHECK_FAIL("%.60s: %s", source, why.text);
	grammar_destroy(g);
}

static char *repeated(const char *a, const char *b, const char *c, int n)
{
	char *out = xalloc(strlen(a) * (size_t)n + strlen(b) + strlen(c) * (size_t)n + 1, 1), *at = out;

	for (int i = 0; i < n; i++)
		at += sprintf(at, "%s", a);
	at += sprintf(at, "%s", b);
	for (int i = 0; i < n; i++)
		at += sprintf(at, "%s", c);
	return out;
}

TEST(hostile_sources_end)
{
	char *deep = repeated("(", "a", ")", 10000), *wide = repeated("a|", "b", "", 50000),
	     *lists = repeated("{\"items\":", "{}", "}", 150), *counts = repeated("(", "a", "{0,99})", 20);

	check_bounded(GRAMMAR_REGEX, deep);
	check_bounded(GRAMMAR_REGEX, wide);
	check_bounded(GRAMMAR_REGEX, counts);
	check_bounded(GRAMMAR_REGEX, "^(a|b)*a(a|b){30}$");
	check_bounded(GRAMMAR_REGEX, "^((a{0,99}){0,99}){0,99}$");
	check_bounded(GRAMMAR_SCHEMA, lists);
	check_bounded(GRAMMAR_SCHEMA, "{\"type\":\"string\",\"pattern\":\"(a|b)*a(a|b){30}\"}");
	check_bounded(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"minItems\":99999999}");
	check_bounded(GRAMMAR_SCHEMA, "{\"type\":\"string\",\"minLength\":99999999,\"pattern\":\"a\"}");
	free(deep), free(wide), free(lists), free(counts);
}

CHECK_MAIN()
