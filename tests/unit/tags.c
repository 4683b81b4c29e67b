/* Structural tags: which texts they derive, masks against parsing again from the start, special tokens as marks,
 * refusals. */
#include "tests/check.h"

#include "base/base.h"
#include "engine/grammar/inside.h"
#include "engine/tokenizer/tokenizer.h"

#define SCHEMA \
	"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"],\"additionalProperties\":false}"
#define JSON "{\"type\":\"json_schema\",\"json_schema\":" SCHEMA "}"
#define TAG(name) "{\"type\":\"tag\",\"begin\":\"<f=" name ">\",\"content\":" JSON ",\"end\":\"</f>\"}"
#define TRIGGERED(more) \
	"{\"type\":\"triggered_tags\",\"triggers\":[\"<f=\"],\"tags\":[" TAG("x") "," TAG("yy") "]" more "}"
#define CALL "<f=x>{\"a\":1}</f>"

static int compile_with(struct grammar **out, const char *text, const struct tokenizer *t, struct why *why)
{
	struct grammar_source src = {
		.kind = GRAMMAR_TAG, .text = {text, strlen(text)}, .tokenizer = t, .compact = true};

	return grammar_compile(out, &src, why);
}

static struct grammar *compile(const char *text, const struct tokenizer *t)
{
	struct grammar *g = NULL;
	struct why why = {""};

	if (compile_with(&g, text, t, &why))
		CHECK_FAIL("%s: %s", text, why.text);
	return g;
}

/* Lists of texts, each with its NUL, end with an empty one; "\1" stands for the empty text. */
static void check_list(const struct grammar *g, const char *list, bool want)
{
	for (const char *s = list; *s; s += strlen(s) + 1) {
		const char *text = *s == 1 ? "" : s;
		if (grammar_matches(g, text, strlen(text)) != want)
			CHECK_FAIL("\"%s\" %s", text, want ? "is refused" : "is derived");
	}
}

static void check_texts(const char *source, const char *good, const char *bad)
{
	struct grammar *g = compile(source, NULL);

	check_list(g, good, true);
	check_list(g, bad, false);
	grammar_destroy(g);
}

TEST(triggered)
{
	check_texts(TRIGGERED(""), "\1\0text\0hi " CALL " and " CALL "\0a <f\0<<f=yy>{\"a\":2}</f>\0\xc3\xa9<\0",
		    "<f=\0<f=z>{\"a\":1}</f>\0<f=x>{\"a\":\"b\"}</f>\0" CALL "<f=x>\0\xff\0");
	check_texts(TRIGGERED(",\"at_least_one\":true"), CALL "\0" CALL " text\0" CALL CALL "\0",
		    "\1\0text\0 " CALL "\0");
	check_texts(TRIGGERED(",\"stop_after_first\":true"), "\1\0text\0text" CALL "\0", CALL " text\0" CALL CALL "\0");
	check_texts(TRIGGERED(",\"at_least_one\":true,\"stop_after_first\":true"), CALL "\0", "\1\0" CALL CALL "\0");
	check_texts(TRIGGERED(",\"excludes\":[\"no\"]"), "n o\0" CALL "\0", "no\0a no b\0" CALL "no\0");
	check_texts("{\"type\":\"structural_tag\",\"structures\":[{\"begin\":\"<f=x>\",\"schema\":" SCHEMA
		    ",\"end\":\"</f>\"}],\"triggers\":[\"<f=\"]}",
		    "\1\0" CALL " text\0", "<f=x>\0<f=yy>{\"a\":1}</f>\0");
}

/* The first of the strings ends the text, also where it overlaps with itself or another. */
TEST(where_text_ends)
{
	check_texts("{\"type\":\"tag\",\"begin\":\"(\",\"content\":{\"type\":\"any_text\"},\"end\":[\"aab\",\"ac\"]}",
		    "(aab\0(aaab\0(aac\0(x ac\0", "(\0(aabx\0(acaab\0(aabac\0");
	check_texts("{\"type\":\"tag\",\"begin\":\"[\",\"content\":" TRIGGERED("") ",\"end\":\"]\"}",
		    "[]\0[a" CALL "b]\0[<f]\0", "[a\0[a]b\0[<f=x>{\"a\":1}]\0");
	check_texts(
		"{\"type\":\"sequence\",\"elements\":[{\"type\":\"tag\",\"begin\":\"<think>\",\"content\":{\"type\":\"any_text\"},"
		"\"end\":\"</think>\"}," TRIGGERED("") "]}",
		"<think></think>\0<think>a" CALL "</think>b" CALL "\0", "<think>\0<think>a" CALL "\0x\0");
}

