/* sse.c - an answer in pieces: server-sent events in chunked coding. The last chunk is sent only after a whole
 * answer, so that a client can tell a broken one; "id:" and "retry:" are never sent, since official clients
 * trip over them. */
#include <string.h>

#include "rpc/gateway/gateway.h"

/* The daemon's connection is read only while the client keeps up. */
static void hold(struct exchange *x)
{
	struct stream *s = &x->stream;
	size_t queued = s->queue.len - s->sent;

	if (!s->held && queued > GW_QUEUE_BYTES) {
		s->held = true;
		watch_set(x->g, &x->watch, -1, 0);
	} else if (s->held && queued < GW_QUEUE_BYTES / 2) {
		s->held = false;
		if (x->client)
			xv_forgive(x->client);
		exchange_arm(x);
	}
}

static void put(struct exchange *x, const char *data, size_t len)
{
	text_put(&x->stream.queue, data, len);
	x->stream.put_ns = now_ns();
	hold(x);
	exchange_wake(x);
}

static ssize_t read_queue(void *arg, uint64_t pos, char *out, size_t max)
{
	struct exchange *x = arg;
	struct stream *s = &x->stream;
	size_t n = s->queue.len - s->sent;

	(void)pos;
	if (x->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n && s->ended)
		return s->clean ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n) {
		x->suspended = true;
		MHD_suspend_connection(x->conn->http);
		return 0;
	}
	n = n < max ? n : max;
	memcpy(out, s->queue.data + s->sent, n);
	s->sent += n;
	if (s->sent == s->queue.len)
		s->sent = s->queue.len = 0;
	s->bytes += n;
	x->conn->given += n;
	hold(x);
	return (ssize_t)n;
}

void stream_begin(struct exchange *x)
{
	x->stream.on = true;
	x->answer.status = 200;
	x->stream.put_ns = now_ns();
	x->g->count.streams++;
	exchange_wake(x);
}

void stream_event(struct exchange *x, const struct text *json)
{
	struct text *q = &x->stream.queue;

	text_str(q, "data: ");
	text_put(q, json->data, json->len);
	put(x, "\n\n", 2);
}

void stream_end(struct exchange *x, bool clean)
{
	if (x->stream.ended)
		return;
	x->stream.ended = true;
	x->stream.clean = clean;
	if (clean)
		text_str(&x->stream.queue, "data: [DONE]\n\n");
	exchange_wake(x);
}

void stream_refuse(struct exchange *x, int status, const char *code, const char *text)
{
	struct text t = {0};

	error_object(&t, status, code, NULL, text);
	stream_event(x, &t);
	text_finish(&t);
	stream_end(x, false);
}

void stream_error(struct exchange *x, int err, const char *text)
{
	const char *code;
	int status = error_status(err, &code);

	stream_refuse(x, status, code, error_told(err, text));
}

void stream_tick(struct exchange *x)
{
	struct stream *s = &x->stream;

	if (!s->on || s->ended || now_ns() - s->put_ns < (uint64_t)x->g->how.ping_ms * 1000000u)
		return;
	x->g->count.pings++;
	put(x, ": ping\n\n", 8);
}

struct MHD_Response *stream_response(struct exchange *x)
{
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_queue, x, NULL);

	if (!r)
		return NULL;
	MHD_add_response_header(r, "Content-Type", "text/event-stream; charset=utf-8");
	MHD_add_response_header(r, "Cache-Control", "no-cache");
	MHD_add_response_header(r, "X-Accel-Buffering", "no");
	answer_headers(x, r);
	return r;
}
