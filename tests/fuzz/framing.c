/* The bytes of an HTTP connection: read at once or in pieces they give the same requests and the same refusal, and
 * nothing doubtful passes. */
#include "rpc/gateway/http/framing.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

/* What was handed on ends where a request ended: read again it is whole. */
static void whole_again(const char *data, size_t whole, uint64_t complete)
{
	struct http_framing f = {0};

	MUST(http_framing_feed(&f, data, whole) == whole && !f.status && f.complete == complete &&
	     f.state == FRAMING_REQUEST && !f.line_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;
	struct http_framing once = {0}, pieces = {0};
	size_t whole = http_framing_feed(&once, data, size), step = size ? 1 + bytes[0] % 7 : 1;

	MUST(whole <= size && (!once.status || once.why));
	for (size_t at = 0; at < size && !pieces.status; at += step)
		http_framing_feed(&pieces, data + at, step < size - at ? step : size - at);
	MUST(pieces.status == once.status && pieces.why == once.why && pieces.complete == once.complete &&
	     pieces.state == once.state);
	MUST(once.line_len <= FRAMING_HEAD_BYTES + 1 && once.lines <= FRAMING_LINES + 1);
	if (whole)
		whole_again(data, whole, once.complete);
	return 0;
}
