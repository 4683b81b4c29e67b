#include "daemon/front/stop_text.h"

#include <stdlib.h>
#include <string.h>

void front_stop_init(struct front_stop *s, const char *const *stop, int n, bool include)
{
	memset(s, 0, sizeof *s);
	s->n = n;
	s->include = include;
	s->stop = xalloc((size_t)n, sizeof *s->stop);
	s->len = xalloc((size_t)n, sizeof *s->len);
	for (int i = 0; i < n; i++) {
		s->stop[i] = xstrdup(stop[i]);
		s->len[i] = strlen(stop[i]);
		s->longest = s->len[i] > s->longest ? s->len[i] : s->longest;
	}
}

void front_stop_finish(struct front_stop *s)
{
	for (int i = 0; i < s->n; i++)
		free(s->stop[i]);
	free(s->stop);
	free(s->len);
	free(s->held);
	memset(s, 0, sizeof *s);
}

static void hold(struct front_stop *s, const char *text, size_t len)
{
	if (s->n_held + len > s->max_held) {
		s->max_held = 2 * (s->n_held + len);
		s->held = xgrow(s->held, s->max_held, 1);
	}
	if (len)
		memcpy(s->held + s->n_held, text, len);
	s->n_held += len;
}

/* The stop string that is complete first as the text grows byte by byte, or -1. */
static int find(const struct front_stop *s, size_t *begin)
{
	size_t first_end = SIZE_MAX;
	int hit = -1;

	for (int i = 0; i < s->n; i++) {
		size_t from = s->past >= s->len[i] ? s->past - s->len[i] + 1 : 0; /* so that it ends beyond `past` */
		const char *p = s->n_held ? memmem(s->held + from, s->n_held - from, s->stop[i], s->len[i]) : NULL;
		if (p && (size_t)(p - s->held) + s->len[i] < first_end) {
			first_end = (size_t)(p - s->held) + s->len[i];
			*begin = (size_t)(p - s->held);
			hit = i;
		}
	}
	return hit;
}

/* How many bytes at the end may begin a stop string. */
static size_t uncertain(const struct front_stop *s)
{
	size_t most = s->longest ? s->longest - 1 : 0;

	for (size_t n = most < s->n_held ? most : s->n_held; n; n--)
		for (int i = 0; i < s->n; i++)
			if (n < s->len[i] && !memcmp(s->held + s->n_held - n, s->stop[i], n))
				return n;
	return 0;
}

/* Drops the first n bytes, which the previous call output: they stay until then. */
static void forget(struct front_stop *s, size_t n)
{
	memmove(s->held, s->held + n, s->n_held - n);
	s->n_held -= n;
	s->past -= n < s->past ? n : s->past;
}

int front_stop_next(struct front_stop *s, const char *text, size_t len, bool counts, const char **out, size_t *out_len)
{
	size_t begin = 0;
	int hit;

	if (!s->n) {
		*out = text;
		*out_len = len;
		return -1;
	}
	if (s->let_go) {
		forget(s, s->let_go);
		s->let_go = 0;
	}
	hold(s, text, len);
	if (!counts)
		s->past = s->n_held;
	hit = find(s, &begin);
	*out = s->held;
	*out_len = hit < 0 ? s->n_held - uncertain(s) : begin + (s->include ? s->len[hit] : 0);
	if (hit >= 0)
		s->n_held = *out_len;
	s->let_go = *out_len;
	return hit;
}

size_t front_stop_rest(struct front_stop *s, const char **out)
{
	size_t n = s->n_held - s->let_go;

	*out = n ? s->held + s->let_go : "";
	s->let_go = s->n_held;
	return n;
}
