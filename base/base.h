/* base.h - what every folder may use: logging, dying, allocation, error codes, element types. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines go to standard error, or to the sink where one is set: time, rank, level, event="what happened" and, where
 * there are any, its data as fields, for which `fields` begins with a space: " seconds=%.2f model=\"%s\"". No line
 * waits for a reader: what standard error has no room for is counted and left out. */
void log_init(int rank, enum log_level level);
void log_level_set(enum log_level level);
void log_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg); /* NULL: stderr */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_event(enum log_level level, const char *event, const char *fields, ...) __attribute__((format(printf, 3, 4)));

/* A fault that cannot be repaired ends the whole job, since ranks out of step cannot be mended:
 * die() logs, calls the hook (it tells the other ranks why) and ends the process with EXIT_SOFTWARE. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void on_die(void (*hook)(void *arg, const char *why), void *arg);

/* An invariant of ours. Never use it on what a client or a file says. */
#define REQUIRE(cond) ((cond) ? (void)0 : die("%s:%d: broken invariant: %s", __FILE__, __LINE__, #cond))

/* Exit codes of every program of the project (sysexits.h where that has one). */
enum { EXIT_OK = 0, EXIT_USAGE = 64, EXIT_INPUT = 66, EXIT_SOFTWARE = 70, EXIT_AGAIN = 75, EXIT_CONFIG = 78 };

/* Codes for what the outside world can get wrong. The RPC answers with them. */
enum {
#define ERROR(name, value, text) name = value,
#include "base/error.def"
};
const char *err_text(int err); /* never NULL */
const char *err_name(int err); /* "ERR_BUSY" */

/* The reason of a refusal, for a person, in whole characters of UTF-8. fail() fills it and returns `err`: `return
 * fail(why, ERR_FORMAT, ...)`. */
struct why {
	char text[512];
};
int fail(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* why may be NULL */

/* Never return NULL (out of memory dies); memory is zeroed. Free with free(). */
void *xalloc(size_t count, size_t size);
void *xalloc_touched(size_t count, size_t size); /* every page is written: no fault at its first use */
void *xgrow(void *p, size_t count, size_t size); /* new memory is not zeroed */
char *xstrdup(const char *s);
char *xprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What a thread does for a client, bounded in memory and CPU time, and stopped when the client has gone. During an
 * effort heap_grow() and heap_take() return NULL where there is no memory, or where the effort's bytes are spent, and
 * it is starved from then on; outside of any effort they die as xalloc() does. */
struct effort {
	size_t bytes;        /* that it may take; 0: no bound */
	uint64_t cpu_ns;     /* of CPU time; 0: no bound */
	bool stop;           /* effort_stop() sets it, from any thread */
	bool starved, spent; /* there was no memory; `bytes` were not enough */
	size_t left;
	uint64_t looked_ns; /* when the CPU clock was read last */
	uint64_t end_ns;    /* of the thread's CPU clock */
	struct effort *outer;
};
void effort_begin(struct effort *w); /* it is the calling thread's until effort_end(); they nest, and the inner one
					alone counts */
void effort_end(void);
void effort_stop(struct effort *w);
bool effort_goes_on(void);         /* cheap enough for any loop */
int effort_check(struct why *why); /* 0, ERR_CANCELLED, ERR_LIMIT (CPU time or its bytes), ERR_BUSY (no memory) */
/* Memory whose size a client or its text decides. heap_grow() leaves p alone where it fails; new memory is not zeroed.
 * heap_take() zeroes. heap_free() gives back to the effort what free() would leave counted. */
void *heap_grow(void *p, size_t count, size_t size);
void *heap_take(size_t count, size_t size);
void *heap_malloc(size_t size); /* for libraries that take an allocator; not zeroed */
void heap_free(void *p);
/* Large blocks go back to the system when they are freed, whatever was freed before; at the start of a program. */
void heap_init(void);
/* Gives free memory back; some milliseconds. */
void heap_trim(void);

enum dtype {
	DT_F32,
	DT_F16,
	DT_BF16,
	DT_F64,
	DT_I8,
	DT_U8,
	DT_I16,
	DT_I32,
	DT_I64,
	DT_BOOL,
	DT_F8 /* e4m3 */,
	DT_COUNT
};
size_t dtype_size(enum dtype t);
const char *dtype_name(enum dtype t); /* "f32", "bf16", ... */

/* Memory whose pages a file fills. Where that file is cut short while it is used, touching them is a bus error, and
 * `what` (a sentence about the file, for good) becomes the reason of the crash. One thread adds; a signal handler may
 * look. */
void mapped_add(const void *p, size_t bytes, const char *what);
const char *mapped_what(const void *address); /* NULL: no such memory */

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/* First in main(): standard input, output and error that are closed become /dev/null, else the first socket or file
 * that is opened would get their number, and log lines. */
void stdio_open(void);

/* Conversions that every class agrees on: round to nearest even, NaN stays NaN. */
uint16_t bf16_from_f32(float f);
float f32_from_bf16(uint16_t h);
uint16_t f16_from_f32(float f);
float f32_from_f16(uint16_t h); /* exact, subnormals kept */

/* What a number from outside may be: of a request, a file, a command line. */
enum range_bound { RANGE_FROM, RANGE_ABOVE };
struct range {
	double low, high;
	enum range_bound bound; /* RANGE_ABOVE: low itself is outside */
};
bool range_holds(const struct range *r, double x); /* no range holds NaN */
enum { RANGE_TEXT = 80 };
const char *range_text(const struct range *r, char out[RANGE_TEXT]); /* "within 0 to 1", "above 0 and at most 1" */
/* 0, or ERR_INVALID: "top_p: 7 is not above 0 and at most 1". */
int range_check(const char *name, double x, const struct range *r, struct why *why);

static inline int min_int(int a, int b)
{
	return a < b ? a : b;
}
static inline int max_int(int a, int b)
{
	return a > b ? a : b;
}
static inline size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}
static inline int div_up(int n, int unit)
{
	return (n + unit - 1) / unit;
}

#endif