TEST(other_formats)
{
	check_texts(
		"{\"type\":\"tags_with_separator\",\"tags\":[" TAG("x") "],\"separator\":\", \",\"at_least_one\":true}",
		CALL "\0" CALL ", " CALL "\0", "\1\0" CALL CALL "\0" CALL ", \0 " CALL "\0");
	check_texts("{\"type\":\"tags_with_separator\",\"tags\":[" TAG(
			    "x") "],\"separator\":\"\",\"stop_after_first\":true}",
		    "\1\0" CALL "\0", CALL CALL "\0");
	check_texts(
		"{\"format\":{\"type\":\"or\",\"elements\":[{\"type\":\"const_string\",\"value\":\"a\"},"
		"{\"type\":\"repeat\",\"min\":2,\"max\":3,\"content\":{\"type\":\"regex\",\"pattern\":\"[xy]\"}}]}}",
		"a\0xy\0yyy\0", "\1\0x\0xyxy\0ax\0");
	check_texts(
		"{\"type\":\"sequence\",\"elements\":[{\"type\":\"optional\",\"content\":{\"type\":\"const_string\",\"value\":\"a\"}},"
		"{\"type\":\"plus\",\"content\":{\"type\":\"grammar\",\"grammar\":\"root ::= [b-c]\"}},"
		"{\"type\":\"star\",\"content\":{\"type\":\"const_string\",\"value\":\"d\"}}]}",
		"ab\0bcd\0cdd\0", "a\0ad\0abda\0");
}

static void check_refused(const char *source, int err, const char *part)
{
	struct grammar *g = NULL;
	struct why why = {""};

	CHECK_EQ(compile_with(&g, source, NULL, &why), err);
	CHECK_HAS(why.text, part);
}

TEST(refusals)
{
	check_refused("{", ERR_INVALID, "structural_tag: line 1");
	check_refused("{\"type\":\"structural_tag\"}", ERR_INVALID, "structural_tag.format: it must be a format");
	check_refused("{\"type\":\"token\",\"token\":5}", ERR_UNSUPPORTED, "the format \"token\" is not supported");
	check_refused("{\"type\":\"any_text\",\"max_tokens\":5}", ERR_UNSUPPORTED,
		      "\"max_tokens\" is not supported here");
	check_refused("{\"type\":\"or\",\"elements\":[]}", ERR_INVALID, "elements: it must be a list");
	check_refused("{\"type\":\"tag\",\"begin\":\"a\",\"content\":" JSON "}", ERR_INVALID,
		      "structural_tag.end: it must be a string");
	check_refused("{\"type\":\"tag\",\"begin\":[],\"content\":" JSON ",\"end\":\"\"}", ERR_INVALID,
		      "structural_tag.begin: it must be a string");
	check_refused("{\"type\":\"tag\",\"begin\":[\"a\",\"b\"],\"content\":" JSON ",\"end\":\"\"}", ERR_INVALID,
		      "structural_tag.begin: it must be a string");
	check_refused("{\"type\":\"const_string\",\"value\":[]}", ERR_INVALID,
		      "structural_tag.value: it must be a string");
	check_refused("{\"type\":\"tags_with_separator\",\"separator\":[],\"tags\":[" TAG("x") "]}", ERR_INVALID,
		      "structural_tag.separator: it must be a string");
	check_refused("{\"type\":\"triggered_tags\",\"triggers\":[\"<\"],\"tags\":[{\"begin\":[],\"end\":\"\"}]}",
		      ERR_INVALID, "structural_tag.tags[0].begin: it must be a string");
	check_refused("{\"type\":\"sequence\",\"elements\":[{\"type\":\"any_text\"}," JSON "]}", ERR_UNSUPPORTED,
		      "elements[0]: free text");
	check_refused("{\"type\":\"triggered_tags\",\"triggers\":[\"<g\"],\"tags\":[" TAG("x") "]}", ERR_INVALID,
		      "exactly one of the triggers");
	check_refused("{\"type\":\"triggered_tags\",\"triggers\":[\"<\",\"<f\"],\"tags\":[" TAG("x") "]}", ERR_INVALID,
		      "exactly one");
	check_refused(
		"{\"type\":\"sequence\",\"elements\":[{\"type\":\"json_schema\",\"json_schema\":{\"items\":{\"typ\":5}}}]}",
		ERR_UNSUPPORTED, "elements[0].json_schema: json_schema: #/items: typ");
	check_refused("{\"type\":\"regex\",\"pattern\":\"(\"}", ERR_INVALID, "structural_tag.pattern: at byte 0");
	check_refused("{\"type\":\"json_schema\",\"json_schema\":{},\"style\":\"qwen_xml\"}", ERR_UNSUPPORTED,
		      "there is only \"json\"");
	check_refused("{\"type\":\"repeat\",\"min\":3,\"max\":2,\"content\":" JSON "}", ERR_INVALID, "min and max");
}

