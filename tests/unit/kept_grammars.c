/* Grammars by source: one for all requests of a form, and never more than the cache may hold. */
#include <pthread.h>
#include <stdio.h>

#include "daemon/front/grammars.h"
#include "engine/grammar/inside.h"
#include "tests/check.h"

static struct grammar *compiled(struct front_grammars *all, enum grammar_kind kind, const char *text, bool compact)
{
	struct grammar_source src = {.kind = kind, .text = {text, strlen(text)}, .compact = compact};
	struct grammar *g = NULL;
	struct why why = {""};

	if (front_grammars_compile(all, &g, &src, &why))
		CHECK_FAIL("%s: %s", text, why.text);
	return g;
}

static uint64_t number_of(struct front_grammars *all, enum grammar_kind kind, const char *text, bool compact)
{
	struct grammar *g = compiled(all, kind, text, compact);
	uint64_t number = g->number;

	grammar_destroy(g);
	return number;
}

TEST(one_for_one_source)
{
	struct front_grammars all;
	struct grammar_text two[] = {{"ab", 2}, {"c", 1}}, other[] = {{"a", 1}, {"bc", 2}};
	struct grammar_source src = {.kind = GRAMMAR_CHOICE, .choice = two, .n_choice = 2};
	struct grammar *g, *h;
	struct why why;
	uint64_t first;

	front_grammars_init(&all);
	first = number_of(&all, GRAMMAR_SCHEMA, "{\"type\":\"integer\"}", true);
	CHECK_EQ(number_of(&all, GRAMMAR_SCHEMA, "{\"type\":\"integer\"}", true), first);
	CHECK(number_of(&all, GRAMMAR_SCHEMA, "{\"type\":\"integer\"}", false) != first);
	CHECK(number_of(&all, GRAMMAR_SCHEMA, "{\"type\":\"integer\" }", true) != first);
	first = number_of(&all, GRAMMAR_REGEX, "a", true);
	CHECK(number_of(&all, GRAMMAR_GBNF, "root ::= \"a\"", true) != first);
	CHECK_EQ(front_grammars_compile(&all, &g, &src, &why), 0);
	src.choice = other;
	CHECK_EQ(front_grammars_compile(&all, &h, &src, &why), 0);
	CHECK(g->number != h->number);
	CHECK(grammar_matches(g, "ab", 2) && grammar_matches(h, "bc", 2));
	grammar_destroy(g), grammar_destroy(h);
	CHECK_EQ(all.n, 7);
	front_grammars_finish(&all);
}

TEST(a_call_outlives_the_cache)
{
	struct front_grammars all;
	struct grammar *g;

	front_grammars_init(&all);
	g = compiled(&all, GRAMMAR_REGEX, "a+", true);
	front_grammars_finish(&all);
	CHECK(grammar_matches(g, "aa", 2));
	grammar_destroy(g);
}

TEST(what_is_refused_is_not_kept)
{
	struct front_grammars all;
	struct grammar_source src = {.kind = GRAMMAR_REGEX, .text = {"(", 1}};
	struct grammar *g;
	struct why why;

	front_grammars_init(&all);
	CHECK_EQ(front_grammars_compile(&all, &g, &src, &why), ERR_INVALID);
	CHECK(!g);
	CHECK_EQ(all.n, 0);
	front_grammars_finish(&all);
}

static size_t bytes_of(const struct front_grammars *all)
{
	size_t n = 0;

	for (int i = 0; i < all->n; i++)
		n += all->kept[i].key_len + grammar_bytes(all->kept[i].grammar);
	return n;
}

/* Many small ones, then large ones, and one that is too large. */
TEST(it_cannot_grow)
{
	struct front_grammars all;
	static char text[40000];
	uint64_t first;

	front_grammars_init(&all);
	first = number_of(&all, GRAMMAR_REGEX, "first", true);
	for (int i = 0; i < 3 * GRAMMARS_MOST; i++) {
		snprintf(text, sizeof text, "x%d", i);
		number_of(&all, GRAMMAR_REGEX, text, true);
		CHECK(all.n <= GRAMMARS_MOST);
		CHECK_EQ(all.bytes, bytes_of(&all));
		if (i < GRAMMARS_MOST) /* what is used stays */
			CHECK_EQ(number_of(&all, GRAMMAR_REGEX, "first", true), first);
	}
	CHECK(number_of(&all, GRAMMAR_REGEX, "first", true) != first);
	for (int i = 0; i < 20; i++) {
		memset(text, 'a', sizeof text - 1);
		snprintf(text, 16, "%d-", i);
		text[strlen(text)] = 'a';
		number_of(&all, GRAMMAR_REGEX, text, true);
		CHECK(all.bytes <= GRAMMARS_BYTES);
		CHECK_EQ(all.bytes, bytes_of(&all));
	}
	CHECK(all.n < GRAMMARS_MOST);
	front_grammars_finish(&all);
}

static _Atomic int wrong;

static void *hammer(void *arg)
{
	char text[32];

	for (int i = 0; i < 300; i++) {
		struct grammar *g;
		snprintf(text, sizeof text, "x%d", i * 7 % 100);
		g = compiled(arg, GRAMMAR_REGEX, text, true);
		wrong += !grammar_matches(g, text, strlen(text));
		grammar_destroy(g);
	}
	return NULL;
}

TEST(threads)
{
	struct front_grammars all;
	pthread_t other;

	front_grammars_init(&all);
	CHECK_EQ(pthread_create(&other, NULL, hammer, &all), 0);
	hammer(&all);
	pthread_join(other, NULL);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(all.bytes, bytes_of(&all));
	front_grammars_finish(&all);
}

CHECK_MAIN()
