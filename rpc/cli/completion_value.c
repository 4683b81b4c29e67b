#include "rpc/cli/completion_value.h"

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
