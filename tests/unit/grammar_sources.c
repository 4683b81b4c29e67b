/* Sources of constrained output: what their grammars derive, refusals, and the bounds of a compilation. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/grammar/inside.h"
#include "tests/unit/grammar.h"

static bool matches(const struct grammar *g, const char *text)
{
	return grammar_matches(g, text, strlen(text));
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
	check_matches(GRAMMAR_REGEX, "^[\\p{L}\\p{N}]{2,1000}$", "a1\0\xe6\x96\x87\xc3\xa9z\0", "a\0a-\0");
	check_matches(GRAMMAR_REGEX, "^[^a|]{0,60000}\\|(?:b|c)$", "|b\0xx|c\0", "xx|\0a|b\0|bc\0");
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

/* What a schema says by opposites and conditions. */
TEST(conditions)
{
	check_matches(GRAMMAR_SCHEMA, "{\"not\":{\"type\":[\"integer\",\"object\"]}}", "1.5\0\"a\"\0[1]\0true\0",
		      "1\0"
		      "1.0\0{}\0");
	check_matches(GRAMMAR_SCHEMA, "{\"not\":{\"enum\":[1,\"a\",null]}}", "2\0\"b\"\0{}\0",
		      "1\0"
		      "1.00\0\"a\"\0\"\\u0061\"\0null\0");
	check_matches(GRAMMAR_SCHEMA, "{\"type\":\"string\",\"not\":{\"pattern\":\"^a\",\"maxLength\":2}}",
		      "\"b\"\0\"abc\"\0", "\"a\"\0\"ab\"\0");
	check_matches(GRAMMAR_SCHEMA, "{\"enum\":[1,2,\"x\",true,null],\"not\":{\"enum\":[2,true]}}",
		      "1\0\"x\"\0null\0", "2\0true\0");
	check_matches(GRAMMAR_SCHEMA, "{\"type\":\"object\",\"not\":{\"required\":[\"a\",\"b\"]}}",
		      "{}\0{\"a\":1}\0{\"b\":1}\0", "{\"a\":1,\"b\":1}\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"properties\":{\"k\":{},\"v\":{}},\"if\":{\"properties\":{\"k\":{\"const\":1}},\"required\":[\"k\"]},"
		"\"then\":{\"required\":[\"v\"]},\"else\":{\"properties\":{\"v\":false}}}",
		"{\"k\":1,\"v\":0}\0{\"k\":2}\0{}\0"
		"5\0",
		"{\"k\":1}\0{\"k\":2,\"v\":0}\0{\"v\":0}\0");
	check_matches(GRAMMAR_SCHEMA, "{\"properties\":{\"a\":{},\"b\":{}},\"dependentRequired\":{\"a\":[\"b\"]}}",
		      "{}\0{\"b\":1}\0{\"a\":1,\"b\":1}\0[]\0", "{\"a\":1}\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"properties\":{\"a\":{},\"b\":{}},\"dependencies\":{\"a\":{\"properties\":{\"b\":{\"type\":\"null\"}}}}}",
		"{\"b\":1}\0{\"a\":1}\0{\"a\":1,\"b\":null}\0", "{\"a\":1,\"b\":1}\0");
	check_matches(GRAMMAR_SCHEMA,
		      "{\"type\":\"object\",\"properties\":{\"long\":{}},\"propertyNames\":{\"maxLength\":2}}",
		      "{}\0{\"ab\":1}\0", "{\"long\":1}\0{\"abc\":1}\0");
	check_matches(GRAMMAR_SCHEMA, "{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"integer\"}]}", "1.5\0",
		      "1\0"
		      "1.0\0\"a\"\0");
	check_matches(GRAMMAR_SCHEMA, "{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
		      "{\"a\":1}\0{\"b\":1}\0", "{}\0{\"a\":1,\"b\":1}\0");
}

