/* decoder.h - tokens back to text, one after the other: the "decoder" of a tokenizer.json as a chain of stages.
 *
 * A stage takes strings and hands strings on, as the reference's decode_chain() does with whole lists; each keeps only
 * what it must not yet let go. So a stream of single tokens gives exactly the bytes of the decode of all of them. */
#ifndef ENGINE_TOKENIZER_DECODER_H
#define ENGINE_TOKENIZER_DECODER_H

#include "base/json/json.h"

#include "engine/tokenizer/pattern.h"
#include "engine/tokenizer/text.h"

enum stage_kind { STAGE_REPLACE, STAGE_BYTES, STAGE_FUSE, STAGE_STRIP, STAGE_METASPACE, STAGE_LETTERS, STAGE_SPACES };
struct stage {
	enum stage_kind kind;
	struct pattern pattern; /* REPLACE; METASPACE: the mark */
	char *content;
	size_t len;
	int start, stop; /* STRIP: so many of the content's character at each end */
	bool fused;      /* STRIP: after Fuse, the text as a whole */
	bool keep_first; /* METASPACE: the first mark is a space, too */
};
struct decoder {
	struct stage *stage;
	int n;
};
/* null: tokens with spaces between. ERR_UNSUPPORTED names what is not there. */
int decoder_parse(struct decoder *d, const struct json *json, const char *file, struct why *why);
void decoder_letters(struct decoder *d); /* GPT-2's: letters to bytes */
void decoder_finish(struct decoder *d);

/* State of one stream. */
struct decoding;
struct decoding *decoding_start(const struct decoder *d);
void decoding_end(struct decoding *d);
/* A token's string goes in; what is certain is appended to out. */
void decoding_push(struct decoding *d, const char *s, size_t len, struct text *out);
void decoding_flush(struct decoding *d, struct text *out);
void decoding_peek(const struct decoding *d, struct text *out); /* what a flush would append; the stream goes on */

/* <0xHH>: the byte, otherwise -1. */
int byte_token(const char *s, size_t len);

/* UTF-8 in pieces; an ill-formed part becomes U+FFFD as soon as it is known to be one. */
struct utf8_stream {
	char held[4];
	int n;
};
void utf8_stream_push(struct utf8_stream *u, const char *s, size_t len, struct text *out);
void utf8_stream_flush(struct utf8_stream *u, struct text *out);

#endif
