#include <stdio.h>
#include <string.h>

#include "rpc/cli/completion.h"
#include "rpc/cli/completion_value.h"
#include "rpc/cli/eval/eval.h"

/* As a word of fish: within single quotes, where ' and \ have a \ before them. */
static void put_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++)
		printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
	putchar('\'');
}

static void put_choices(const char *value)
{
	putchar('\'');
	for (; *value; value++)
		putchar(*value == '|' ? ' ' : *value);
	putchar('\'');
}

/* -x: the value is no file; -r -F: it is one. */
static void put_option(const char *command, const char *name, const char *value, const char *help,
		       enum completion_value kind)
{
	printf("complete -c xverse -n '__fish_seen_subcommand_from %s' %s %s", command, name[1] ? "-l" : "-s", name);
	if (value)
		printf(kind == COMPLETE_FILES ? " -r -F" : " -x");
	if (kind == COMPLETE_CHOICES) {
		printf(" -a ");
		put_choices(value);
	}
	printf(" -d ");
	put_quoted(help);
	putchar('\n');
}

static void put_command(const struct command *c)
{
	const struct option *o;

	for (int i = 0; c->bit && (o = option_at(i)); i++)
		if (o->of & c->bit)
			put_option(c->name, o->name, o->value, o->help, completion_value(o));
	if (completion_argument(c) == COMPLETE_FILES)
		printf("complete -c xverse -n '__fish_seen_subcommand_from %s' -F\n", c->name);
}

void completion_fish(void)
{
	const struct command *c;

	printf("# fish completion of xverse and xversed: xverse completion fish | source\n"
	       "complete -c xverse -f\n");
	for (int i = 0; (c = command_at(i)); i++) {
		printf("complete -c xverse -n __fish_use_subcommand -a %s -d ", c->name);
		put_quoted(c->help);
		putchar('\n');
		put_command(c);
		printf("complete -c xverse -n '__fish_seen_subcommand_from help' -a %s\n", c->name);
	}
	printf("complete -c xverse -n __fish_use_subcommand -a help -d 'list the commands, or the options of one'\n");
	for (int i = 0; completion_convert[i][0]; i++) {
		const char *value = completion_convert[i][1];

		put_option("convert", completion_convert[i][0], value, completion_convert[i][2],
			   value && strchr(value, '|') ? COMPLETE_CHOICES : COMPLETE_NOTHING);
	}
	for (int i = 0; eval_name_at(i); i++)
		printf("complete -c xverse -n '__fish_seen_subcommand_from eval' -a %s\n", eval_name_at(i));
	printf("complete -c xverse -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n"
	       "for program in xversed xverse-launch xverse-gateway\n"
	       "\tcomplete -c $program -n 'string match -q -- \"-*\" (commandline -ct)' "
	       "-a \"($program --help 2> /dev/null | string replace -rf '^  (--[a-z-]+).*' '\\$1')\"\n"
	       "end\n");
}
