/* render.c - renders templates for check_template: one JSON object a line on standard input, one a line on standard
 * output. in:  {"template": source, "own": {...}, "said": {...}, "now": seconds}     ("template" may be left out: the
 * one before) out: {"text": ...} or {"error": code name, "why": ...}, with "user": the parts that are the user's, "ms":
 * CPU time of rendering */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "engine/template/template.h"

static json_t *refusal(int err, const struct why *why)
{
	return json_pack("{s:s, s:s}", "error", err_name(err), "why", why->text);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static json_t *answer(const struct template *t, json_t *in)
{
	struct template_input input = {.own = json_object_get(in, "own"),
				       .said = json_object_get(in, "said"),
				       .now = json_integer_value(json_object_get(in, "now"))};
	struct template_output out;
	struct why why;
	uint64_t start = cpu_ns();
	int err = template_render(t, &input, &out, &why);
	double ms = (double)(cpu_ns() - start) / 1e6;

	if (err)
		return refusal(err, &why);
	json_t *user = json_array();
	for (int i = 0; i < out.n; i++)
		if (out.piece[i].user)
			json_array_append_new(user, json_stringn(out.piece[i].text, out.piece[i].len));
	json_t *reply = json_pack("{s:o, s:o, s:f}", "text", json_stringn(out.text, out.len), "user", user, "ms", ms);
	template_output_free(&out);
	return reply;
}

int main(void)
{
	struct template *t = NULL;
	struct why why = {{0}}, seen;
	char *line = NULL;
	size_t max = 0;
	int err = 0;

	while (getline(&line, &max, stdin) > 0) {
		json_t *in = json_loads(line, JSON_ALLOW_NUL, NULL), *source = json_object_get(in, "template"), *reply;
		if (source) {
			template_free(t);
			err = template_compile(&t, json_string_value(source), json_string_length(source), &why);
		}
		seen = why;
		reply = err ? refusal(err, &seen) : answer(t, in);
		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(reply);
		json_decref(in);
	}
	template_free(t);
	free(line);
	return 0;
}
