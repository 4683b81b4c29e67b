#include "rpc/cli/bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "rpc/cli/cli.h"

enum { TERMINAL_MS = 200, LINE_MS = 30000 };

static void put_bar(struct text *t, uint64_t all, uint64_t total)
{
	enum { WIDTH = 20 };
	int full = all < total ? (int)(all * WIDTH / total) : WIDTH;

	text_fmt(t, "[%.*s%.*s] ", full, "####################", WIDTH - full, "--------------------");
}

static void put_line(struct text *t, const struct bar *b, const char *more)
{
	uint64_t all = b->already + b->done;
	double seconds = (double)(now_ns() - b->begin_ns) / 1e9, rate = seconds > 0 ? (double)b->done / seconds : 0;

	if (b->total && isatty(STDERR_FILENO))
		put_bar(t, all, b->total);
	text_fmt(t, "%" PRIu64, all);
	if (b->total)
		text_fmt(t, "/%" PRIu64, b->total);
	text_fmt(t, " %s%s", b->unit, (b->total ? b->total : all) == 1 ? "" : "s");
	if (b->failed)
		text_fmt(t, ", %" PRIu64 " failed", b->failed);
	if (b->done)
		text_fmt(t, rate < 10 ? ", %.2f/s" : ", %.0f/s", rate);
	if (b->done && b->total > all)
		text_left(t, (double)(b->total - all) / rate);
	if (b->prompt_tokens)
		text_fmt(t, ", %.0f %% of prompts from the cache",
			 100.0 * (double)b->cached_tokens / (double)b->prompt_tokens);
	if (more && *more)
		text_fmt(t, ", %s", more);
}

void bar_draw(struct bar *b, const char *more, bool last)
{
	bool terminal = isatty(STDERR_FILENO);
	uint64_t now = now_ns(), every = (uint64_t)(terminal ? TERMINAL_MS : LINE_MS) * NS_PER_MS;
	struct text t = {0};
	size_t width = terminal ? (size_t)cli_columns(STDERR_FILENO) : SIZE_MAX;

	if (!b->begin_ns)
		b->begin_ns = b->drawn_ns = now;
	if (b->quiet || (!last && now - b->drawn_ns < every) || (last && !b->done && !b->shown))
		return;
	b->drawn_ns = now;
	b->shown = true;
	put_line(&t, b, more);
	if (t.len >= width) /* a line that wraps cannot be overwritten */
		t.len = width - 1;
	fprintf(stderr, "%s%.*s%s", terminal ? "\r\033[K" : "", (int)t.len, t.data, last || !terminal ? "\n" : "");
	fflush(stderr);
	text_finish(&t);
}
