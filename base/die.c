#include "base/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/log.h"

static struct {
	void (*call)(void *arg, const char *why);
	void *arg;
} hook;

void on_die(void (*call)(void *arg, const char *why), void *arg)
{
	hook.call = call;
	hook.arg = arg;
}

void die(const char *fmt, ...)
{
	char why[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	log_at(LOG_ERROR, "%s", why);
	if (hook.call)
		hook.call(hook.arg, why);
	_exit(EXIT_SOFTWARE);
}
