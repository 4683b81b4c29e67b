#include "rpc/cli/bench_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void samples_add(struct samples *s, double value, int times)
{
	if (s->n + (size_t)times > s->max) {
		s->max = 2 * s->max + (size_t)times + 64;
		s->value = xgrow(s->value, s->max, sizeof *s->value);
	}
	for (int i = 0; i < times; i++)
		s->value[s->n++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void samples_sort(struct samples *s)
{
	if (s->n)
		qsort(s->value, s->n, sizeof *s->value, compare);
}

/* Of sorted samples: the least value that `part` of all (0 to 1) do not exceed (nearest rank); 0 where there are none.
 */
static double samples_quantile(const struct samples *s, double part)
{
	double rank = ceil(part * (double)s->n);

	return s->n ? s->value[rank < 1 ? 0 : (size_t)rank - 1] : 0;
}

static double samples_mean(const struct samples *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->n; i++)
		sum += s->value[i];
	return s->n ? sum / (double)s->n : 0;
}

void bench_finish(struct bench_result *b)
{
	free(b->first.value);
	free(b->between.value);
	free(b->whole.value);
	free(b->model);
	free(b->numerics_class);
}

static double per_second(const struct bench_result *b, double n)
{
	return b->seconds > 0 ? n / b->seconds : 0;
}

enum { LEFT = 21 /* columns of names */, WIDE = 76 /* of the whole table */ };

static void print_times(const char *name, const struct samples *s, bool wide)
{
	double v[] = {samples_mean(s), samples_quantile(s, 0.5), samples_quantile(s, 0.9), samples_quantile(s, 0.99),
		      samples_quantile(s, 1)};

	if (!s->n)
		cli_row(name, LEFT, "%*s", wide ? 10 : 0, "none");
	else if (wide)
		cli_print("%-20s %10.2f %10.2f %10.2f %10.2f %10.2f\n", name, v[0], v[1], v[2], v[3], v[4]);
	else
		cli_row(name, LEFT, "mean %.2f, p50 %.2f, p90 %.2f, p99 %.2f, max %.2f", v[0], v[1], v[2], v[3], v[4]);
}

static void print_load(const struct args *a, const struct bench_result *b)
{
	char rate[48] = "";

	if (a->rate > 0)
		snprintf(rate, sizeof rate, ", %g a second", (double)a->rate);
	cli_row("load", LEFT, "%d requests of %" PRId64 " + %" PRId64 " tokens, at most %" PRId64 " at a time%s",
		b->sent, a->input_len, a->output_len, a->concurrency, rate);
}

void bench_table(const struct args *a, const struct bench_result *b)
{
	bool wide = cli_columns(STDOUT_FILENO) >= WIDE;

	cli_row("model", LEFT, "%s, %s, %u rank%s", b->model, b->numerics_class, b->ranks, b->ranks == 1 ? "" : "s");
	print_load(a, b);
	cli_row("result", LEFT, "%d done, %d failed in %.2f s%s", b->done, b->failed, b->seconds,
		b->interrupted ? " (interrupted)" : "");
	for (int i = 0; i < BENCH_CODES; i++)
		if (b->errors[i])
			cli_row("", LEFT, "%d x %s", b->errors[i], err_text(-i));
	cli_row("throughput", LEFT, "%.2f requests/s, %.1f prompt tokens/s, %.1f output tokens/s",
		per_second(b, b->done), per_second(b, (double)b->prompt_tokens),
		per_second(b, (double)b->output_tokens));
	if (wide)
		cli_print("\n%-20s %10s %10s %10s %10s %10s\n", "milliseconds", "mean", "p50", "p90", "p99", "max");
	else
		cli_print("\nmilliseconds\n");
	print_times("time to first token", &b->first, wide);
	print_times("between tokens", &b->between, wide);
	print_times("whole answer", &b->whole, wide);
}

static json_t *json_of_times(const struct samples *s)
{
	return json_pack("{s:I,s:f,s:f,s:f,s:f,s:f}", "count", (json_int_t)s->n, "mean", samples_mean(s), "p50",
			 samples_quantile(s, 0.5), "p90", samples_quantile(s, 0.9), "p99", samples_quantile(s, 0.99),
			 "max", samples_quantile(s, 1));
}

json_t *bench_json(const struct args *a, const struct bench_result *b)
{
	json_t *errors = json_object();

	for (int i = 0; i < BENCH_CODES; i++)
		if (b->errors[i])
			json_object_set_new(errors, err_name(-i), json_integer(b->errors[i]));
	return json_pack("{s:s,s:s,s:i,s:I,s:I,s:I,s:f,s:i,s:i,s:i,s:o,s:b,s:f,s:I,s:I,s:I,s:f,s:f,s:f,s:o,s:o,s:o}",
			 "model", b->model, "numerics_class", b->numerics_class, "ranks", (int)b->ranks, "concurrency",
			 (json_int_t)a->concurrency, "input_len", (json_int_t)a->input_len, "output_len",
			 (json_int_t)a->output_len, "rate", (double)a->rate, "requests", b->sent, "done", b->done,
			 "failed", b->failed, "errors", errors, "interrupted", b->interrupted, "seconds", b->seconds,
			 "prompt_tokens", (json_int_t)b->prompt_tokens, "output_tokens", (json_int_t)b->output_tokens,
			 "cached_tokens", (json_int_t)b->cached_tokens, "requests_per_s", per_second(b, b->done),
			 "prompt_tokens_per_s", per_second(b, (double)b->prompt_tokens), "output_tokens_per_s",
			 per_second(b, (double)b->output_tokens), "first_token_ms", json_of_times(&b->first),
			 "inter_token_ms", json_of_times(&b->between), "e2e_ms", json_of_times(&b->whole));
}
