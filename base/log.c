#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/log_out.h"
#include "base/utf8.h"

static struct {
	int rank;
	_Atomic int level;
	void (*sink)(void *arg, enum log_level level, const char *line);
	void *sink_arg;
} state = {.rank = -1, .level = LOG_INFO};

void log_init(int rank, enum log_level level)
{
	state.rank = rank;
	log_level_set(level);
}

void log_level_set(enum log_level level)
{
	atomic_store(&state.level, (int)level);
}

void log_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg)
{
	state.sink = sink;
	state.sink_arg = arg;
}

/* "2026-01-02T03:04:05.678Z rank=1 level=warn "; a process that is no rank writes its program's name. */
static size_t log_head(char *out, size_t size, enum log_level level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(out + n, size - n, ".%03ldZ ", t.tv_nsec / 1000000);
	if (state.rank >= 0)
		n += (size_t)snprintf(out + n, size - n, "rank=%d ", state.rank);
	else
		n += (size_t)snprintf(out + n, size - n, "program=%.40s ", program_invocation_short_name);
	return n + (size_t)snprintf(out + n, size - n, "level=%s ", names[level]);
}

/* Quotes text, so that what clients and files contain cannot imitate a line or a field. */
static size_t log_quoted(char *out, size_t size, const char *text)
{
	size_t n = 0;

	out[n++] = '"';
	for (; *text && n + 3 < size; text++) {
		if (*text == '"' || *text == '\\')
			out[n++] = '\\';
		out[n++] = (unsigned char)*text < ' ' ? ' ' : *text;
	}
	out[n++] = '"';
	return n;
}

static size_t log_lost(char *out, size_t size, uint64_t lost)
{
	size_t n = log_head(out, size, LOG_WARN);

	return n + (size_t)snprintf(out + n, size - n,
				    "event=\"log lines were lost: standard error was full\" lines=%llu\n",
				    (unsigned long long)lost);
}

static void log_write(enum log_level level, const char *event, const char *fields, va_list args)
{
	char line[1400];
	size_t n = log_head(line, sizeof line, level), room;
	int m = 0;

	n += (size_t)snprintf(line + n, sizeof line - n, "event=");
	n += log_quoted(line + n, 1000, event);
	room = sizeof line - n - 1;
	if (fields)
		m = vsnprintf(line + n, room, fields, args);
	m = m < 0 ? 0 : (size_t)m < room ? m : (int)room - 1;
	for (size_t end = n + (size_t)m; n < end; n++)
		line[n] = (unsigned char)line[n] < ' ' ? ' ' : line[n];
	line[n] = 0;
	n = utf8_clean(line); /* names of files are any bytes */
	if (state.sink) {
		state.sink(state.sink_arg, level, line);
		return;
	}
	line[n++] = '\n'; /* one write a line, so that the lines of ranks do not mix */
	log_out(line, n, log_lost);
}

static bool log_wanted(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char event[1000];
	va_list args;

	if (!log_wanted(level))
		return;
	va_start(args, fmt);
	vsnprintf(event, sizeof event, fmt, args);
	log_write(level, event, NULL, args);
	va_end(args);
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
	va_list args;

	if (!log_wanted(level))
		return;
	va_start(args, fields);
	log_write(level, event, fields, args);
	va_end(args);
}
