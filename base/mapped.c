#include "base/mapped.h"

#include <stdatomic.h>
#include <stdint.h>

enum { MAX_RANGES = 4096 };

static struct {
	uintptr_t first, end;
	const char *what;
} range[MAX_RANGES];
static _Atomic int ranges;

void mapped_add(const void *p, size_t bytes, const char *what)
{
	int i = atomic_load(&ranges);

	if (i == MAX_RANGES)
		return;
	range[i].first = (uintptr_t)p;
	range[i].end = (uintptr_t)p + bytes;
	range[i].what = what;
	atomic_store(&ranges, i + 1);
}

const char *mapped_what(const void *address)
{
	int n = atomic_load(&ranges);

	for (int i = n - 1; i >= 0; i--)
		if ((uintptr_t)address >= range[i].first && (uintptr_t)address < range[i].end)
			return range[i].what;
	return NULL;
}
