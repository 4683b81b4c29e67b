/* Stop strings: any cutting of the text into pieces gives the same answer, and no prefix of one leaks. */
#include "daemon/front/stop_text.h"

#include <stdlib.h>

#include "tests/check.h"

struct outcome {
	char text[512];
	size_t len;
	int hit;
};

static void put(struct outcome *o, const char *text, size_t len)
{
	memcpy(o->text + o->len, text, len);
	o->len += len;
	o->text[o->len] = 0;
}

/* Feeds `text` in pieces of 1..most bytes; those that end within the first `past` do not count. */
static struct outcome feed(const char *const *stop, int n, bool include, const char *text, unsigned seed, int most,
			   size_t past)
{
	struct outcome o = {.hit = -1};
	struct front_stop s;
	const char *out;
	size_t len = strlen(text), at = 0, out_len;

	front_stop_init(&s, stop, n, include);
	while (at < len && o.hit < 0) {
		size_t take = 1 + (seed = seed * 1103515245 + 12345) / 65536 % (unsigned)most;
		take = take > len - at ? len - at : take;
		o.hit = front_stop_next(&s, text + at, take, at + take > past, &out, &out_len);
		put(&o, out, out_len);
		at += take;
	}
	if (o.hit < 0) {
		out_len = front_stop_rest(&s, &out);
		put(&o, out, out_len);
	}
	front_stop_finish(&s);
	return o;
}

TEST(no_stop_strings_pass_everything)
{
	CHECK_STR(feed(NULL, 0, false, "hello", 1, 3, 0).text, "hello");
}

TEST(cut_at_the_first_hit)
{
	const char *const stop[] = {"END", "\n\n"};
	struct outcome o;

	for (unsigned seed = 0; seed < 200; seed++) {
		o = feed(stop, 2, false, "a EN EEND tail", seed, 1 + (int)seed % 6, 0);
		CHECK_STR(o.text, "a EN E");
		CHECK_EQ(o.hit, 0);
		o = feed(stop, 2, true, "a EN EEND tail", seed, 1 + (int)seed % 6, 0);
		CHECK_STR(o.text, "a EN EEND");
		o = feed(stop, 2, false, "one\ntwo\n\nEND", seed, 1 + (int)seed % 6, 0);
		CHECK_STR(o.text, "one\ntwo");
		CHECK_EQ(o.hit, 1);
		o = feed(stop, 2, false, "nothing EN", seed, 1 + (int)seed % 6, 0);
		CHECK_STR(o.text, "nothing EN");
		CHECK_EQ(o.hit, -1);
	}
}

/* Random texts over a two-letter alphabet against a byte-by-byte reading. */
TEST(any_cutting_is_like_byte_by_byte)
{
	const char *const stop[] = {"abab", "bb", "aab"};
	char text[60];
	unsigned seed = 7;

	for (int round = 0; round < 20000; round++) {
		struct outcome one, many;
		for (int i = 0; i < 59; i++)
			text[i] = (seed = seed * 1103515245 + 12345) >> 20 & 1 ? 'a' : (seed >> 21 & 3) ? 'c' : 'b';
		text[(unsigned)round % 60] = 0;
		one = feed(stop, 3, round & 1, text, seed, 1, 0);
		many = feed(stop, 3, round & 1, text, seed, 9, 0);
		CHECK_STR(one.text, many.text);
		CHECK_EQ(one.hit, many.hit);
	}
}

/* After each piece, what was shown never ends in the beginning of a stop string. */
TEST(no_prefix_leaks)
{
	const char *const stop[] = {"</s>"};
	struct front_stop s;
	const char *out, *pieces[] = {"x<", "/", "s", "y </", "s", ">"};
	size_t len;

	front_stop_init(&s, stop, 1, false);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(front_stop_next(&s, pieces[i], strlen(pieces[i]), true, &out, &len), -1);
		CHECK(!len || out[len - 1] != '<');
	}
	CHECK_EQ(front_stop_next(&s, pieces[5], 1, true, &out, &len), 0);
	CHECK_EQ(len, 0);
	front_stop_finish(&s);
}

/* What a byte-by-byte reading says: the first byte behind `past` that completes a string. */
static size_t first_end(const char *const *stop, int n, const char *text, size_t past, int *hit)
{
	for (size_t end = past + 1; end <= strlen(text); end++)
		for (int i = 0; i < n; i++)
			if (end >= strlen(stop[i]) && !memcmp(text + end - strlen(stop[i]), stop[i], strlen(stop[i])))
				return *hit = i, end;
	return *hit = -1, strlen(text);
}

/* A string that is completed before it counts is text; one that begins there and ends behind it counts. */
TEST(not_before_it_counts)
{
	const char *const stop[] = {"abab", "bb", "aab", "abc"};
	char text[60];
	unsigned seed = 11;

	for (int round = 0; round < 20000; round++) {
		struct outcome o;
		size_t past = (unsigned)round % 23, end;
		int hit;

		for (int i = 0; i < 59; i++)
			text[i] = "abc"[(seed = seed * 1103515245 + 12345) >> 20 & 1 ? 0 : (seed >> 21 & 3) ? 1 : 2];
		text[(unsigned)round % 60] = 0;
		o = feed(stop, 4, true, text, seed, 1, past);
		end = first_end(stop, 4, text, past < strlen(text) ? past : strlen(text), &hit);
		CHECK_EQ(o.hit, hit);
		CHECK_EQ(o.len, end);
		CHECK(!memcmp(o.text, text, end));
	}
}

CHECK_MAIN()
