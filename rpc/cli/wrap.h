/* wrap.h - text that arrives in pieces, broken between words at a terminal's edge. */
#ifndef RPC_CLI_WRAP_H
#define RPC_CLI_WRAP_H

#include "base/text.h"

/* Start from wrap_open(). A word that reaches the edge is taken back and written on the next line. */
struct wrap {
	int edge; /* columns that are used; 0: text passes as it is */
	int at;   /* column of the cursor */
	struct text word;
	int width; /* of the word */
};

struct wrap wrap_open(bool wanted);
int wrap_write(struct wrap *w, const char *text, size_t len); /* 0, or ERR_GONE */
void wrap_close(struct wrap *w);

#endif
