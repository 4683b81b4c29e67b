/* mapped.h - memory whose pages a mapped file fills.
 *
 * Where that file is cut short while it is mapped, touching the pages is a bus error; the crash handler finds the file
 * here. One thread adds ranges; a signal handler may read them at any time. */
#ifndef BASE_MAPPED_H
#define BASE_MAPPED_H

#include <stddef.h>

/* `what` is a sentence about the file, the reason of such a crash. It must stay valid for good. */
void mapped_add(const void *p, size_t bytes, const char *what);
const char *mapped_what(const void *address); /* NULL: the address lies in no mapped file */

#endif
