/* check.h - a test program: TEST(name) functions, checks that print both values, one closing line.
 *
 *	TEST(adds) { CHECK_EQ(1 + 1, 2); }
 *	CHECK_MAIN()
 *
 * A failed check ends its test. SKIP("reason") ends it as skipped. argv[1], where given, runs the tests whose name
 *holds it. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_case {
	const char *name;
	void (*run)(void);
	struct check_case *next;
};
static struct check_case *check_first, **check_last = &check_first;
static jmp_buf check_out;
static int check_full; /* --full was given: the long form */

#define TEST(id) \
	static void test_##id(void); \
	__attribute__((constructor)) static void register_##id(void) \
	{ \
		static struct check_case check_it = {#id, test_##id, NULL}; \
		*check_last = &check_it; \
		check_last = &check_it.next; \
	} \
	static void test_##id(void)

#define CHECK_FAIL(...) \
	do { \
		printf("  %s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__); \
		printf("\n"); \
		longjmp(check_out, 1); \
	} while (0)
#define CHECK(cond) \
	do { \
		if (!(cond)) \
			CHECK_FAIL("%s", #cond); \
	} while (0)
#define CHECK_EQ(a, b) \
	do { \
		intmax_t check_a = (intmax_t)(a), check_b = (intmax_t)(b); \
		if (check_a != check_b) \
			CHECK_FAIL("%s == %s: %" PRIdMAX " and %" PRIdMAX, #a, #b, check_a, check_b); \
	} while (0)
#define CHECK_STR(a, b) \
	do { \
		const char *check_a = (a), *check_b = (b); \
		if (strcmp(check_a, check_b)) \
			CHECK_FAIL("%s == %s: \"%s\" and \"%s\"", #a, #b, check_a, check_b); \
	} while (0)
#define CHECK_HAS(text, part) \
	do { \
		const char *check_a = (text), *check_b = (part); \
		if (!strstr(check_a, check_b)) \
			CHECK_FAIL("%s holds \"%s\": \"%s\"", #text, check_b, check_a); \
	} while (0)
#define SKIP(reason) \
	do { \
		printf("  skipped: %s\n", reason); \
		longjmp(check_out, 2); \
	} while (0)

/* The folder of test data beside the checkout ("../shared/testdata"), or where XV_TESTDATA says. */
static inline const char *check_testdata(void)
{
	const char *dir = getenv("XV_TESTDATA");
	return dir ? dir : "../shared/testdata";
}

/* 0 passed, 1 failed, 2 skipped */
static inline int check_one(const struct check_case *one)
{
	int how = setjmp(check_out);

	if (!how)
		one->run();
	return how;
}

static inline int check_run(int argc, char **argv)
{
	int count[3] = {0, 0, 0};
	const char *only = NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--full"))
			check_full = 1;
		else
			only = argv[i];
	}
	for (struct check_case *it = check_first; it; it = it->next) {
		if (only && !strstr(it->name, only))
			continue;
		int how = check_one(it);
		count[how]++;
		if (how == 1)
			printf("FAILED %s\n", it->name);
		else if (how == 2)
			printf("SKIPPED %s\n", it->name);
	}
	printf("%d passed, %d failed, %d skipped\n", count[0], count[1], count[2]);
	return count[1] ? 1 : 0;
}
#define CHECK_MAIN() \
	int main(int argc, char **argv) \
	{ \
		return check_run(argc, argv); \
	}

#endif
