/* base/json: what is read, what is refused and where, limits, values, writing. */
#include <math.h>

#include "base/json/json.h"
#include "tests/check.h"

static const struct json_rules strict = {.depth = 8, .values = 1000, .bytes = 1 << 20};

static struct json_doc *read_as(const char *text, size_t len, const struct json_rules *rules)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, len, rules, &e);

	if (!doc)
		CHECK_FAIL("%s: line %d, column %d, path \"%s\": %s", text, e.line, e.column, e.path, e.text);
	return doc;
}

static struct json_doc *of_file(const char *text)
{
	return read_as(text, strlen(text), &json_of_files);
}

static void check_refused(const char *text, const struct json_rules *rules, int line, int column, const char *path,
			  const char *part)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, strlen(text), rules, &e);

	if (doc)
		CHECK_FAIL("%s: it is read", text);
	CHECK_STR(e.path, path);
	CHECK_HAS(e.text, part);
	CHECK_EQ(e.line, line);
	CHECK_EQ(e.column, column);
}

static void check_written(const char *text, const char *wanted)
{
	struct json_doc *doc = of_file(text);
	char *out = json_write(json_root(doc), NULL, NULL);

	CHECK_STR(out, wanted);
	free(out);
	json_close(doc);
}

TEST(integers_of_any_length)
{
	struct json_doc *doc =
		of_file("[9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551615,"
			"18446744073709551616, -9223372036854775809, 1000000000000000019884624838656, -0, 1.0]");
	const struct json *r = json_root(doc);
	int64_t i;
	uint64_t u;

	CHECK(json_int(json_at(r, 0), &i) && i == INT64_MAX);
	CHECK(json_int(json_at(r, 1), &i) && i == INT64_MIN);
	CHECK(!json_int(json_at(r, 2), &i) && json_uint(json_at(r, 2), &u) && u == 1ull << 63);
	CHECK(json_uint(json_at(r, 3), &u) && u == UINT64_MAX);
	CHECK(!json_uint(json_at(r, 4), &u) && !json_uint(json_at(r, 5), &u) && !json_uint(json_at(r, 1), &u));
	CHECK(json_is_int(json_at(r, 6)) && json_num(json_at(r, 6)) == 1e30);
	CHECK(json_int(json_at(r, 7), &i) && i == 0);
	CHECK(!json_is_int(json_at(r, 8)) && json_num(json_at(r, 8)) == 1);
	CHECK(isnan(json_num(json_at(r, 99))) && json_at(r, 99) == NULL);
	json_close(doc);
	check_written("[18446744073709551616,-9223372036854775809]", "[18446744073709551616,-9223372036854775809]");
}

TEST(special_numbers)
{
	struct json_doc *doc = of_file("[NaN, Infinity, -Infinity, 1e400, -1e400, 1e-400]");
	const struct json *r = json_root(doc);

	CHECK(json_is_num(json_at(r, 0)) && isnan(json_num(json_at(r, 0))));
	CHECK(json_num(json_at(r, 1)) == INFINITY && json_num(json_at(r, 2)) == -INFINITY);
	CHECK(json_num(json_at(r, 3)) == INFINITY && json_num(json_at(r, 4)) == -INFINITY &&
	      json_num(json_at(r, 5)) == 0);
	json_close(doc);
	check_refused("{\"a\": [1, NaN]}", &strict, 1, 11, "a[1]", "NaN");
	check_refused("[-Infinity]", &strict, 1, 2, "[0]", "NaN");
	json_close(read_as("[1e400]", 7, &strict));
}

TEST(nul_in_texts_and_keys)
{
	struct json_doc *doc = of_file("{\"a\\u0000b\": \"x\\u0000y\", \"a\": 1}");
	const struct json *r = json_root(doc), *v = json_getn(r, "a\0b", 3);

	CHECK_EQ(json_size(r), 2);
	CHECK(v && json_len(v) == 3 && !memcmp(json_str(v), "x\0y", 4));
	CHECK(json_get(r, "a") && json_is_int(json_get(r, "a")));
	json_close(doc);
	check_written("{\"a\\u0000b\":\"\\u0000\"}", "{\"a\\u0000b\":\"\\u0000\"}");
}

