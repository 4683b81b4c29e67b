/* loading.c - waits while the daemon starts; at a terminal with a bar for each phase, its speed and the time left. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/cli/cli.h"

enum { LOOK_MS = 100, LONGEST_BAR = 40, SHORTEST_BAR = 5 };

/* The phases of Status as a person reads them; `bytes`: the measure of a phase. */
static const struct phase {
	const char *name, *text;
	bool bytes;
} phases[] = {{"preparing", "preparing", false},        {"memory", "taking memory for the weights", true},
	      {"weights", "loading weights", true},     {"packing", "writing packed weights", true},
	      {"cache", "touching the KV cache", true}, {"graphs", "capturing CUDA graphs", false},
	      {"warm-up", "warming up", false}};

static struct phase phase_of(const struct xv_status *s)
{
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
		if (!strcmp(phases[i].name, s->phase))
			return phases[i];
	return (struct phase){s->phase, *s->phase ? s->phase : "loading", false};
}

/* What was seen of the phase, for its speed. */
struct seen {
	char phase[32];
	uint64_t begin_ns, begin_done;
};

static double speed_of(struct seen *w, const struct xv_status *s)
{
	double seconds = (double)(now_ns() - w->begin_ns) / 1e9;

	if (strcmp(w->phase, s->phase)) {
		snprintf(w->phase, sizeof w->phase, "%s", s->phase);
		w->begin_ns = now_ns();
		w->begin_done = s->phase_done;
		return 0;
	}
	return seconds > 0 && s->phase_done > w->begin_done ? (double)(s->phase_done - w->begin_done) / seconds : 0;
}

static void format_time(char *out, size_t size, double seconds)
{
	int s = (int)(seconds + 0.999);

	if (s >= 3600)
		snprintf(out, size, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, size, "%d:%02d", s / 60, s % 60);
}

/* "45 % of 0.13 GB, 0.20 GB/s, 0:12 left", as far as there is a measure. */
static void format_measure(char *out, size_t size, const struct xv_status *s, bool bytes, double speed)
{
	double all = (double)s->phase_total, done = (double)s->phase_done;
	char left[32] = "?";

	if (speed > 0)
		format_time(left, sizeof left, (all - done) / speed);
	if (!s->phase_total)
		snprintf(out, size, "...");
	else if (bytes)
		snprintf(out, size, "%3d %% of %.2f GB, %.2f GB/s, %s left", (int)(100 * done / all), all / 1e9,
			 speed / 1e9, left);
	else
		snprintf(out, size, "%3d %% of %.0f, %s left", (int)(100 * done / all), all, left);
}

int loading_line(char *out, size_t size, const struct xv_status *s, double speed)
{
	struct phase p = phase_of(s);
	char measure[96];

	format_measure(measure, sizeof measure, s, p.bytes, speed);
	return snprintf(out, size, "%s %s", p.text, measure);
}

/* One line, however narrow the terminal is: the bar shrinks, then it is left out, then the text is cut. */
static void draw(const struct xv_status *s, struct seen *w)
{
	struct phase p = phase_of(s);
	int columns = cli_columns(STDERR_FILENO), width, full;
	char measure[96], bar[LONGEST_BAR + 4] = "", line[256];

	format_measure(measure, sizeof measure, s, p.bytes, speed_of(w, s));
	width = min_int(LONGEST_BAR, columns - 1 - (int)strlen(p.text) - (int)strlen(measure) - 4);
	full = s->phase_total ? (int)((double)s->phase_done / (double)s->phase_total * width) : 0;
	if (s->phase_total && width >= SHORTEST_BAR) {
		bar[0] = '[';
		memset(bar + 1, '-', (size_t)width);
		memset(bar + 1, '#', (size_t)full);
		strcpy(bar + 1 + width, "] ");
	}
	snprintf(line, sizeof line, "%s %s%s", p.text, bar, measure);
	fputc(0x0d, stderr);
	cli_say("%.*s", columns - 1, line);
	fprintf(stderr, "\033[K");
	fflush(stderr);
}

int loading_wait(struct xv_client *c, struct why *why)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	struct seen w = {.phase = ""};
	bool shows = isatty(STDERR_FILENO), drawn = false;
	int err;

	for (;;) {
		err = cli_ask(c, &r, &reply, why);
		if (!err && reply.status.state == XV_STATE_DRAINING)
			err = fail(why, ERR_DRAINING, "the server is draining");
		if (err || reply.status.state == XV_STATE_READY)
			break;
		if (shows)
			draw(&reply.status, &w);
		drawn = shows;
		poll(NULL, 0, LOOK_MS);
	}
	if (drawn)
		fprintf(stderr, "\r\033[K");
	return err;
}
