/* The bytes of a link between nodes: whatever comes, payloads stay in their memory, and a frame that cannot be ends the
 * link. */
#include "parallel/trunk.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 300 };

struct input {
	const uint8_t *at;
	size_t left;
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

static ssize_t take(void *from, void *buf, size_t bytes)
{
	struct input *in = from;
	size_t n = bytes < in->left ? bytes : in->left;

	n = n > 7 ? 7 : n; /* as TCP may deliver it */
	memcpy(buf, in->at, n);
	in->at += n;
	in->left -= n;
	return (ssize_t)n;
}

static void *place(void *arg, int node, const struct trunk_frame *f)
{
	MUST(node == 1 && f->kind < TRUNK_KINDS && f->bytes <= TRUNK_MOST);
	return trunk_fits(f, ROOM) ? (char *)arg + f->at : NULL;
}

static void arrived(void *arg, int node, const struct trunk_frame *f)
{
	(void)arg, (void)node;
	MUST(f->at + f->bytes <= ROOM);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = {bytes, size};
	char *memory = malloc(ROOM);
	struct trunk_sink sink = {place, arrived, memory}, sinks[TRUNK_KINDS] = {[TRUNK_PARTS] = sink};

	trunk_feed(sinks, 1, take, &in);
	free(memory);
	return 0;
}
