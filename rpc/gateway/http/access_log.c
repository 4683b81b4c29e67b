/* log.c - one JSON line a request: neither texts nor keys. A log that nobody reads holds nothing up: its lines are lost
 * and counted. */
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpc/gateway/gateway.h"

static void put_time(struct text *t)
{
	struct timespec now;
	struct tm tm;
	char s[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(s, sizeof s, "%Y-%m-%dT%H:%M:%S", &tm);
	text_fmt(t, "{\"time\":\"%s.%03ldZ\"", s, now.tv_nsec / 1000000);
}

static void put_string(struct text *t, const char *name, const char *value)
{
	text_fmt(t, ",\"%s\":", name);
	text_json_str(t, value);
}

void access_log(const struct exchange *x)
{
	struct pollfd out = {.fd = x->g->log_fd, .events = POLLOUT};
	struct text t = {0};

	if (out.fd < 0)
		return;
	put_time(&t);
	put_string(&t, "id", x->id);
	put_string(&t, "from", x->conn->address);
	put_string(&t, "method", x->method);
	put_string(&t, "path", x->route ? x->route->path : "-");
	text_fmt(&t, ",\"status\":%d,\"bytes\":%ju,\"ms\":%.3f", x->answer.status, (uintmax_t)x->stream.bytes,
		 (double)(now_ns() - x->start_ns) / 1e6);
	if (x->model)
		put_string(&t, "model", model_name(x->model));
	if (x->prompt_tokens || x->output_tokens)
		text_fmt(&t, ",\"prompt_tokens\":%ju,\"completion_tokens\":%ju", (uintmax_t)x->prompt_tokens,
			 (uintmax_t)x->output_tokens);
	text_fmt(&t, ",\"stream\":%s,\"cut\":%s}\n", x->stream.on ? "true" : "false", x->cut ? "true" : "false");
	if (!poll(&out, 1, 0) || !(out.revents & POLLOUT) || write(out.fd, t.data, t.len) != (ssize_t)t.len)
		x->g->count.log_lost++;
	text_finish(&t);
}
