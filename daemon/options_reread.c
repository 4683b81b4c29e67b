/* options_reread.c - takes over what a running server can change of its options. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"

/* The scheduler's tables have the size of these limits at the start. */
static const struct {
	const char *name;
	size_t offset;
	bool bounded;
} live_numbers[] = {
	{"max-num-queued-reqs", offsetof(struct options, max_queued_reqs), true},
	{"max-num-queued-tokens", offsetof(struct options, max_queued_tokens), true},
	{"shutdown-timeout", offsetof(struct options, shutdown_timeout_s), false},
};
enum { LIVE = sizeof live_numbers / sizeof *live_numbers };

static int64_t *number(struct options *o, int i)
{
	return (int64_t *)(void *)((char *)o + live_numbers[i].offset);
}

static int live_index(const struct option_row *row)
{
	int i = 0;

	while (i < LIVE && live_numbers[i].offset != row->offset)
		i++;
	return i;
}

static bool differs(const struct option_row *row, const struct options *a, const struct options *b)
{
	const char *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
	const char *s = row->kind == OPT_TEXT ? *(char *const *)(const void *)x : NULL;
	const char *t = row->kind == OPT_TEXT ? *(char *const *)(const void *)y : NULL;

	switch (row->kind) {
	case OPT_TEXT:
		return strcmp(s ? s : "", t ? t : "") != 0;
	case OPT_NUMBER:
		return memcmp(x, y, sizeof(int64_t)) != 0;
	case OPT_CHOICE:
		return memcmp(x, y, sizeof(int)) != 0;
	default:
		return *(const bool *)x != *(const bool *)y;
	}
}

static void take_number(struct options *live, struct options *now, const struct options *start, int i)
{
	int64_t most = *number((struct options *)(uintptr_t)start, i), *to = number(live, i), from = *to,
		v = *number(now, i);

	if (live_numbers[i].bounded && v > most) {
		log_event(LOG_WARN, "an option can be raised to its value at the start only; more needs a restart",
			  " option=%s asked=%lld value=%lld", live_numbers[i].name, (long long)v, (long long)most);
		v = most;
	}
	*to = v;
	if (v != from)
		log_event(LOG_INFO, "an option has changed", " option=%s from=%lld to=%lld", live_numbers[i].name,
			  (long long)from, (long long)v);
}

int options_reread(struct options_source *from, struct options *live, struct why *why)
{
	struct options now;
	int err = options_parse(&now, from->argc, from->argv, NULL, why);

	for (int i = 0; !err && i < LIVE; i++)
		take_number(live, &now, &from->start, i);
	if (!err && now.log_level != from->last_level)
		from->last_level = live->log_level = now.log_level;
	for (int i = 0; !err && i < option_count; i++) {
		const struct option_row *row = &option_table[i];
		bool taken = live_index(row) < LIVE || row->offset == offsetof(struct options, log_level);
		if (!taken && differs(row, &now, &from->start))
			log_event(LOG_WARN, "a changed option needs a restart", " option=%s", row->name);
	}
	options_finish(&now);
	return err;
}

void options_source_open(struct options_source *s, const struct options *now, int argc, char **argv)
{
	struct why why;

	s->argc = argc;
	s->argv = xalloc((size_t)argc + 1, sizeof *s->argv);
	memcpy(s->argv, argv, (size_t)argc * sizeof *argv);
	s->last_level = now->log_level;
	options_parse(&s->start, argc, argv, NULL, &why);
}
