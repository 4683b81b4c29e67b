/* text.h - the text whose likelihood is measured: documents as token ids, with the place of each token in the bytes. */
#ifndef RPC_CLI_MEASURE_TEXT_H
#define RPC_CLI_MEASURE_TEXT_H

#include "base/base.h"
#include "rpc/xverse.h"

struct measure_doc {
	int32_t *ids;  /* (n) the begin token first, where the tokenizer adds one */
	uint32_t *end; /* (n) bytes of the document up to the end of each token */
	int n;
};
struct measure_text {
	struct measure_doc *doc; /* (n) */
	int n;
	char sha256[65]; /* of the file */
};

/* A file is one document, a .jsonl one a line: an object whose `field` is a text, or a text itself. The server
 * tokenizes; a document of more than 1 MiB in parts that end at an empty line, else at a line's end. ERR_FORMAT with
 * file and line. */
int measure_text_read(struct measure_text *t, const char *path, const char *field, struct xv_client *c,
		      struct why *why);
/* Whether it can be read, without a server. */
int measure_text_check(const char *path, struct why *why);
void measure_text_finish(struct measure_text *t);

#endif