/* Counts of items that satisfy a schema, items that differ, and what nothing else has evaluated. */
TEST(counted_and_unevaluated)
{
	check_matches(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":{\"const\":1}}", "[1]\0[2,1,3]\0[1,1]\0",
		      "[]\0[2]\0[\"1\"]\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"items\":{\"type\":\"integer\"},\"contains\":{\"minimum\":5},\"minContains\":2,\"maxContains\":3,"
		"\"maxItems\":4}",
		"[5,6]\0[1,5,6,7]\0[9,9,9,1]\0{}\0", "[5]\0[5,6,7,8]\0[5,6,1,1,1]\0[1,2,3]\0[5,5.5]\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}],\"contains\":{\"const\":\"a\"},\"minItems\":3}",
		"[null,\"a\",1]\0[null,1,2,\"a\",3]\0", "[\"a\",1,1]\0[null,\"a\"]\0[null,1,1]\0");
	check_matches(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":{\"const\":1},\"minContains\":0}",
		      "[]\0[2]\0[1]\0", "{}\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"allOf\":[{\"contains\":{\"multipleOf\":2}},{\"contains\":{\"multipleOf\":3}}],\"type\":\"array\"}",
		"[6]\0[2,3]\0[5,3,1,4]\0", "[2]\0[3,9]\0[]\0");
	check_matches(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"not\":{\"contains\":{\"type\":\"null\"}}}", "[]\0[1]\0",
		      "[null]\0[1,null]\0");
	check_matches(GRAMMAR_SCHEMA,
		      "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",1,1.0,null]},\"uniqueItems\":true}",
		      "[]\0[\"b\",\"a\"]\0[1,null,\"a\",\"b\"]\0", "[\"a\",\"a\"]\0[1,1]\0[1,null,1]\0[2]\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"type\":\"array\",\"items\":{\"type\":[\"boolean\",\"null\"]},\"uniqueItems\":true,\"minItems\":2}",
		"[true,false]\0[null,true,false]\0", "[true]\0[true,true]\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"$defs\":{\"base\":{\"properties\":{\"a\":{\"type\":\"null\"}}}},\"type\":\"object\",\"allOf\":[{\"$ref\":\"#/$defs/base\"}],"
		"\"properties\":{\"b\":{\"type\":\"null\"}},\"unevaluatedProperties\":false}",
		"{}\0{\"b\":null,\"a\":null}\0", "{\"c\":1}\0{\"a\":1}\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"type\":\"object\",\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},{\"properties\":{\"b\":{}}}],"
		"\"unevaluatedProperties\":{\"type\":\"null\"}}",
		"{\"a\":1}\0{\"b\":5,\"c\":null}\0{\"a\":1,\"b\":null}\0", "{\"c\":1}\0{\"a\":2}\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"type\":\"object\",\"properties\":{\"a\":{}},\"dependentSchemas\":{\"a\":{\"properties\":{\"b\":{}}}},"
		"\"unevaluatedProperties\":false}",
		"{}\0{\"a\":1}\0{\"a\":1,\"b\":1}\0", "{\"b\":1}\0");
	check_matches(
		GRAMMAR_SCHEMA,
		"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}],\"allOf\":[{\"prefixItems\":[true,{\"const\":1}]}],"
		"\"unevaluatedItems\":false}",
		"[]\0[null]\0[null,1]\0", "[1]\0[null,2]\0[null,1,1]\0");
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
	check_refused(GRAMMAR_REGEX, "^\\p{L}{60000}|a$", ERR_LIMIT, "the count needs more");
	check_refused(GRAMMAR_GBNF, "root ::= x", ERR_INVALID, "there is no rule \"x\"");
	check_refused(GRAMMAR_GBNF, "a ::= \"x\"", ERR_INVALID, "no rule \"root\"");
	check_refused(GRAMMAR_GBNF, "root ::= a\na ::= b? root \"x\"\nb ::= \"b\"", ERR_UNSUPPORTED, "left recursion");
	check_refused(GRAMMAR_GBNF, "root ::= root2\nroot2 ::= \"a\" root2", ERR_INVALID, "nothing satisfies it");
	check_refused(GRAMMAR_SCHEMA, "{\"properties\":{\"a\":{\"$dynamicRef\":\"#\"}}}", ERR_UNSUPPORTED,
		      "#/properties/a: $dynamicRef");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"uniqueItems\":true}", ERR_UNSUPPORTED,
		      "#: uniqueItems: only");
	check_refused(
		GRAMMAR_SCHEMA,
		"{\"items\":{\"type\":\"array\",\"items\":{\"enum\":[1,2,3,4,5,6,7,8,9,10,11,12]},\"uniqueItems\":true}}",
		ERR_UNSUPPORTED, "#/items: uniqueItems: only");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":{\"items\":{}},\"maxContains\":1}",
		      ERR_UNSUPPORTED, "/contains/not: items: its opposite");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":{},\"minContains\":100000}", ERR_LIMIT,
		      "#: contains: too many items");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":5}", ERR_INVALID,
		      "#: contains: must be a schema");
	check_refused(GRAMMAR_SCHEMA,
		      "{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{}}},{\"unevaluatedProperties\":false}]}",
		      ERR_UNSUPPORTED, "#/allOf/1: unevaluatedProperties: only");
	check_refused(
		GRAMMAR_SCHEMA,
		"{\"type\":\"object\",\"not\":{\"properties\":{\"a\":{\"type\":\"null\"}}},\"unevaluatedProperties\":false}",
		ERR_UNSUPPORTED, "#: unevaluatedProperties: not supported beside not");
	check_refused(GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":{},\"unevaluatedItems\":false}",
		      ERR_UNSUPPORTED, "#: unevaluatedItems: not supported beside contains");
	check_refused(GRAMMAR_SCHEMA, "{\"not\":{\"type\":\"array\",\"contains\":{},\"minContains\":2}}",
		      ERR_UNSUPPORTED, "#/not: minContains: its opposite");
	check_refused(GRAMMAR_SCHEMA, "{\"items\":{\"minLength\":-1}}", ERR_INVALID, "#/items: minLength");
	check_refused(GRAMMAR_SCHEMA, "{\"typ\":\"string\"}", ERR_UNSUPPORTED, "typ: an unknown keyword");
	check_refused(GRAMMAR_SCHEMA, "{\"$ref\":\"#/a\"}", ERR_INVALID, "$ref: it names nothing");
	check_refused(GRAMMAR_SCHEMA,
		      "{\"oneOf\":[{\"type\":\"array\",\"items\":{}},{\"type\":\"array\",\"maxItems\":1}]}",
		      ERR_UNSUPPORTED, "/not: maxItems: its opposite");
	check_refused(GRAMMAR_SCHEMA, "{\"not\":{\"format\":\"uri\"}}", ERR_UNSUPPORTED, "#/not: format");
	check_refused(GRAMMAR_SCHEMA, "{\"not\":{\"const\":[1]}}", ERR_UNSUPPORTED, "#/not: const: listed lists");
	check_refused(GRAMMAR_SCHEMA, "{\"not\":{\"tpye\":\"null\"}}", ERR_UNSUPPORTED, "#/not: tpye");
	check_refused(GRAMMAR_SCHEMA, "{\"propertyNames\":{\"anyOf\":[{}]}}", ERR_UNSUPPORTED,
		      "#: propertyNames: only");
	check_refused(GRAMMAR_SCHEMA, "{\"dependentRequired\":{\"a\":[1]}}", ERR_INVALID, "dependentRequired: holds");
	check_refused(GRAMMAR_SCHEMA, "{\"not\":{}}", ERR_INVALID, "nothing satisfies");
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
