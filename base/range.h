/* range.h - what a number from outside (a request, a file, a command line) may be. */
#ifndef BASE_RANGE_H
#define BASE_RANGE_H

#include <stdbool.h>

struct why;

enum range_bound { RANGE_FROM, RANGE_ABOVE };
struct range {
	double low, high;
	enum range_bound bound; /* RANGE_ABOVE: low itself is outside */
};
bool range_holds(const struct range *r, double x); /* no range holds NaN */
enum { RANGE_TEXT = 80 };
const char *range_text(const struct range *r, char out[RANGE_TEXT]); /* "within 0 to 1", "above 0 and at most 1" */
/* 0, or ERR_INVALID with the reason "top_p: 7 is not within 0 to 1". */
int range_check(const char *name, double x, const struct range *r, struct why *why);

#endif
