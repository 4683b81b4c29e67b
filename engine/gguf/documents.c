#include "engine/gguf/documents.h"
#include "engine/gguf/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"

static const struct {
	const char *name;
	int (*make)(const struct gguf *g, struct text *out, struct why *why);
} documents[] = {
	{"config.json", gguf_config},
	{"generation_config.json", gguf_generation},
	{"tokenizer_config.json", gguf_tokenizer_config},
	{"tokenizer.json", gguf_tokenizer_json},
	{"tokenizer.model", gguf_sentencepiece},
};

static int read_fd(const void *arg, uint64_t at, void *dst, size_t n, struct why *why)
{
	char *out = dst;

	while (n) {
		ssize_t got = pread(*(const int *)arg, out, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return fail(why, ERR_IO, "%s", got ? strerror(errno) : "it became shorter while it was read");
		out += got, n -= (size_t)got, at += (uint64_t)got;
	}
	return 0;
}

static int make(int fd, uint64_t size, const char *path, size_t document, char **bytes, size_t *len, struct why *why)
{
	struct gguf_bytes in = {.read = read_fd, .arg = &fd, .size = size};
	struct why inner = {""};
	struct text text = {0};
	struct gguf g;
	int err = gguf_read(&g, &in, &inner);

	if (!err)
		err = documents[document].make(&g, &text, &inner);
	gguf_finish(&g);
	if (err) {
		text_finish(&text);
		return fail(why, err, "%.200s: %.280s", path, inner.text);
	}
	*bytes = text.data;
	*len = text.len;
	return 0;
}

/* The reader of `name` in the file `path`. ERR_UNKNOWN: this is no GGUF file, or it has no such document. */
static int read_inside(const char *path, const char *name, char **bytes, size_t *len, struct why *why)
{
	char magic[4] = "";
	uint64_t size;
	struct why unused;
	int fd, err = ERR_UNKNOWN;

	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		if (strcmp(documents[i].name, name))
			continue;
		fd = file_open(path, &size, why);
		if (fd < 0)
			return fd;
		if (size >= 4 && !read_fd(&fd, 0, magic, 4, &unused) && !memcmp(magic, "GGUF", 4))
			err = make(fd, size, path, i, bytes, len, why);
		close(fd);
	}
	return err;
}

void gguf_serve_documents(void)
{
	file_look_inside(read_inside);
}
