/* loading.c - waits while the daemon reads weights; at a terminal with a bar, GB/s and the time left. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rpc/cli/cli.h"

enum { LOOK_MS = 100, LONGEST_BAR = 40 };

static void format_time(char *out, size_t size, double seconds)
{
	int s = (int)(seconds + 0.999);

	if (s >= 3600)
		snprintf(out, size, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, size, "%d:%02d", s / 60, s % 60);
}

static int bar_width(void)
{
	struct winsize w = {0};

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !w.ws_col)
		return LONGEST_BAR;
	return max_int(5, min_int(LONGEST_BAR, (int)w.ws_col - 50));
}

static void draw(const struct xv_status *s)
{
	double part = s->load_total ? (double)s->load_bytes / (double)s->load_total : 0;
	double speed = (double)s->load_bytes_per_s;
	int width = bar_width(), full = (int)(part * width + 0.5);
	char left[32] = "?";

	if (speed > 0 && s->load_total >= s->load_bytes)
		format_time(left, sizeof left, (double)(s->load_total - s->load_bytes) / speed);
	fprintf(stderr, "\rloading [");
	for (int i = 0; i < width; i++)
		fputc(i < full ? '#' : '-', stderr);
	fprintf(stderr, "] %3.0f %% of %.2f GB, %.2f GB/s, %s left\033[K", 100 * part, (double)s->load_total / 1e9,
		speed / 1e9, left);
	fflush(stderr);
}

int loading_wait(struct xv_client *c, struct why *why)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	bool shows = isatty(STDERR_FILENO), drawn = false;
	int err;

	for (;;) {
		err = cli_ask(c, &r, &reply, why);
		if (!err && reply.status.state == XV_STATE_DRAINING)
			err = fail(why, ERR_DRAINING, "the server is draining");
		if (err || reply.status.state == XV_STATE_READY)
			break;
		if (shows)
			draw(&reply.status);
		drawn = shows;
		poll(NULL, 0, LOOK_MS);
	}
	if (drawn)
		fprintf(stderr, "\r\033[K");
	return err;
}
