/* framing.h - where requests begin and end in the bytes of a connection, read strictly. libmicrohttpd's parser takes
 * more than RFC 9112 lets two parsers agree on, shows its callers no raw bytes, and answers what it refuses by itself
 * with HTML; so every byte passes here first (tap.c) and a doubtful one never reaches it. */
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
	char line[FRAMING_NAME + 1]; /* how the current line begins */
	char tail[10];               /* and the last bytes of a request line */
	size_t line_len, total;      /* of the line; of the head, or the trailer */
	int lines;
	bool cr, http10, coded, sized; /* cr: the last byte was one */
	uint64_t left;                 /* bytes of the body or the chunk */
	uint64_t complete;             /* whole requests so far */
	int status;                    /* of the refusal, 0: none; then nothing more is read */
	const char *why;
};

/* Reads what comes next. Returns how many of the bytes belong to whole requests: all that may be handed on where
 * f->status became set, which the rest then caused. */
size_t http_framing_feed(struct http_framing *f, const char *data, size_t len);

#endif
