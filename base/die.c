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

__attribute__((noreturn)) static void end(int exit_code, const char *fmt, va_list args)
{
	char why[500];

	vsnprintf(why, sizeof why, fmt, args);
	log_at(LOG_ERROR, "%s", why);
	if (hook.call)
		hook.call(hook.arg, why);
	_exit(exit_code);
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end(EXIT_SOFTWARE, fmt, args);
}

void die_as(int exit_code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end(exit_code, fmt, args);
}
