/* frame.h - a varint length and that many bytes, over plain byte buffers. No sockets, no protobuf: fuzz it. */
#ifndef RPC_FRAME_H
#define RPC_FRAME_H

#include "base/base.h"

enum { FRAME_LIMIT = 16 << 20, FRAME_HEAD_MAX = 5 };

/* Looks for a whole frame at buf. > 0: bytes it takes in all, *payload and *size set; 0: more bytes are needed (*size
 * is the payload's length once known, else 0); ERR_FORMAT: not a varint; ERR_LIMIT: over `limit`. */
long frame_next(const uint8_t *buf, size_t len, size_t limit, const uint8_t **payload, size_t *size);
/* Writes the length of a payload; returns the bytes written. */
int frame_head(uint8_t out[FRAME_HEAD_MAX], size_t size);
/* The first bytes of a connection that are an HTTP request line, not a frame. */
bool frame_is_http(const uint8_t *buf, size_t len);

#endif
