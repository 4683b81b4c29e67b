/* ask.h - runs a program to its end and reads what it prints, in a limited time. */
#ifndef LAUNCH_ASK_H
#define LAUNCH_ASK_H

#include "base/base.h"
#include "base/text.h"

enum { ASK_TIMEOUT = -1, ASK_FAILED = -2 };

/* Standard output goes to *out; standard error too if `both`, else to the launcher's. Returns its exit code, 128 and
 * the signal that ended it, ASK_TIMEOUT (it was killed, with what it started) or ASK_FAILED (it cannot be run). */
int ask(char *const *argv, int seconds, bool both, struct text *out);

#endif
