/* memory.h - allocation that never returns NULL: the process dies where memory has run out.
 *
 * For sizes that this code chooses. What a client's request sizes is allocated within an effort (effort.h). */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Free with free(). */
void *xalloc(size_t count, size_t size);         /* zeroed */
void *xalloc_touched(size_t count, size_t size); /* zeroed, every page written: no page fault at its first use */
void *xgrow(void *p, size_t count, size_t size); /* new memory is not zeroed */
char *xstrdup(const char *s);
char *xprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
