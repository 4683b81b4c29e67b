/* job.c - allocates the memory of a compilation or rendering, and raises its errors. */
#include <stdlib.h>
#include <stdio.h>
#include "engine/template/job.h"

struct job_block {
	struct job_block *next;
	size_t used, size;
	_Alignas(16) char at[];
};

/* Under AddressSanitizer each value is a block of its own, so that an access beyond it is found. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ALONE 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined ALONE
enum { BLOCK = 0, ALIGN = 1 };
#else
enum { BLOCK = 64 << 10, ALIGN = 16 };
#endif

void *job_take(struct job *job, size_t n)
{
	struct job_block *b = job->block;
	void *p;

	n = round_up(n ? n : 1, ALIGN);
	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK / 4 ? n : BLOCK;

		if (size > TEMPLATE_MEMORY || job->used + size > TEMPLATE_MEMORY)
			raise_error(job, ERR_LIMIT, "the template uses more than %d MiB of memory",
				    TEMPLATE_MEMORY >> 20);
		struct job_block *fresh = heap_take(1, sizeof *fresh + size);
		if (!fresh)
			raise_error(job, ERR_BUSY, "out of memory for the template");
		fresh->size = size;
		job->used += size;
		/* A block of one large value goes behind the block that still has room. */
		if (b && size == n && b->size - b->used > 1024) {
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			job->block = fresh;
		}
		b = fresh;
	}
	p = b->at + b->used;
	b->used += n;
	return p;
}

void job_free(struct job *job)
{
	while (job->block) {
		struct job_block *next = job->block->next;
		heap_free(job->block);
		job->block = next;
	}
	json_decref(job->read);
	job->read = NULL;
	job->used = 0;
}

void raise_error(struct job *job, int err, const char *fmt, ...)
{
	char text[sizeof job->why->text - 32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	job->err = fail(job->why, err, "line %d: %s", job->line, text);
	longjmp(job->out, 1);
}
