/* input.h - the file of requests: where each line stands, what distinguishes it, and the order that suits the server's
 * prefix cache. */
#ifndef RPC_CLI_BATCH_INPUT_H
#define RPC_CLI_BATCH_INPUT_H

#include <time.h>

#include "base/base.h"

enum { BATCH_CUTS = 6 };

/* A line that is not blank. */
struct batch_line {
	uint64_t at;              /* in the file */
	uint64_t id;              /* hash of its id, or of its number where it has none */
	uint32_t len, number;     /* number from 1, as editors count */
	uint64_t cut[BATCH_CUTS]; /* hashes of the first 64, 256, 1 Ki, ... bytes of its prompt */
};

struct batch_input {
	char *path;
	int fd, n;
	struct timespec changed; /* the file, before it was read */
	struct batch_line *line; /* (n) in the file's order */
	uint32_t *order;         /* (n) lines whose prompts begin alike follow each other */
	uint64_t bytes, hash;    /* of the file, lines in order */
};

/* ERR_UNKNOWN, ERR_IO, ERR_LIMIT; ERR_FORMAT: compressed data or the like; ERR_INVALID: two lines have one id. Lines
 * that are no requests are no error here. */
int batch_input_open(struct batch_input *in, const char *path, bool as_is, struct why *why);
/* Drops all lines but [from, to), which keep their numbers. */
void batch_input_keep(struct batch_input *in, int from, int to, bool as_is);
void batch_input_close(struct batch_input *in);
/* The text of a line (len), which the caller frees. ERR_MISMATCH: the file has changed since it was opened. */
int batch_input_read(const struct batch_input *in, int i, char **text, struct why *why);

#endif
