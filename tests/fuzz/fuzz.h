/* fuzz.h - what the fuzz targets share. A target is a function of bytes; it traps where the product promised something
 * else. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MUST(cond) ((cond) ? (void)0 : __builtin_trap())

static inline void fuzz_quiet(void)
{
	log_level_set(LOG_ERROR);
}

/* A refusal says why, within its buffer. */
static inline void fuzz_refused(int err, const struct why *why)
{
	MUST(err < 0 && err >= ERR_INTERNAL && why->text[0] && strnlen(why->text, sizeof why->text) < sizeof why->text);
}

/* First and last corner of a tensor can be read: it lies in its file. */
static inline void fuzz_read(const struct source *s, const struct ck_tensor *t)
{
	int64_t height = t->n_dims ? t->shape[0] : 1, width = 1;
	struct why why;
	uint8_t dst[4 * 8];

	if (t->type >= DT_COUNT || !t->bytes)
		return;
	for (int i = 1; i < t->n_dims; i++)
		width *= t->shape[i];
	MUST(!slice_read(s, t, 0, height < 2 ? height : 2, 0, width < 2 ? width : 2, dst, &why));
	MUST(!slice_read(s, t, height - 1, 1, width - 1, 1, dst, &why));
}

#endif
