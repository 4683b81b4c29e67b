#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/die.h"

void *xalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		die("out of memory: %zu x %zu bytes", count, size);
	return p;
}

void *xalloc_touched(size_t count, size_t size)
{
	volatile char *p = xalloc(count, size);

	for (size_t i = 0; i < count * size; i += 4096)
		p[i] = 0;
	return (void *)p;
}

void *xgrow(void *p, size_t count, size_t size)
{
	p = reallocarray(p, count ? count : 1, size ? size : 1);
	if (!p)
		die("out of memory: %zu x %zu bytes", count, size);
	return p;
}

char *xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(xalloc(n, 1), s, n);
}

char *xprintf(const char *fmt, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, fmt);
	n = vasprintf(&s, fmt, args);
	va_end(args);
	if (n < 0)
		die("out of memory: formatting %s", fmt);
	return s;
}
