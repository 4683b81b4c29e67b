#include <stdio.h>
#include <string.h>

#include "rpc/cli/completion.h"
#include "rpc/cli/completion_value.h"
#include "rpc/cli/eval/eval.h"

/* Within single quotes, in a place where _arguments and _describe take some characters for their own. */
static void put_quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			printf("'\\''");
		else
			printf(strchr("[]:\\", *text) ? "\\%c" : "%c", *text);
}

/* ":message:action" of an option's value. */
static void put_value(const char *value, enum completion_value kind)
{
	putchar(':');
	put_quoted(value);
	putchar(':');
	if (kind == COMPLETE_FILES)
		printf("_files");
	if (kind == COMPLETE_CHOICES) {
		putchar('(');
		for (; *value; value++)
			putchar(*value == '|' ? ' ' : *value);
		putchar(')');
	}
}

/* One specification of _arguments; any option may come several times, the last one counts or all do. */
static void put_option(const char *name, const char *value, const char *help, enum completion_value kind)
{
	bool is_long = name[1];

	printf(" \\\n\t\t\t'*%s%s%s[", is_long ? "--" : "-", name, value && is_long ? "=" : "");
	put_quoted(help);
	putchar(']');
	if (value)
		put_value(value, kind);
	putchar('\'');
}

static void put_names(void)
{
	printf(" \\\n\t\t\t'*:NAME:(");
	for (int i = 0; eval_name_at(i); i++)
		printf("%s%s", i ? " " : "", eval_name_at(i));
	printf(")'");
}

static void put_command(const struct command *c)
{
	const struct option *o;

	printf("\t%s) _arguments", c->name);
	for (int i = 0; c->bit && (o = option_at(i)); i++)
		if (o->of & c->bit)
			put_option(o->name, o->value, o->help, completion_value(o));
	for (int i = 0; !strcmp(c->name, "convert") && completion_convert[i][0]; i++) {
		const char *value = completion_convert[i][1];

		put_option(completion_convert[i][0], value, completion_convert[i][2],
			   value && strchr(value, '|') ? COMPLETE_CHOICES : COMPLETE_NOTHING);
	}
	if (!strcmp(c->name, "eval"))
		put_names();
	else if (!strcmp(c->name, "completion"))
		printf(" '1:SHELL:(bash zsh fish)'");
	else if (completion_argument(c) == COMPLETE_FILES)
		printf(" '*:FILE:_files'");
	else
		printf(" '*: :'");
	printf(" ;;\n");
}

void completion_zsh(void)
{
	const struct command *c;

	printf("# zsh completion of xverse and xversed: source <(xverse completion zsh)\n"
	       "_xverse_commands() {\n\tlocal -a commands=(\n");
	for (int i = 0; (c = command_at(i)); i++) {
		printf("\t\t'%s:", c->name);
		put_quoted(c->help);
		printf("'\n");
	}
	printf("\t\t'help:list the commands, or the options of one'\n\t)\n\t_describe command commands\n}\n"
	       "_xverse_words() {\n"
	       "\tif ((CURRENT == 2)); then\n\t\t_xverse_commands\n\t\treturn\n\tfi\n"
	       "\tshift words\n\t((CURRENT--))\n\tcase $words[1] in\n\thelp) _xverse_commands ;;\n");
	for (int i = 0; (c = command_at(i)); i++)
		put_command(c);
	printf("\tesac\n}\n"
	       "_xverse_daemon() {\n"
	       "\tlocal -a options=(${(f)\"$($words[1] --help 2> /dev/null | "
	       "sed -nE 's/^  (--[a-z-]+).*/\\1/p')\"})\n"
	       "\tif [[ $PREFIX == -* ]]; then\n\t\tcompadd -- $options\n\telse\n\t\t_files\n\tfi\n}\n"
	       "_xverse_programs() {\n"
	       "\tcase $service in\n\txverse) _xverse_words ;;\n\t*) _xverse_daemon ;;\n\tesac\n}\n"
	       "compdef _xverse_programs xverse xversed xverse-launch xverse-gateway\n");
}