TEST(the_last_of_equal_keys_counts_in_the_place_of_the_first)
{
	check_written("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
	check_refused("{\"x\":{\"a\":1,\"b\":2,\n \"a\":3}}", &strict, 2, 2, "x.a", "twice");
}

TEST(keys_keep_their_order_and_many_are_found)
{
	static char text[200000];
	size_t n = 0;
	struct json_doc *doc;

	text[n++] = '{';
	for (int i = 0; i < 5000; i++)
		n += (size_t)sprintf(text + n, "%s\"k%d\":%d", i ? "," : "", i * 7919 % 5000, i);
	text[n++] = '}';
	doc = read_as(text, n, &json_of_files);
	CHECK_EQ(json_size(json_root(doc)), 5000);
	for (int i = 0; i < 5000; i++) {
		char key[16];
		int64_t at;

		sprintf(key, "k%d", i * 7919 % 5000);
		CHECK_STR(json_member(json_root(doc), (size_t)i)->key, key);
		CHECK(json_int(json_get(json_root(doc), key), &at) && at == i);
	}
	CHECK(!json_get(json_root(doc), "k5000"));
	json_close(doc);
}

TEST(refusals_have_a_place)
{
	check_refused("", &strict, 1, 1, "", "empty");
	check_refused("{\"messages\": [{\"content\": \"a\nb\"}]}", &strict, 1, 29, "messages[0].content",
		      "control character");
	check_refused("{\"a\": 1,\n  \"b\": [1, 2, {\"c\": 01}]}", &strict, 2, 21, "b[2].c", "needless 0");
	check_refused("{\"a\": 1,}", &strict, 1, 9, "", "key in double quotes");
	check_refused("{\"a\" 1}", &strict, 1, 6, "", "colon");
	check_refused("{\"a\": 1 \"b\": 2}", &strict, 1, 9, "", "comma");
	check_refused("[1, 2", &strict, 1, 6, "", "within a list");
	check_refused("{\"\xc3\xa4\": \"\xc3\xa4\xff\"}", &strict, 1, 9, "\xc3\xa4", "not UTF-8");
	check_refused("[\"\\ud800\"]", &strict, 1, 9, "[0]", "surrogate");
	check_refused("[\"\\x\"]", &strict, 1, 4, "[0]", "backslash");
	check_refused("[\"\\u00g0\"]", &strict, 1, 5, "[0]", "four hexadecimal");
	check_refused("1 2", &strict, 1, 3, "", "something follows");
	check_refused("nul", &strict, 1, 1, "", "no JSON value");
	check_refused("[\"abc", &strict, 1, 6, "[0]", "no end");
	check_refused("{\"a\\u001b[31m\": x}", &strict, 1, 17, "a?[31m", "no JSON value");
}

TEST(limits)
{
	char text[4000];
	struct json_rules few = {.depth = 8, .values = 100, .bytes = 1 << 20},
			  small = {.depth = 8, .values = 100000, .bytes = 10000};
	struct json_error e;

	check_refused("[[[[[[[[[1]]]]]]]]]", &strict, 1, 9, "[0][0][0][0][0][0][0][0]", "more than 8 deep");
	json_close(read_as("[[[[[[[[1]]]]]]]]", 17, &strict));
	memset(text, 0, sizeof text);
	for (int i = 0; i < 100; i++)
		strcat(text, i ? ",1" : "[1");
	strcat(text, "]");
	check_refused(text, &few, 1, 200, "[99]", "more than 100 values");
	strcpy(text, "[");
	for (int i = 0; i < 1000; i++)
		strcat(text, "1, ");
	strcat(text, "1]");
	CHECK(!json_read(text, strlen(text), &small, &e));
	CHECK_EQ(e.err, ERR_LIMIT);
	CHECK_HAS(e.text, "memory");
}

TEST(deep_values_need_no_stack)
{
	enum { DEEP = 1000000 };
	struct json_rules deep = {.depth = DEEP, .values = SIZE_MAX, .bytes = SIZE_MAX};
	char *text = malloc(2 * DEEP);

	memset(text, '[', DEEP);
	memset(text + DEEP, ']', DEEP);
	json_close(read_as(text, 2 * DEEP, &deep));
	free(text);
}

TEST(texts)
{
	struct json_doc *doc = of_file(
		"\xef\xbb\xbf [\"\\ud83d\\ude00\", \"\\ud83dx\", \"\\u00e9\\/\\b\", \"\\ude00\\ud83d\\ud83d\\ude00\"]");
	const struct json *r = json_root(doc);

	CHECK_STR(json_str(json_at(r, 0)), "\xf0\x9f\x98\x80");
	CHECK_STR(json_str(json_at(r, 1)), "\xef\xbf\xbdx");
	CHECK_STR(json_str(json_at(r, 2)), "\xc3\xa9/\b");
	CHECK_STR(json_str(json_at(r, 3)), "\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80");
	json_close(doc);
}

TEST(reals_are_written_with_the_fewest_digits)
{
	check_written(
		"[0.1, 1e400, -1e400, NaN, 1.0, 1e22, 5e-324, 0.30000000000000004, -0.0, 100000.0, 1e16, 0.0001, 0.00001, 123.456]",
		"[0.1,Infinity,-Infinity,NaN,1.0,1e+22,5e-324,0.30000000000000004,-0.0,100000.0,1e+16,0.0001,1e-05,123.456]");
}

TEST(values_made_by_hand)
{
	struct json_doc *doc = json_new();
	struct json object = json_make_object(doc), list = json_make_list();
	static const char *const without[] = {"k3", "k39", NULL};
	char key[8], *out;
	struct json_doc *again;

	for (int i = 0; i < 40; i++) {
		sprintf(key, "k%d", i);
		json_add(doc, &list, json_make_int(i));
		json_set(doc, &object, key, json_make_text(doc, key, strlen(key)));
	}
	json_set(doc, &object, "k7", list);
	json_set_root(doc, object);
	CHECK_EQ(json_size(json_root(doc)), 40);
	CHECK_EQ(json_size(json_get(json_root(doc), "k7")), 40);
	out = json_write(json_root(doc), NULL, NULL);
	again = of_file(out);
	CHECK(json_same(json_root(doc), json_root(again)));
	free(out);
	json_close(again);
	out = json_write(json_root(doc), without, NULL);
	again = of_file(out);
	CHECK_EQ(json_size(json_root(again)), 38);
	CHECK(!json_same(json_root(doc), json_root(again)));
	free(out);
	list = *json_get(json_root(again), "k7"); /* a list that was read has no spare room */
	for (int i = 40; i < 100; i++)
		json_add(again, &list, json_make_int(i));
	for (int64_t i = 0, v; i < 100; i++)
		CHECK(json_int(json_at(&list, (size_t)i), &v) && v == i);
	json_close(again);
	json_close(doc);
}

TEST(equal_values)
{
	struct json_doc *doc = of_file(
		"[1, 1.0, true, 9223372036854775807, 9223372036854775808, {\"a\": 1, \"b\": []}, {\"b\": [], \"a\": 1}, null]");
	const struct json *r = json_root(doc);

	CHECK(json_same(json_at(r, 0), json_at(r, 1)) && !json_same(json_at(r, 0), json_at(r, 2)));
	CHECK(!json_same(json_at(r, 3), json_at(r, 4)) && json_same(json_at(r, 5), json_at(r, 6)));
	CHECK(json_same(json_at(r, 7), NULL) && !json_same(json_at(r, 7), json_at(r, 0)));
	json_close(doc);
}

CHECK_MAIN()