/* ---- masks ---- */

static bool bit(const uint32_t *mask, int32_t id)
{
	return mask[id / 32] >> id % 32 & 1;
}

/* Whether an answer can begin so: in a pool of its own, from the start. */
static bool parses(struct pool *p, const struct grammar *g, const char *text, size_t len)
{
	int32_t state;

	pool_clear(p);
	state = pool_start(p, g);
	for (size_t i = 0; i < len && state >= 0; i++)
		state = pool_step(p, state, (uint8_t)text[i]);
	return state >= 0;
}

TEST(every_bit_of_a_mask)
{
	struct tokenizer *t;
	struct why why;
	struct pool p;
	static const char answer[] = "hi " CALL "<<f=yy>{\"a\":2}</f>";
	static const int32_t stop[] = {0};

	CHECK_EQ(tokenizer_open(&t, "tests/fuzz/model", &why), 0);
	struct grammar_room *room = grammar_room_create(t, tokenizer_vocab(t), 4);
	struct grammar *g = compile(TRIGGERED(""), t);
	struct grammar_run run;
	char text[512];
	size_t len = 0;
	pool_init(&p);
	grammar_run_begin(&run, room, g, stop, 1);
	while (len < sizeof answer - 1) {
		struct grammar_mask m = grammar_run_mask(&run);
		int32_t next = -1;
		size_t most = 0;
		CHECK(m.allow);
		for (int32_t id = 1; id < tokenizer_vocab(t); id++) {
			size_t n = tokenizer_is_special(t, id) ? 0 : tokenizer_token_text(t, id, text + len, 64);
			if (bit(m.allow, id) != (n && parses(&p, g, text, len + n)))
				CHECK_FAIL("after %zu bytes the bit of token %d is wrong", len, id);
			if (n > most && len + n < sizeof answer && !memcmp(text + len, answer + len, n))
				next = id, most = n;
		}
		CHECK_EQ(bit(m.allow, 0), parses(&p, g, answer, len) && grammar_matches(g, answer, len));
		CHECK(next >= 0 && grammar_run_accept(&run, next));
		len += tokenizer_token_text(t, next, text + len, 64);
	}
	CHECK(grammar_run_may_end(&run));
	grammar_run_end(&run);
	pool_finish(&p);
	grammar_destroy(g);
	grammar_room_destroy(room);
	tokenizer_close(t);
}

/* A special token that a tag names is that token: its spelling is refused, and where no tag names it, it is. */
TEST(special_tokens_as_marks)
{
	struct tokenizer *t;
	struct why why;
	static const int32_t stop[] = {3};

	CHECK_EQ(tokenizer_open(&t, "launch/demo/model", &why), 0);
	int32_t mark = tokenizer_find(t, "<pad>", 5), byte = tokenizer_find(t, "<0xFF>", 6);
	CHECK(mark > 0 && tokenizer_is_special(t, mark));
	struct grammar_room *room = grammar_room_create(t, tokenizer_vocab(t), 4);
	struct grammar *g = compile(
		"{\"type\":\"triggered_tags\",\"triggers\":[\"<pad>\"],\"tags\":[{\"begin\":\"<pad>a\",\"content\":"
		"{\"type\":\"regex\",\"pattern\":\"b\"},\"end\":\"<unk>\"}]}",
		t);
	struct grammar_run run;
	grammar_run_begin(&run, room, g, stop, 1);
	struct grammar_mask m = grammar_run_mask(&run);
	CHECK(m.allow && bit(m.allow, mark) && bit(m.allow, 3));
	CHECK(!bit(m.allow, tokenizer_find(t, "<unk>", 5)) && (byte < 0 || !bit(m.allow, byte)));
	CHECK(grammar_run_accept(&run, mark));
	m = grammar_run_mask(&run);
	CHECK(m.allow && !bit(m.allow, mark) && !bit(m.allow, 3) && bit(m.allow, tokenizer_find(t, "a", 1)));
	CHECK(grammar_run_accept(&run, tokenizer_find(t, "a", 1)) &&
	      grammar_run_accept(&run, tokenizer_find(t, "b", 1)));
	m = grammar_run_mask(&run);
	CHECK_EQ(m.only, tokenizer_find(t, "<unk>", 5));
	CHECK(grammar_run_accept(&run, m.only) && grammar_run_may_end(&run));
	grammar_run_end(&run);
	grammar_destroy(g);
	g = compile("{\"type\":\"any_text\"}", t);
	grammar_run_begin(&run, room, g, stop, 1);
	m = grammar_run_mask(&run);
	CHECK(m.allow && !bit(m.allow, mark));
	grammar_run_end(&run);
	grammar_destroy(g);
	grammar_room_destroy(room);
	tokenizer_close(t);
}

CHECK_MAIN()
