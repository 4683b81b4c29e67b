/* part.h - a batch that several commands share, each on a machine of its own: part K of N is a run of lines with an
 * output and a journal of its own, and the part that ends last joins all of them. */
#ifndef RPC_CLI_BATCH_PART_H
#define RPC_CLI_BATCH_PART_H

#include "base/base.h"

enum { BATCH_PARTS = 10000 };

struct batch_part {
	int at, of; /* 1 to `of`; of is 0: the whole file */
};

/* "3/8". ERR_INVALID. */
int batch_part_parse(struct batch_part *p, const char *text, struct why *why);
/* The first of n lines that belongs to a part; that of the next part ends it. */
int batch_part_first(int part, int parts, int n);
/* Where a part's answers go; the caller frees it. */
char *batch_part_path(const char *out, int part, int parts);
/* A part that has all its answers has no journal left. */
bool batch_part_is_done(const char *out, int part, int parts);
/* How many parts an earlier run cut this output into, by its files; 0: there are none. */
int batch_part_left(const char *out);
/* What all parts must share is one line of JSON beside them, which the first part writes. ERR_MISMATCH: this part's
 * differs; the message names the first key that does. ERR_IO. */
int batch_part_agree(const char *out, const char *head, struct why *why);
/* Joins the parts in order into `out`, which appears whole, and removes them. *joined is false while some are missing.
 * Two that join at once write the same bytes. ERR_IO. */
int batch_part_join(const char *out, int parts, bool *joined, struct why *why);
void batch_part_remove(const char *out, int parts); /* their journals and what they share, too */

#endif
