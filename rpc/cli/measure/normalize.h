/* normalize.h - what of a generated answer counts, so that two spellings of one answer are equal. */
#ifndef RPC_CLI_MEASURE_NORMALIZE_H
#define RPC_CLI_MEASURE_NORMALIZE_H

#include "base/text.h"

typedef void normalizer(struct text *out, const char *text, size_t len);
/* none; strip (white space around it); first-line (the first that is not blank, stripped); lower (stripped, A-Z small);
 * squad (small, without ASCII punctuation and the words a, an, the; one blank between words: SQuAD's evaluate-v1.1);
 * number (the last number, without thousands separators and needless zeros: GSM8K); letter (the first capital letter
 * A-J that stands alone). NULL: there is none of that name. */
normalizer *normalizer_find(const char *name);
const char *normalizer_names(void); /* for messages */

#endif
