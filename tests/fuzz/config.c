/* config.json */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/models/model.h"
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
	snprintf(path, sizeof path, "%s/config.json", dir);
	atexit(leave);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_config c;
	struct why why = {""};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), err;

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	err = model_config_read(&c, dir, &why);
	if (err) {
		fuzz_refused(err, &why);
		return 0;
	}
	MUST(c.hidden > 0 && c.ffn > 0 && c.layers > 0 && c.vocab > 1 && c.head_dim > 1 && c.head_dim % 2 == 0);
	MUST(c.kv_heads > 0 && c.heads % c.kv_heads == 0);
	MUST(c.bos < c.vocab && c.pad < c.vocab && c.n_eos <= MODEL_MAX_EOS);
	for (int i = 0; i < c.n_eos; i++)
		MUST(c.eos[i] >= 0 && c.eos[i] < c.vocab);
	return 0;
}
