/* framing.h - finds strictly where requests begin and end in the bytes of a connection. libmicrohttpd's parser accepts
 * bytes that another parser may read differently (RFC 9112), shows its callers no raw bytes, and answers with HTML what
 * it refuses itself. So every byte passes here first (tap.c), and an ambiguous one never reaches it. */
#ifndef RPC_GATEWAY_HTTP_FRAMING_H
#define RPC_GATEWAY_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAMING_HEAD_BYTES = 16 << 10,
	FRAMING_LINES = 64,
	FRAMING_REQUEST_LINE = (8 << 10) + 64, /* a path of 8 KiB, method and version */
	FRAMING_NAME = 255,
	FRAMING_CHUNK_LINE = 1 << 10, /* a chunk's size with its extensions */
	FRAMING_TRAILER_BYTES = 4 << 10,
};

struct http_framing {
	enum http_framing_state {
		FRAMING_REQUEST,
		FRAMING_HEADER,
		FRAMING_BODY,
		FRAMING_SIZE,
		FRAMING_DATA,
		FRAMING_DATA_END,
		FRAMING_TRAILER,
	} state;
	char line[FRAMING_NAME + 1]; /* the first bytes of the current line */
	char tail[10];               /* the last bytes of a request line */
	size_t line_len, total;      /* bytes of the line; of the head or the trailer */
	int lines;
	bool cr, http10, coded, sized; /* cr: the last byte was one */
	uint64_t left;                 /* bytes of the body or the chunk */
	uint64_t complete;             /* whole requests so far */
	int status;                    /* of a refusal, after which nothing more is read; 0: none */
	const char *why;
};

/* Reads the next bytes. Returns how many of them belong to whole requests. If f->status was set, only these may be
 * handed on: a byte behind them was refused. */
size_t http_framing_feed(struct http_framing *f, const char *data, size_t len);

#endif
