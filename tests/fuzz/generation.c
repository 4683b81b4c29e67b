/* generation_config.json: what is taken from it, a request can run with. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/models/generation.h"
#include "engine/sample/sample.h"
#include "tests/fuzz/fuzz.h"

static char dir[] = "/dev/shm/xv-fuzz-XXXXXX";
static char path[64];

static void leave(void)
{
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	MUST(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/generation_config.json", dir);
	atexit(leave);
	return 0;
}

static struct sampling sampling_of(const struct generation_config *g)
{
	struct sampling s = sampling_default();

#define REAL(NAME, field, ...) \
	if (g->has >> SAMPLING_##NAME & 1) \
		s.field = g->field;
#include "proto/sampling.def"
	if (g->has >> SAMPLING_TOP_K & 1)
		s.top_k = g->top_k;
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct generation_config g;
	struct why why = {""};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), err;

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	err = generation_config_read(&g, dir, &why);
	if (err) {
		fuzz_refused(err, &why);
		return 0;
	}
	struct sampling s = sampling_of(&g);
	MUST(!sampling_check(&s, 100, &why));
	MUST(!(g.has >> SAMPLING_MAX_TOKENS & 1) || g.max_tokens >= 1);
	MUST(g.n_eos >= 0 && g.n_eos <= (int)(sizeof g.eos / sizeof *g.eos));
	return 0;
}
