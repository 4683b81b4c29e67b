/* Encode speed of a tokenizer: words DIR FILE prints MB/s of one thread's CPU time for the file, and for texts that are
 * all one character. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/tokenizer/tokenizer.h"

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The best of five runs. */
static void measure(const struct tokenizer *t, const char *name, const char *text, size_t len)
{
	struct encode_options how = {false, false};
	double best = 1e9;
	struct why why;
	int n = 0;

	for (int i = 0; i < 5; i++) {
		struct ids ids = {0};
		double start = cpu_seconds(), took;

		if (tokenizer_encode(t, text, len, &how, &ids, &why)) {
			fprintf(stderr, "words: %s\n", why.text);
			exit(1);
		}
		took = cpu_seconds() - start;
		best = took < best ? took : best;
		n = ids.n;
		ids_finish(&ids);
	}
	printf("%-24s %8.2f MB/s  %6.1f ns/byte  %9zu bytes %8d tokens\n", name, (double)len / best / 1e6,
	       best * 1e9 / (double)len, len, n);
}

static void repeat(const struct tokenizer *t, const char *name, const char *unit)
{
	size_t n = 1 << 20, len = strlen(unit);
	char *s = malloc(n);

	for (size_t i = 0; i < n; i++)
		s[i] = unit[i % len];
	measure(t, name, s, n - n % len);
	free(s);
}

int main(int argc, char **argv)
{
	struct tokenizer *t;
	struct why why;
	FILE *f = argc == 3 ? fopen(argv[2], "rb") : NULL;
	char *text;
	size_t len;

	if (!f || tokenizer_open(&t, argv[1], &why)) {
		fprintf(stderr, "words: %s\n", f ? why.text : "usage: words DIR FILE");
		return 1;
	}
	text = malloc(16 << 20);
	len = fread(text, 1, 16 << 20, f);
	measure(t, "the file", text, len);
	repeat(t, "one letter", "a");
	repeat(t, "spaces", " ");
	repeat(t, "one emoji", "\xF0\x9F\xA6\x99");
	repeat(t, "one Chinese character", "\xE7\x9A\x84");
	free(text);
	fclose(f);
	tokenizer_close(t);
	return 0;
}
