/* completion.c - `xverse completion bash`: made from the tables that parse the command line. */
#include <stdio.h>
#include <string.h>

#include "rpc/cli/cli.h"

static void print_commands(void)
{
	const char *name;

	for (int i = 0; (name = args_command(i)); i++)
		printf("%s ", name);
	printf("inspect completion help");
}

/* One arm of the case over commands. */
static void print_options(const char *command)
{
	const char *name;
	bool value;

	printf("\t%s) words='", command);
	for (int i = 0; args_option(command, i, &name, &value) >= 0; i++)
		if (name)
			printf("--%s ", name);
	printf("' ;;\n");
}

/* Options that need a value: only file names can be proposed. */
static void print_valued(void)
{
	const char *name, *command;
	bool value;

	for (int c = 0; (command = args_command(c)); c++)
		for (int i = 0; args_option(command, i, &name, &value) >= 0; i++)
			if (name && value)
				printf("\t%s:--%s) return ;;\n", command, name);
}

int completion_bash(void)
{
	const char *name;

	printf("# bash completion of xverse and xversed: source <(xverse completion bash)\n"
	       "_xverse() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=\n"
	       "\tCOMPREPLY=()\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	print_commands();
	printf(" --help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n"
	       "\tcase $prev in\n");
	printf("\t--uds | --file | --prompt-file) compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\tesac\n\tcase $command:$prev in\n");
	print_valued();
	printf("\tesac\n\tcase $command in\n");
	for (int i = 0; (name = args_command(i)); i++)
		print_options(name);
	printf("\thelp) words='");
	print_commands();
	printf("' ;;\n\tcompletion) words=bash ;;\n"
	       "\tinspect) compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
	       "complete -F _xverse xverse\n"
	       "_xversed() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" --help 2> /dev/null | grep -oE '^  --[a-z-]+')\" -- \"$cur\"))\n"
	       "\telse\n\t\tcompopt -o filenames 2> /dev/null\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\tfi\n}\n"
	       "complete -F _xversed xversed xverse-launch\n");
	return 0;
}
