#include "daemon/convert.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/text.h"
#include "engine/checkpoint/find.h"
#include "engine/convert/convert.h"

enum { TERMINAL_MS = 200, LINE_MS = 30000 };

struct bar {
	uint64_t begin, drawn;
	bool quiet, shown;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* One line, which a terminal shows over and over; elsewhere one every half minute. */
static bool draw(void *arg, uint64_t done, uint64_t total)
{
	struct bar *b = arg;
	bool terminal = isatty(STDERR_FILENO), last = done == total;
	uint64_t now = now_ns(), every = (uint64_t)(terminal ? TERMINAL_MS : LINE_MS) * NS_PER_MS;
	double seconds = (double)(now - b->begin) / 1e9, rate = seconds > 0 ? (double)done / seconds : 0;
	struct text t = {0};

	if (b->quiet || stopped || (now - b->drawn < every && !(last && b->shown)))
		return !stopped;
	b->drawn = now, b->shown = true;
	text_fmt(&t, "%.0f %% of %.2f GiB, %.0f MiB/s", total ? 100 * (double)done / (double)total : 100,
		 (double)total / (1 << 30), rate / (1 << 20));
	if (rate > 0 && !last)
		text_left(&t, (double)(total - done) / rate);
	fprintf(stderr, "%s%s%s", terminal ? "\r\033[K" : "", t.data, last || !terminal ? "\n" : "");
	text_finish(&t);
	return true;
}

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "xverse: convert: %s%s (xverse convert --help)\n", what, value);
	return EXIT_USAGE;
}

/* "5G", "500M", "5GB", "4GiB", or bytes. A power of two, as elsewhere. */
static bool read_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	double n = strtod(s, &end);
	const char *unit = *end ? strchr(units, *end & ~32) : NULL;

	if (end == s || !(n > 0) || (*end && !unit))
		return false;
	for (const char *u = units; unit && u <= unit; u++)
		n *= 1024;
	end += unit != NULL;
	if (*end == 'i')
		end++;
	if (*end == 'B' || *end == 'b')
		end++;
	*out = n < 0x1p62 ? (uint64_t)n : (uint64_t)1 << 62;
	return !*end && *out;
}

static bool read_class(const char *s, enum convert_class *out)
{
	for (int i = 0; i < CONVERT_COUNT; i++)
		if (!strcmp(s, convert_names[i])) {
			*out = (enum convert_class)i;
			return true;
		}
	return false;
}

/* Takes one option and its value; returns how many arguments, or 0 after a message. */
static int read_option(struct convert_options *o, struct bar *b, int argc, char **argv)
{
	const char *equals = strchr(argv[0], '='), *value = equals ? equals + 1 : argc > 1 ? argv[1] : NULL;
	size_t n = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
	bool class = (n == 14 && !strncmp(argv[0], "--quantization", n)) || (n == 2 && !strncmp(argv[0], "-q", n));

	if (!strcmp(argv[0], "--quiet")) {
		b->quiet = true;
		return 1;
	}
	if (!class && !(n == 16 && !strncmp(argv[0], "--max-shard-size", n)))
		return usage("there is no option ", argv[0]), 0;
	if (!value)
		return usage("a value must follow ", argv[0]), 0;
	if (class && !read_class(value, &o->to))
		return usage("--quantization is none, bf16, f16, f32, int8, int4 or fp8, not ", value), 0;
	if (!class && !read_size(value, &o->max_shard))
		return usage("--max-shard-size is a size such as 5G or 500M, not ", value), 0;
	return equals ? 1 : 2;
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction a = {.sa_handler = stop};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &a, NULL);
}

static int convert(struct convert_options *o, struct bar *b)
{
	struct convert_result r;
	struct why why = {""};
	char *in;
	int err = model_find(&in, o->in, true, &why);

	if (!err) {
		o->in = in;
		err = convert_checkpoint(o, &r, &why);
		free(in);
	}
	if (err) {
		fprintf(stderr, "%sxverse: %s\n", b->shown && isatty(STDERR_FILENO) ? "\n" : "", why.text);
		return err == ERR_CANCELLED ? 130 : EXIT_INPUT;
	}
	if (!b->quiet)
		fprintf(stderr, "%s: %.2f GiB in %d file%s, %d of %d tensors as %s, %.1f s, source %016" PRIx64 "\n",
			o->out, (double)r.bytes / (1 << 30), r.files, r.files == 1 ? "" : "s",
			o->to >= CONVERT_INT8 ? r.quantised : r.n, r.n, convert_names[o->to],
			(double)(now_ns() - b->begin) / 1e9, r.fingerprint);
	return 0;
}

int convert_main(int argc, char **argv)
{
	struct bar b = {.begin = now_ns(), .drawn = now_ns()};
	struct convert_options o = {.max_shard = (uint64_t)5 << 30, .go_on = draw, .arg = &b};

	for (int i = 0, n; i < argc; i += n) {
		n = 1;
		if (argv[i][0] == '-')
			n = read_option(&o, &b, argc - i, argv + i);
		else if (!o.in)
			o.in = argv[i];
		else if (!o.out)
			o.out = argv[i];
		else
			return usage("more than IN and OUT: ", argv[i]);
		if (!n)
			return EXIT_USAGE;
	}
	if (!o.out || !*o.out)
		return usage("IN and OUT are needed", "");
	catch_signals();
	return convert(&o, &b);
}
