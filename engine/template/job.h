/* job.h - one compilation or rendering: its memory, its budget of steps, and its errors.
 *
 * Errors leave by longjmp(): everything is in one arena, so nothing has to be freed on the way out. */
#ifndef ENGINE_TEMPLATE_JOB_H
#define ENGINE_TEMPLATE_JOB_H

#include <jansson.h>
#include <setjmp.h>

#include "base/base.h"
#include "engine/template/template.h"

struct job_block;
/* The state of a compilation or rendering. */
struct job {
	jmp_buf out;
	struct why *why;
	int err;
	int line; /* the line of the current construct */
	struct job_block *block;
	json_t *read; /* NULL, or a list of what filters parsed; values point into it */
	size_t used;
	long steps; /* steps left */
};
void *job_take(struct job *job, size_t n); /* zeroed, 16-byte aligned */
void job_free(struct job *job);
void raise_error(struct job *job, int err, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));
#define bad(job, ...) raise_error(job, ERR_INVALID, __VA_ARGS__)
/* Counts work; raises ERR_LIMIT when the budget is spent. */
static inline void spend(struct job *job, size_t n)
{
	job->steps -= (long)n;
	if (job->steps < 0)
		raise_error(job, ERR_LIMIT, "the template needs more than %d steps", TEMPLATE_STEPS);
}

#endif
