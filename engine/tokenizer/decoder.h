/* decoder.h - decodes tokens one by one: the "decoder" of a tokenizer.json as a chain of stages.
 *
 * A stage receives strings and passes strings on, as the reference's decode_chain() does with whole lists. Each holds
 * back only what it cannot yet decide, so a stream of single tokens gives exactly the bytes of decoding them all. */
#ifndef ENGINE_TOKENIZER_DECODER_H
#define ENGINE_TOKENIZER_DECODER_H

#include "base/json/json.h"

#include "engine/tokenizer/pattern.h"
#include "engine/tokenizer/text.h"

enum stage_kind { STAGE_REPLACE, STAGE_BYTES, STAGE_FUSE, STAGE_STRIP, STAGE_METASPACE, STAGE_LETTERS, STAGE_SPACES };
struct stage {
	enum stage_kind kind;
	struct pattern pattern; /* of REPLACE; of METASPACE: the mark */
	char *content;
	size_t len;
	int start, stop; /* STRIP: how many of the content's character to strip at each end */
	bool fused;      /* STRIP: it follows Fuse and strips the text as a whole */
	bool keep_first; /* METASPACE: the first mark is a space, too */
};
struct decoder {
	struct stage *stage;
	int n;
};
/* A null decoder puts spaces between tokens. ERR_UNSUPPORTED names what is missing here. */
int decoder_parse(struct decoder *d, const struct json *json, const char *file, struct why *why);
void decoder_letters(struct decoder *d); /* GPT-2's decoder: maps letters to bytes */
void decoder_finish(struct decoder *d);

/* The state of one stream. */
struct decoding;
struct decoding *decoding_start(const struct decoder *d);
void decoding_end(struct decoding *d);
/* Adds a token's string; appends to out what is certain. */
void decoding_push(struct decoding *d, const char *s, size_t len, struct tok_text *out);
void decoding_flush(struct decoding *d, struct tok_text *out);
void decoding_peek(const struct decoding *d, struct tok_text *out); /* appends what a flush would; the stream goes on */

/* Returns the byte of a token <0xHH>, else -1. */
int byte_token(const char *s, size_t len);

/* Assembles UTF-8 from pieces; an ill-formed part becomes U+FFFD as soon as it is known to be one. */
struct utf8_stream {
	char held[4];
	int n;
};
void utf8_stream_push(struct utf8_stream *u, const char *s, size_t len, struct tok_text *out);
void utf8_stream_flush(struct utf8_stream *u, struct tok_text *out);

#endif
