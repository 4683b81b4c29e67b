/* program.h - which build of this program runs, for processes on several machines that must be the same. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include <stddef.h>

/* The linker's identifier of the program's file (NT_GNU_BUILD_ID, gnu's ld --build-id) in hex, or "none". */
void program_build(char *out, size_t size);

#endif
