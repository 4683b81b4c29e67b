/* A pack file that was damaged: the input is what is changed of a good one. Two bytes of how much is cut off its end,
 * then three for each change: where, and what is flipped there. A file that is taken gives the weights that were kept.
 */
#include <stdio.h>
#include <unistd.h>

#include "engine/models/pack.h"
#include "tests/fuzz/fuzz.h"

enum { BYTES = 5000, KEY = 77 };

static char dir[] = "/dev/shm/xv-fuzz-XXXXXX";
static char path[128], kept[BYTES], got[BYTES], *good, *bad;
static size_t size_of_good;

static void leave(void)
{
	unlink(path);
	rmdir(dir);
}

static struct pack_file file_of(struct pack_entry entry[2], char *data)
{
	entry[0] = (struct pack_entry){.data = data, .bytes = 1000};
	entry[1] = (struct pack_entry){.data = data + 1000, .bytes = BYTES - 1000};
	return (struct pack_file){.dir = dir, .key = KEY, .size = 1, .entry = entry, .n = 2};
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct pack_entry entry[2];
	struct pack_file f = file_of(entry, kept);
	struct why why = {""};
	FILE *in;

	(void)argc, (void)argv;
	fuzz_quiet();
	MUST(mkdtemp(dir));
	for (int i = 0; i < BYTES; i++)
		kept[i] = (char)(i * 37);
	MUST(!pack_write(&f, &(struct load_progress){0}, &why));
	snprintf(path, sizeof path, "%s/%016x-0-of-1.xvpack", dir, KEY);
	in = fopen(path, "r");
	MUST(in && !fseek(in, 0, SEEK_END));
	size_of_good = (size_t)ftell(in);
	good = xalloc(size_of_good, 1), bad = xalloc(size_of_good, 1);
	rewind(in);
	MUST(fread(good, 1, size_of_good, in) == size_of_good);
	fclose(in);
	atexit(leave);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_entry entry[2];
	struct pack_file f = file_of(entry, got);
	struct load_progress progress = {0};
	struct why why = {""};
	size_t cut = size >= 2 ? (size_t)(data[0] << 8 | data[1]) % size_of_good : 0;
	FILE *out = fopen(path, "w");
	int err;

	memcpy(bad, good, size_of_good);
	for (size_t i = 2; i + 3 <= size; i += 3)
		bad[(size_t)(data[i] << 8 | data[i + 1]) % size_of_good] ^= (char)data[i + 2];
	MUST(out && fwrite(bad, 1, size_of_good - cut, out) == size_of_good - cut && !fclose(out));
	memset(got, 0, sizeof got);
	err = pack_read(&f, &progress, &why);
	if (err)
		fuzz_refused(err, &why);
	else
		MUST(!memcmp(got, kept, BYTES));
	return 0;
}
