#include "rpc/gateway/http/stream.h"

#include <string.h>

#include "rpc/gateway/http/inside.h"

/* Pauses the work while the client does not keep up. */
static void hold(struct http_exchange *x)
{
	struct http_stream *s = &x->stream;
	size_t queued = s->queue.len - s->sent;
	bool paused = queued > HTTP_QUEUE_BYTES || (s->paused && queued >= HTTP_QUEUE_BYTES / 2);

	if (paused == s->paused)
		return;
	s->paused = paused;
	if (x->work.pause)
		x->work.pause(x->work.data, paused);
}

static void put(struct http_exchange *x, const char *data, size_t len)
{
	text_put(&x->stream.queue, data, len);
	x->stream.put_ns = now_ns();
	hold(x);
	http_wake(x);
}

static ssize_t read_queue(void *arg, uint64_t pos, char *out, size_t max)
{
	struct http_exchange *x = arg;
	struct http_stream *s = &x->stream;
	size_t n = s->queue.len - s->sent;

	(void)pos;
	if (x->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n && s->ended)
		return s->clean ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n) {
		x->suspended = true;
		MHD_suspend_connection(x->conn->mhd);
		return 0;
	}
	n = n < max ? n : max;
	memcpy(out, s->queue.data + s->sent, n);
	s->sent += n;
	if (s->sent == s->queue.len)
		s->sent = s->queue.len = 0;
	x->sent_bytes += n;
	x->conn->given += n;
	hold(x);
	return (ssize_t)n;
}

void http_stream_begin(struct http_exchange *x)
{
	x->stream.on = true;
	x->answer.status = 200;
	x->stream.put_ns = now_ns();
	x->server->count.streams++;
	http_wake(x);
}

void http_stream_event(struct http_exchange *x, const struct text *json)
{
	struct text *q = &x->stream.queue;

	text_str(q, "data: ");
	text_put(q, json->data, json->len);
	put(x, "\n\n", 2);
}

void http_stream_named_event(struct http_exchange *x, const char *name, const struct text *json)
{
	x->stream.named = true;
	text_fmt(&x->stream.queue, "event: %s\n", name);
	http_stream_event(x, json);
}

void http_stream_end(struct http_exchange *x, bool clean)
{
	if (x->stream.ended)
		return;
	x->stream.ended = true;
	x->stream.clean = clean;
	if (clean && !x->stream.named)
		text_str(&x->stream.queue, "data: [DONE]\n\n");
	http_wake(x);
}

void http_stream_error(struct http_exchange *x, int status, const char *code, const char *text)
{
	struct text t = {0};

	http_error_json(&t, status, code, NULL, text);
	http_stream_event(x, &t);
	text_finish(&t);
	http_stream_end(x, false);
}

bool http_stream_begun(const struct http_exchange *x)
{
	return x->stream.on;
}

int64_t http_stream_bytes(const struct http_exchange *x)
{
	return (int64_t)x->stream.queue.max;
}

void http_stream_tick(struct http_exchange *x)
{
	struct http_stream *s = &x->stream;

	if (!s->on || s->ended || now_ns() - s->put_ns < (uint64_t)x->server->how->ping_ms * 1000000u)
		return;
	x->server->count.pings++;
	put(x, ": ping\n\n", 8);
}

struct MHD_Response *http_stream_response(struct http_exchange *x)
{
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_queue, x, NULL);

	if (!r)
		return NULL;
	MHD_add_response_header(r, "Content-Type", "text/event-stream; charset=utf-8");
	MHD_add_response_header(r, "Cache-Control", "no-cache");
	MHD_add_response_header(r, "X-Accel-Buffering", "no");
	http_answer_headers(x, r);
	return r;
}
