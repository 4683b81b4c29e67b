#include "launch/finding.h"

#include <stdio.h>

void doctor_say(struct doctor *d, enum finding what, const char *about, const char *fmt, ...)
{
	static const char *const words[] = {"ok  ", "note", "MEND"};
	va_list args;

	if (d->host)
		printf("%s: ", d->host);
	printf("%s  %s: ", words[what], about);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	d->mend += what == MEND;
}
