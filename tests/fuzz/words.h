/* words.h - a tokenizer's file made of the fuzzer's bytes, opened and used. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/tokenizer/tokenizer.h"
#include "base/utf8.h"
#include "tests/fuzz/fuzz.h"

static char words_dir[] = "/dev/shm/xv-fuzz-XXXXXX", words_path[64];

static void words_leave(void)
{
	unlink(words_path);
	rmdir(words_dir);
}

static void words_start(const char *file)
{
	fuzz_quiet();
	MUST(mkdtemp(words_dir));
	snprintf(words_path, sizeof words_path, "%s/%s", words_dir, file);
	atexit(words_leave);
}

/* The stream of the ids from `cut` on, behind the others: whole characters, which end as the decode of all ends. */
static void words_behind(const struct tokenizer *t, const struct ids *ids, int cut, const char *all, size_t len,
			 bool skip)
{
	struct detok *d = detok_create(t, skip);
	char *text = xalloc(len + 1, 1);
	size_t n = 0, part;

	detok_follow(d, ids->id, cut);
	for (int i = cut; i <= ids->n; i++) {
		const char *s = i < ids->n ? detok_next(d, ids->id[i], &part) : detok_end(d, &part);

		MUST(n + part <= len);
		memcpy(text + n, s, part);
		n += part;
	}
	for (size_t i = 0; i < n; i += (size_t)utf8_len((unsigned char)text[i]))
		MUST(utf8_check(text + i, n - i, NULL) > 0);
	MUST(!memcmp(all + len - n, text, n));
	detok_destroy(d);
	free(text);
}

/* Every id is a word's, every offset lies in the text, and what comes back is valid UTF-8. */
static void words_encode(const struct tokenizer *t, const char *text, size_t len, bool special)
{
	struct encode_options how = {special, special};
	struct ids ids = {.want_offsets = true};
	struct why why = {""};
	size_t n;
	char *back;

	if (tokenizer_encode(t, text, len, &how, &ids, &why))
		MUST(*why.text);
	for (int i = 0; i < ids.n; i++) {
		MUST(ids.id[i] >= 0 && ids.id[i] < tokenizer_vocab(t));
		MUST(tokenizer_piece(t, ids.id[i], &n));
		MUST(ids.offset[i].first <= ids.offset[i].end && ids.offset[i].end <= len);
	}
	back = tokenizer_decode(t, ids.id, ids.n, !special, &n);
	for (size_t i = 0; i < n; i += (size_t)utf8_len((unsigned char)back[i]))
		MUST(utf8_check(back + i, n - i, NULL) > 0);
	words_behind(t, &ids, ids.n / 2, back, n, !special);
	free(back);
	ids_finish(&ids);
}

static void words_try(const uint8_t *data, size_t size)
{
	static const char text[] =
		"Hello, world! ab abab  <s>x</s> \xE4\xBD\xA0\xE5\xA5\xBD 2023 e\xCC\x81\xF0\x9F\xA6\x99";
	struct why why = {""};
	struct tokenizer *t;
	int fd = open(words_path, O_WRONLY | O_CREAT | O_TRUNC, 0600), err;
	size_t tail = size < 64 ? size : 64;

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	err = tokenizer_open(&t, words_dir, &why);
	if (err) {
		fuzz_refused(err, &why);
		return;
	}
	for (int special = 0; special < 2; special++) {
		words_encode(t, text, sizeof text - 1, special);
		words_encode(t, (const char *)data + size - tail, tail, special);
	}
	tokenizer_close(t);
}
