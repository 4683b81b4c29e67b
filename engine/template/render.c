/* render.c - compiles source to a tree, and renders a tree with values to marked pieces. */
#include <stdlib.h>
#include "engine/template/inside.h"
#include "base/utf8.h"

enum { COMPILE_STEPS = 8000000 };

void template_free(struct template *t)
{
	if (!t)
		return;
	job_free(&t->job);
	free(t);
}

int template_compile(struct template **out, const char *source, size_t len, struct why *why)
{
	struct template *t;
	size_t at;

	*out = NULL;
	if (len > TEMPLATE_SOURCE)
		return fail(why, ERR_LIMIT, "a template of %zu bytes; %d are allowed", len, TEMPLATE_SOURCE);
	if (!utf8_valid(source, len, &at))
		return fail(why, ERR_FORMAT, "the template is not UTF-8 at byte %zu", at);
	t = xalloc(1, sizeof *t);
	t->job = (struct job){.why = why, .steps = COMPILE_STEPS, .line = 1};
	if (setjmp(t->job.out)) {
		int err = t->job.err;
		template_free(t);
		return err;
	}
	struct lexemes lexemes = {0};
	lex_template(&t->job, source, len, &lexemes);
	t->root = parse_template(&t->job, &lexemes);
	t->job.why = NULL;
	*out = t;
	return 0;
}

void template_output_free(struct template_output *out)
{
	free(out->piece);
	free(out->text);
	*out = (struct template_output){0};
}

/* Returns ERR_BUSY if starved of memory; `out` can then be freed. */
static int to_output(const struct tpl_text *t, struct template_output *out, struct why *why)
{
	int max = 0;
	void *to;

	*out = (struct template_output){.len = t->g.len, .text = heap_take(1, t->g.len + 1)};
	if (t->g.len && out->text)
		memcpy(out->text, t->g.s, t->g.len);
	for (size_t i = 0, end; i < t->g.len && out->text; i = end) {
		bool user = t->g.mark[i] != ORIGIN_TEMPLATE;

		for (end = i; end < t->g.len && (t->g.mark[end] != ORIGIN_TEMPLATE) == user; end++)
			out->seen[t->g.mark[end]] = true;
		if (out->n == max) {
			to = heap_grow(out->piece, (size_t)max * 2 + 16, sizeof *out->piece);
			if (!to)
				break;
			out->piece = to;
			max = max * 2 + 16;
		}
		out->piece[out->n++] = (struct template_piece){out->text + i, end - i, user};
	}
	return effort_check(why);
}

static struct dict *variables(struct rendering *r, const json_t *j, bool said)
{
	if (!j)
		return dict_make(&r->job, 0);
	if (!json_is_object(j))
		bad(&r->job, "the variables of a template must be an object");
	return said ? said_from_json(&r->job, j) : value_from_json(&r->job, j, ORIGIN_TEMPLATE, 0).d;
}

int template_render(const struct template *t, const struct template_input *in, struct template_output *out,
		    struct why *why)
{
	struct rendering r = {.job = {.why = why, .steps = TEMPLATE_STEPS, .line = 1}, .now = in->now};
	struct tpl_text text = {.job = &r.job, .limit = TEMPLATE_OUTPUT};
	struct scope root = {0};
	int err;

	*out = (struct template_output){0};
	if (setjmp(r.job.out)) {
		job_free(&r.job);
		return r.job.err;
	}
	r.own = variables(&r, in->own, false);
	r.said = variables(&r, in->said, true);
	r.out = &text;
	exec_body(&r, &root, t->root);
	err = to_output(&text, out, why);
	if (err)
		template_output_free(out);
	job_free(&r.job);
	return err;
}
