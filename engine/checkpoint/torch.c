#include "engine/checkpoint/parts.h"

int torch_parse(const struct source *s, int file, struct table *out, struct why *why)
{
	(void)file, (void)out;
	return fail(why, ERR_UNSUPPORTED, "%s: PyTorch files are not read yet", s->name);
}
