#include "rpc/cli/measure/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "base/json/json.h"
#include "base/utf8.h"
#include "rpc/cli/cli.h"
#include "rpc/cli/eval/files.h"

enum { PART_BYTES = 1 << 20, FILE_BYTES = 1 << 30 };

/* Bytes of the next part. */
static size_t part_of(const char *s, size_t len)
{
	size_t n = PART_BYTES;

	if (len <= PART_BYTES)
		return len;
	while (n > PART_BYTES / 2 && !(s[n - 1] == '\n' && s[n - 2] == '\n'))
		n--;
	if (n > PART_BYTES / 2)
		return n;
	for (n = PART_BYTES; n > PART_BYTES / 2 && s[n - 1] != '\n';)
		n--;
	if (n > PART_BYTES / 2)
		return n;
	for (n = PART_BYTES; ((unsigned char)s[n] & 0xc0) == 0x80;) /* no line end: not inside of a character */
		n--;
	return n;
}

static int add_part(struct measure_doc *d, const char *s, size_t len, size_t before, struct xv_client *c,
		    struct why *why)
{
	struct xv_request r = {.kind = XV_TOKENIZE};
	struct xv_reply reply;
	const struct xv_tokens *t = &reply.tokens;
	int err;

	r.tokenize.text = s;
	r.tokenize.text_len = len;
	r.tokenize.add_special = !before;
	r.tokenize.pieces = true;
	err = cli_ask(c, &r, &reply, why);
	if (err)
		return err;
	d->ids = xgrow(d->ids, (size_t)(d->n + t->n_ids) + 1, sizeof *d->ids);
	d->end = xgrow(d->end, (size_t)(d->n + t->n_ids) + 1, sizeof *d->end);
	for (int i = 0; i < t->n_ids; i++) {
		d->ids[d->n] = t->ids[i];
		d->end[d->n++] = (uint32_t)before + t->end[i];
	}
	return 0;
}

static int add_doc(struct measure_text *t, const char *s, size_t len, struct xv_client *c, struct why *why)
{
	struct measure_doc *d;
	int err = 0;

	t->doc = xgrow(t->doc, (size_t)t->n + 1, sizeof *t->doc);
	d = &t->doc[t->n++];
	*d = (struct measure_doc){.n = 0};
	for (size_t at = 0, n; !err && at < len; at += n) {
		n = part_of(s + at, len - at);
		err = add_part(d, s + at, n, at, c, why);
	}
	return err;
}

static int add_line(struct measure_text *t, const char *s, size_t len, const char *field, struct xv_client *c,
		    struct why *why)
{
	struct json_error e;
	struct json_doc *doc = json_read(s, len, &json_of_files, &e);
	const struct json *v = json_str(json_root(doc)) ? json_root(doc) : json_get(json_root(doc), field);
	int err;

	if (!doc)
		err = fail(why, ERR_FORMAT, "column %d: %s", e.column, e.text);
	else if (!json_str(v))
		err = fail(why, ERR_FORMAT, "\"%.40s\" must be a text, not %s (--field names another)", field,
			   json_kind_name(v));
	else
		err = add_doc(t, json_str(v), json_len(v), c, why);
	json_close(doc);
	return err;
}

static int add_lines(struct measure_text *t, const char *s, size_t len, const char *path, const char *field,
		     struct xv_client *c, struct why *why)
{
	int number = 0, err = 0;

	for (size_t at = 0, n; !err && at < len; at += n + 1) {
		const char *end = memchr(s + at, '\n', len - at);
		struct why inner = {""};
		n = end ? (size_t)(end - s) - at : len - at;
		number++;
		if (strspn(s + at, " \t\r") < n)
			err = add_line(t, s + at, n, field, c, &inner);
		if (err)
			fail(why, err, "%s:%d: %.400s", path, number, inner.text);
	}
	return err;
}

/* Bits per byte would be of other bytes than the file's. */
static int check_utf8(const char *bytes, size_t len, const char *path, struct why *why)
{
	int line = utf8_wrong_line(bytes, len);

	if (!line)
		return 0;
	return fail(why, ERR_FORMAT,
		    "%s:%d: bytes that are not UTF-8; convert the file, e.g. iconv -f GB18030 -t UTF-8", path, line);
}

static int load(const char *path, char **bytes, size_t *len, struct why *why)
{
	int err = file_read(path, FILE_BYTES, bytes, len, why);

	if (err)
		return err == ERR_LIMIT ? ERR_INVALID : err;
	if (file_not_text(*bytes, *len))
		err = fail(why, ERR_FORMAT, "%s: %s", path, file_not_text(*bytes, *len));
	else
		err = check_utf8(*bytes, *len, path, why);
	if (err)
		free(*bytes);
	return err;
}

int measure_text_check(const char *path, struct why *why)
{
	char *bytes;
	size_t len;
	int err = load(path, &bytes, &len, why);

	if (!err)
		free(bytes);
	return err;
}

int measure_text_read(struct measure_text *t, const char *path, const char *field, struct xv_client *c, struct why *why)
{
	const char *dot = strrchr(path, '.');
	char *bytes;
	size_t len;
	int err = load(path, &bytes, &len, why);

	*t = (struct measure_text){.n = 0};
	if (err)
		return err;
	eval_sha256(bytes, len, t->sha256);
	err = dot && !strcmp(dot, ".jsonl") ? add_lines(t, bytes, len, path, field ? field : "text", c, why)
					    : add_doc(t, bytes, len, c, why);
	free(bytes);
	return err;
}

void measure_text_finish(struct measure_text *t)
{
	for (int i = 0; i < t->n; i++) {
		free(t->doc[i].ids);
		free(t->doc[i].end);
	}
	free(t->doc);
	*t = (struct measure_text){.n = 0};
}
