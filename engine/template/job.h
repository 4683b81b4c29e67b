/* job.h - one compilation or rendering: its memory, its budget of work, and the way out of it.
 *
 * Errors leave by longjmp: everything lives in one arena, so nothing has to be released on the way out. */
#ifndef ENGINE_TEMPLATE_JOB_H
#define ENGINE_TEMPLATE_JOB_H

#include <jansson.h>
#include <setjmp.h>

#include "base/base.h"
#include "engine/template/template.h"

struct arena_block;
/* Where an error of compilation or evaluation goes, and the memory it gives up. */
struct job {
	jmp_buf out;
	struct why *why;
	int err;
	int line; /* of the construct at work */
	struct arena_block *block;
	json_t *read; /* NULL, or a list of what filters parsed: values point into it */
	size_t used;
	long steps; /* left */
};
void *job_take(struct job *job, size_t n); /* zeroed, 16-byte aligned */
void job_free(struct job *job);
void raise_error(struct job *job, int err, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));
#define bad(job, ...) raise_error(job, ERR_INVALID, __VA_ARGS__)
/* Counts work. */
static inline void spend(struct job *job, size_t n)
{
	job->steps -= (long)n;
	if (job->steps < 0)
		raise_error(job, ERR_LIMIT, "the template takes more than %d steps", TEMPLATE_STEPS);
}

#endif
