#include <stdio.h>

#include "rpc/cli/completion.h"
#include "rpc/cli/completion_value.h"
#include "rpc/cli/eval/eval.h"

static void print_commands(void)
{
	const struct command *c;

	for (int i = 0; (c = command_at(i)); i++)
		printf("%s ", c->name);
	printf("help");
}

static void print_flag(const struct option *o)
{
	printf("%s%s", o->name[1] ? "--" : "-", o->name);
}

/* One arm of the case over commands. */
static void print_options(const struct command *c)
{
	const struct option *o;

	printf("\t%s) words='", c->name);
	for (int i = 0; c->bit == EVA && eval_name_at(i); i++)
		printf("%s ", eval_name_at(i));
	for (int i = 0; (o = option_at(i)); i++)
		if (o->of & c->bit) {
			print_flag(o);
			printf(" ");
		}
	printf("' ;;\n");
}

/* Options that need a value: only file names can be proposed. */
static void print_valued(void)
{
	const struct command *c;
	const struct option *o;

	for (int k = 0; (c = command_at(k)); k++)
		for (int i = 0; (o = option_at(i)); i++)
			if ((o->of & c->bit) && o->value) {
				printf("\t%s:", c->name);
				print_flag(o);
				printf(") return ;;\n");
			}
}

void completion_bash(void)
{
	const struct command *c;

	printf("# bash completion of xverse and xversed: source <(xverse completion bash)\n"
	       "_xverse() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=\n"
	       "\tCOMPREPLY=()\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	print_commands();
	printf(" --help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n"
	       "\tcase $prev in\n");
	printf("\t--uds | -o | --output | --model | --file | --prompt-file | --data | --out | --compare | --plot | --submit) compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\tesac\n\tcase $command:$prev in\n");
	print_valued();
	printf("\tesac\n\tcase $command in\n");
	for (int i = 0; (c = command_at(i)); i++)
		if (c->bit)
			print_options(c);
	printf("\thelp) words='");
	print_commands();
	printf("' ;;\n\tcompletion) words='bash zsh fish' ;;\n"
	       "\tconvert) [[ $cur != -* ]] || { COMPREPLY=($(compgen -W '");
	for (int i = 0; completion_convert[i][0]; i++)
		printf("--%s ", completion_convert[i][0]);
	printf("' -- \"$cur\")); return; } ;;&\n"
	       "\tinspect | convert) compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
	       "complete -F _xverse xverse\n"
	       "_xversed() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" --help 2> /dev/null | grep -oE '^  --[a-z-]+')\" -- \"$cur\"))\n"
	       "\telse\n\t\tcompopt -o filenames 2> /dev/null\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\tfi\n}\n"
	       "complete -F _xversed xversed xverse-launch xverse-gateway\n");
}
