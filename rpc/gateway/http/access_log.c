/* access_log.c - writes a JSON line for each request, without texts or keys. Writing never blocks: lines that a pipe
 * does not accept are lost and counted. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "rpc/gateway/http/inside.h"

/* Returns a descriptor, or -1: there is no log, or it cannot be opened. */
static int open_log(const char *path, struct why *why)
{
	int fd;

	if (!path || !strcmp(path, "-"))
		return path ? STDOUT_FILENO : -1;
	fd = file_append(path);
	if (fd >= 0)
		return fd;
	fail(why, ERR_IO, "--access-log %s: %s", path,
	     errno == ENXIO ? "the pipe has no reader" : file_error(path, errno));
	return -1;
}

int http_access_log_open(struct http_server *s, struct why *why)
{
	s->log_fd = open_log(s->how->access_log, why);
	return s->how->access_log && s->log_fd < 0 ? ERR_IO : 0;
}

void http_access_log_reopen(struct http_server *s)
{
	struct why why = {""};
	int fd = open_log(s->how->access_log, &why);

	if (s->how->access_log && fd < 0) {
		log_at(LOG_ERROR, "%s", why.text);
		return;
	}
	http_access_log_close(s);
	s->log_fd = fd;
}

void http_access_log_close(struct http_server *s)
{
	if (s->log_fd > STDERR_FILENO)
		close(s->log_fd);
}

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

static void put_request(struct text *t, const struct http_exchange *x)
{
	put_string(t, "id", x->head.id);
	put_string(t, "from", x->conn->address);
	put_string(t, "method", x->head.method);
	put_string(t, "path", x->head.route ? x->head.route->path : "-");
	text_fmt(t, ",\"status\":%d,\"bytes\":%ju,\"ms\":%.3f", x->answer.status, (uintmax_t)x->sent_bytes,
		 (double)(now_ns() - x->start_ns) / 1e6);
}

static void put_work(struct text *t, const struct http_exchange *x)
{
	struct http_work_log work = {0};

	if (x->work.log)
		x->work.log(x->work.data, &work);
	if (work.model)
		put_string(t, "model", work.model);
	if (work.prompt_tokens || work.output_tokens)
		text_fmt(t, ",\"prompt_tokens\":%ju,\"completion_tokens\":%ju", (uintmax_t)work.prompt_tokens,
			 (uintmax_t)work.output_tokens);
}

void http_access_log(const struct http_exchange *x)
{
	struct pollfd out = {.fd = x->server->log_fd, .events = POLLOUT};
	struct text t = {0};

	if (out.fd < 0)
		return;
	put_time(&t);
	put_request(&t, x);
	put_work(&t, x);
	text_fmt(&t, ",\"stream\":%s,\"cut\":%s}\n", x->stream.on ? "true" : "false", x->cut ? "true" : "false");
	if (!poll(&out, 1, 0) || !(out.revents & POLLOUT) || write(out.fd, t.data, t.len) != (ssize_t)t.len)
		x->server->count.log_lost++;
	text_finish(&t);
}
