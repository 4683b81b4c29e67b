#include "base/base.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_out.h"

static struct {
	int rank;
	_Atomic int level;
	void (*sink)(void *arg, enum log_level level, const char *line);
	void *sink_arg;
	void (*die_hook)(void *arg, const char *why);
	void *die_arg;
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

/* "2026-01-02T03:04:05.678Z rank=1 level=warn "; who is no rank says its name. */
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

/* Texts of clients and files must not look like a line or a field of ours. */
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
				    "event=\"log lines were lost, since nobody read standard error\" lines=%llu\n",
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
	if (state.sink) {
		line[n] = 0;
		state.sink(state.sink_arg, level, line);
		return;
	}
	line[n++] = '\n'; /* one write a line, so that lines of ranks do not mix */
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

void on_die(void (*hook)(void *arg, const char *why), void *arg)
{
	state.die_hook = hook;
	state.die_arg = arg;
}

void die(const char *fmt, ...)
{
	char why[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	log_at(LOG_ERROR, "%s", why);
	if (state.die_hook)
		state.die_hook(state.die_arg, why);
	_exit(EXIT_SOFTWARE);
}

static const struct {
	int err;
	const char *name, *text;
} errors[] = {
#define ERROR(name, value, text) {value, #name, text},
#include "base/error.def"
};

const char *err_text(int err)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].err == err)
			return errors[i].text;
	return err ? "unknown error" : "success";
}

const char *err_name(int err)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].err == err)
			return errors[i].name;
	return err ? "ERR_?" : "OK";
}

/* Texts of others are cut by bytes on their way into a message: what is left of a character there is taken out, and a
 * byte that is no UTF-8 at all becomes '?'. */
static void whole_characters(char *s)
{
	char *out = s;

	while (*s) {
		unsigned char c = (unsigned char)*s;
		int size = c < 0x80                ? 1
			   : c >= 0xc2 && c < 0xe0 ? 2
			   : c >= 0xe0 && c < 0xf0 ? 3
			   : c >= 0xf0 && c < 0xf5 ? 4
						   : 0,
		    n = 1;

		while (n < size && ((unsigned char)s[n] & 0xc0) == 0x80)
			n++;
		if (n == size)
			memmove(out, s, (size_t)n), out += n;
		else if (!size)
			*out++ = '?';
		s += n;
	}
	*out = '\0';
}

int fail(struct why *why, int err, const char *fmt, ...)
{
	va_list args;

	if (why) {
		va_start(args, fmt);
		vsnprintf(why->text, sizeof why->text, fmt, args);
		va_end(args);
		whole_characters(why->text);
	}
	return err;
}

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

static const struct {
	size_t size;
	const char *name;
} dtypes[DT_COUNT] = {
	[DT_F32] = {4, "f32"}, [DT_F16] = {2, "f16"},   [DT_BF16] = {2, "bf16"}, [DT_F64] = {8, "f64"},
	[DT_I8] = {1, "i8"},   [DT_U8] = {1, "u8"},     [DT_I16] = {2, "i16"},   [DT_I32] = {4, "i32"},
	[DT_I64] = {8, "i64"}, [DT_BOOL] = {1, "bool"}, [DT_F8] = {1, "fp8"},
};

size_t dtype_size(enum dtype t)
{
	return t < DT_COUNT ? dtypes[t].size : 0;
}

const char *dtype_name(enum dtype t)
{
	return t < DT_COUNT ? dtypes[t].name : "none";
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

static float float_of(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

uint16_t bf16_from_f32(float f)
{
	uint32_t u = bits_of(f);

	if ((u & 0x7fffffff) > 0x7f800000) /* NaN: keep it one */
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float f32_from_bf16(uint16_t h)
{
	return float_of((uint32_t)h << 16);
}

float f32_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;

	if (exponent == 31)
		return float_of(sign | 0x7f800000 | fraction << 13);
	if (exponent == 0) { /* zero or subnormal: normalise, all in integers so that DAZ cannot flush it */
		if (!fraction)
			return float_of(sign);
		exponent = 113;
		while (!(fraction & 0x400)) {
			fraction <<= 1;
			exponent--;
		}
		return float_of(sign | exponent << 23 | (fraction & 0x3ff) << 13);
	}
	return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t f16_from_f32(float f)
{
	uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff, shift, rest, half, value;

	if (magnitude > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* rounds to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x33000000) /* below half the smallest subnormal */
		return (uint16_t)sign;
	if (magnitude < 0x38800000) { /* subnormal */
		shift = 126 - (magnitude >> 23);
		value = 0x800000 | (magnitude & 0x7fffff);
		half = 1u << (shift - 1);
		rest = value & ((1u << shift) - 1);
		value >>= shift;
		return (uint16_t)(sign | (value + (rest > half || (rest == half && (value & 1)))));
	}
	value = magnitude - 0x38000000;
	return (uint16_t)(sign | ((value + 0xfff + (value >> 13 & 1)) >> 13));
}
