#include "base/range.h"

#include <math.h>
#include <stdio.h>

#include "base/error.h"

bool range_holds(const struct range *r, double x)
{
	return (r->bound == RANGE_ABOVE ? x > r->low : x >= r->low) && x <= r->high;
}

/* Whole numbers with all their digits. The largest numbers of 64 bits are no doubles: they are rounded up by one. */
static const char *number_text(double x, char out[32])
{
	if (x == 0x1p64 || x == 0x1p63)
		snprintf(out, 32, "%llu", x == 0x1p64 ? ~0ull : ~0ull >> 1);
	else
		snprintf(out, 32, x == floor(x) && fabs(x) < 1e20 ? "%.0f" : "%g", x);
	return out;
}

const char *range_text(const struct range *r, char out[RANGE_TEXT])
{
	char low[32], high[32];

	snprintf(out, RANGE_TEXT, r->bound == RANGE_ABOVE ? "above %s and at most %s" : "within %s to %s",
		 number_text(r->low, low), number_text(r->high, high));
	return out;
}

int range_check(const char *name, double x, const struct range *r, struct why *why)
{
	char value[32], text[RANGE_TEXT];

	if (range_holds(r, x))
		return 0;
	return fail(why, ERR_INVALID, "%s: %s is not %s", name, number_text(x, value), range_text(r, text));
}
