/* help.c - `xverse --help` and that of each command, from the tables of options.c. */
#include <stdio.h>
#include <string.h>

#include "base/help.h"
#include "rpc/cli/eval/eval.h"
#include "rpc/cli/options.h"

static const char exit_codes[] =
	"Exit codes: 0 done, 64 wrong usage, 69 no server, 70 the server failed, 75 busy, loading or draining: "
	"try again, 130 interrupted.";

static const char eval_codes[] =
	"Exit codes: 0 done, 1 wrong usage or data, 2 partial (a limit, an interruption, questions that failed), 3 alarm: these "
	"answers are no working model's; 69 no server, 70 the server failed, 75 busy, loading or draining.";

static const char batch_codes[] =
	"Exit codes: 0 every line has an answer, 64 wrong usage, or files that do not belong together, 66 the output is "
	"complete and some lines were refused, 69 no server, 70 the server failed, 75 the same command goes on, 130 "
	"interrupted.";

static const char *codes_of(const struct command *c)
{
	return c->bit == EVA ? eval_codes : c->bit == BAT || c->bit == SUB ? batch_codes : exit_codes;
}

static void list_names(FILE *out)
{
	fprintf(out, "\nNames:\n");
	for (int i = 0; eval_name_at(i); i++)
		help_row(out, eval_name_at(i), eval_help_at(i) ? eval_help_at(i) : "");
}

static void list_commands(FILE *out)
{
	const char *group = "";
	const struct command *c;

	fprintf(out, "usage: xverse COMMAND [options]\n");
	for (int i = 0; (c = command_at(i)); i++) {
		if (strcmp(group, c->group))
			fprintf(out, "\n%s:\n", c->group);
		group = c->group;
		help_row(out, c->name, c->help);
	}
	fprintf(out, "\n");
	help_text(
		out, 0,
		"A text is an argument, a file (--file) or standard input (-). xverse COMMAND --help lists the options and "
		"has examples.");
	help_text(out, 0, exit_codes);
}

static void list_options(const struct command *c, enum option_group group, FILE *out)
{
	const struct option *o;
	bool first = true;

	for (int i = 0; (o = option_at(i)); i++) {
		char flag[64];

		if (o->group != group || !(o->of & c->bit))
			continue;
		if (first)
			fprintf(out, "\n%s:\n", option_groups[group]);
		first = false;
		snprintf(flag, sizeof flag, "%s%s%s%s", o->name[1] ? "--" : "-", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		help_row(out, flag, o->help);
	}
}

static void list_examples(const struct command *c, FILE *out)
{
	fprintf(out, "\nExamples:\n");
	for (const char *line = c->examples, *end; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		fprintf(out, "  %.*s\n", (int)(end - line), line);
	}
}

void args_help(const char *command, FILE *out)
{
	const struct command *c = command ? command_find(command) : NULL;

	if (!c) {
		list_commands(out);
		return;
	}
	fprintf(out, "usage: xverse %s%s%s%s\n", c->name, *c->usage ? " " : "", c->usage, c->bit ? " [options]" : "");
	help_text(out, 0, c->help);
	if (c->bit == EVA)
		list_names(out);
	for (enum option_group g = 0; g < GROUPS; g++)
		list_options(c, g, out);
	list_examples(c, out);
	fprintf(out, "\n");
	help_text(out, 0, codes_of(c));
}
