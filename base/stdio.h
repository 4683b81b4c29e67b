/* stdio.h - standard input, output and error at the start of a program. */
#ifndef BASE_STDIO_H
#define BASE_STDIO_H

/* Called first in main(): opens closed ones on /dev/null. Otherwise the first socket or file would get such a number,
 * and log lines would be written into it. */
void stdio_open(void);

#endif
