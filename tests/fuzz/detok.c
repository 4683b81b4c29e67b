/* Ids, one a byte or two, streamed to text: whole characters at every moment, and together the bytes of the tokens. */
#include "engine/tokenizer/tokenizer.h"
#include "base/utf8.h"
#include "rpc/codec/codec.h"
#include "tests/fuzz/fuzz.h"

static struct tokenizer *t;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct why why = {""};

	(void)argc, (void)argv;
	fuzz_quiet();
	MUST(!tokenizer_open(&t, "tests/fuzz/model", &why)); /* from the top of the tree */
	return 0;
}

static bool is_utf8(const char *s, size_t n)
{
	for (size_t i = 0, one; i < n; i += one)
		if (!(one = (size_t)utf8_char(s + i, n - i)))
			return false;
	return true;
}

struct bytes {
	char s[1 << 18];
	size_t n;
};

static void add(struct bytes *to, const char *s, size_t n)
{
	MUST(is_utf8(s, n) && to->n + n <= sizeof to->s);
	memcpy(to->s + to->n, s, n);
	to->n += n;
}

static int read_ids(const uint8_t *data, size_t size, int32_t *ids)
{
	int n = 0;

	for (size_t i = 0; i < size; i++) {
		ids[n] = data[i];
		if (data[i] == 255 && i + 1 < size) /* tokens beyond the bytes */
			ids[n] = (255 + data[++i]) % tokenizer_vocab(t);
		n++;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bytes told, raw;
	static int32_t ids[8192];
	bool skip = size && data[0] & 1;
	int n = size ? read_ids(data + 1, size - 1, ids) : 0, follow = size && data[0] & 2 ? n / 2 : 0;
	struct detok *d = detok_create(t, skip);
	const char *s;
	size_t len;

	told.n = raw.n = 0;
	if (follow)
		detok_follow(d, ids, follow);
	for (int i = follow; i < n; i++) {
		s = detok_next(d, ids[i], &len);
		add(&told, s, len);
		if (!skip || !tokenizer_is_special(t, ids[i]))
			raw.n += tokenizer_token_text(t, ids[i], raw.s + raw.n, sizeof raw.s - raw.n);
	}
	s = detok_end(d, &len);
	add(&told, s, len);
	detok_destroy(d);
	if (!follow && is_utf8(raw.s, raw.n))
		MUST(told.n == raw.n && !memcmp(told.s, raw.s, raw.n));
	return 0;
}
