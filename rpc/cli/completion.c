#include "rpc/cli/completion.h"

#include <stdio.h>
#include <string.h>

const char *const completion_convert[][3] = {
	{"quantization", "none|bf16|f16|f32|int8|int4|fp8", "class of the numbers that are written"},
	{"max-shard-size", "BYTES", "size of a file at most"},
	{"quiet", NULL, "report no progress"},
	{NULL, NULL, NULL},
};

enum completion_value completion_value(const struct option *o)
{
	static const char *const files[] = {"FILE", "DIR", "PATH", "RESULT", "FILE.svg", "FILE.json"};

	for (size_t i = 0; o->value && i < sizeof files / sizeof *files; i++)
		if (!strcmp(o->value, files[i]))
			return COMPLETE_FILES;
	return o->value && strchr(o->value, '|') ? COMPLETE_CHOICES : COMPLETE_NOTHING;
}

enum completion_value completion_argument(const struct command *c)
{
	static const char *const files[] = {"inspect", "convert", "batch"};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (!strcmp(c->name, files[i]))
			return COMPLETE_FILES;
	return COMPLETE_NOTHING;
}

int completion_print(const char *shell)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (!strcmp(shells[i].name, shell)) {
			shells[i].print();
			return EXIT_OK;
		}
	cli_say("xverse: usage: xverse completion bash|zsh|fish\n");
	return EXIT_USAGE;
}
