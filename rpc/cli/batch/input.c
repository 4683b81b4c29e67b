#include "rpc/cli/batch/input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/json/json.h"
#include "rpc/cli/batch/line.h"

enum { MOST_LINES = 1 << 26, FIRST_CUT = 64, CUT_TIMES = 4 };

/* ---- what a line's prompt begins with ---- */

/* A hash that notes its value at each cut. */
struct begin {
	uint64_t h, *cut;
	size_t n, next;
	int cuts;
};

static void add(struct begin *b, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && b->cuts < BATCH_CUTS; i++) {
		b->h = (b->h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
		if (++b->n == b->next) {
			b->cut[b->cuts++] = b->h;
			b->next *= CUT_TIMES;
		}
	}
}

/* Texts and numbers of a prompt or a conversation, as they come. */
static void add_value(struct begin *b, const struct json *v)
{
	int64_t i;

	if (json_str(v)) {
		add(b, json_str(v), json_len(v));
	} else if (json_int(v, &i)) {
		add(b, (const char *)&i, sizeof i);
	} else if (json_is(v, JSON_IS_LIST)) {
		for (size_t k = 0; k < json_size(v); k++)
			add_value(b, json_at(v, k));
	} else {
		for (size_t k = 0; k < json_size(v); k++)
			add_value(b, &json_member(v, k)->value);
	}
	add(b, "", 1);
}

static void fill_cuts(struct batch_line *line, const struct json *body)
{
	struct begin b = {.h = 0xcbf29ce484222325u, .cut = line->cut, .next = FIRST_CUT};
	const struct json *chat = json_get(body, "messages");

	if (chat)
		add_value(&b, json_get(body, "tools"));
	add_value(&b, chat ? chat : json_get(body, "prompt"));
	while (b.cuts < BATCH_CUTS) /* a short prompt stands where its whole text does */
		b.cut[b.cuts++] = b.h;
}

/* ---- reading ---- */

static bool is_blank(const char *s, size_t n)
{
	return strspn(s, " \t\r\n") >= n;
}

static void take_line(struct batch_line *line, const char *text)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, line->len, &json_of_files, &e);
	char *id = batch_line_id(json_root(doc), line->number);

	line->id = batch_hash(id, strlen(id));
	fill_cuts(line, batch_line_body(json_root(doc)));
	free(id);
	json_close(doc);
}

static int add_line(struct batch_input *in, const char *text, size_t len, uint32_t number, int *room, struct why *why)
{
	if (is_blank(text, len))
		return 0;
	if (in->n == MOST_LINES || len > INT32_MAX)
		return fail(why, ERR_LIMIT, "%s: line %u: more than a batch holds", in->path, number);
	if (in->n == *room) {
		*room = *room ? 2 * *room : 256;
		in->line = xgrow(in->line, (size_t)*room, sizeof *in->line);
	}
	in->line[in->n] = (struct batch_line){.at = in->bytes, .len = (uint32_t)len, .number = number};
	take_line(&in->line[in->n++], text);
	return 0;
}

static int scan(struct batch_input *in, FILE *f, struct why *why)
{
	char *text = NULL;
	size_t size = 0;
	uint32_t number = 0;
	ssize_t n;
	int room = 0, err = 0;

	while (!err && (n = getline(&text, &size, f)) > 0) {
		size_t len = (size_t)n, skip = !number && n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
		in->hash = batch_hash(text, len) ^ in->hash * 31;
		while (len > skip && (text[len - 1] == '\n' || text[len - 1] == '\r'))
			len--;
		text[len] = 0;
		in->bytes += skip;
		err = add_line(in, text + skip, len - skip, ++number, &room, why);
		in->bytes += (uint64_t)n - skip;
	}
	if (!err && ferror(f))
		err = fail(why, ERR_IO, "%s: %s", in->path, strerror(errno));
	free(text);
	return err;
}

/* ---- order and ids ---- */

static const struct batch_line *compared;

static int by_prompt(const void *a, const void *b)
{
	const struct batch_line *x = &compared[*(const uint32_t *)a], *y = &compared[*(const uint32_t *)b];

	for (int i = 0; i < BATCH_CUTS; i++)
		if (x->cut[i] != y->cut[i])
			return x->cut[i] < y->cut[i] ? -1 : 1;
	return x < y ? -1 : 1;
}

static int by_id(const void *a, const void *b)
{
	const struct batch_line *x = &compared[*(const uint32_t *)a], *y = &compared[*(const uint32_t *)b];

	return x->id != y->id ? (x->id < y->id ? -1 : 1) : x < y ? -1 : 1;
}

static char *id_of(const struct batch_input *in, int i)
{
	struct json_error e;
	char *text, *id;
	struct json_doc *doc;

	if (batch_input_read(in, i, &text, NULL))
		return xstrdup("");
	doc = json_read(text, in->line[i].len, &json_of_files, &e);
	id = batch_line_id(json_root(doc), in->line[i].number);
	json_close(doc);
	free(text);
	return id;
}

static int check_ids(struct batch_input *in, struct why *why)
{
	int err = 0;

	compared = in->line;
	qsort(in->order, (size_t)in->n, sizeof *in->order, by_id);
	for (int i = 1; !err && i < in->n; i++) {
		uint32_t a = in->order[i - 1], b = in->order[i];
		char *x, *y;
		if (in->line[a].id != in->line[b].id)
			continue;
		x = id_of(in, (int)a);
		y = id_of(in, (int)b);
		if (!strcmp(x, y))
			err = fail(why, ERR_INVALID, "%s: lines %u and %u have the same id \"%.80s\"", in->path,
				   in->line[a].number, in->line[b].number, x);
		free(x);
		free(y);
	}
	return err;
}

static void set_order(struct batch_input *in, bool as_is)
{
	for (int i = 0; i < in->n; i++)
		in->order[i] = (uint32_t)i;
	compared = in->line;
	if (!as_is)
		qsort(in->order, (size_t)in->n, sizeof *in->order, by_prompt);
}

/* What it is, and when it changed the last time. */
static int look(struct batch_input *in, struct why *why)
{
	char head[64];
	ssize_t n = pread(in->fd, head, sizeof head, 0);
	const char *is = n > 0 ? file_not_text(head, (size_t)n) : NULL;
	struct stat st;

	if (n < 0 || fstat(in->fd, &st))
		return fail(why, ERR_IO, "%s: %s", in->path, strerror(errno));
	in->changed = st.st_mtim;
	return is ? fail(why, ERR_INVALID, "%s: %s", in->path, is) : 0;
}

int batch_input_open(struct batch_input *in, const char *path, bool as_is, struct why *why)
{
	uint64_t size;
	FILE *f;
	int err;

	*in = (struct batch_input){.path = xstrdup(path), .fd = file_open(path, &size, why), .hash = 1};
	if (in->fd < 0)
		return ERR_INVALID; /* whatever is wrong with the name: the server did not fail */
	err = look(in, why);
	if (err)
		return err;
	f = fdopen(dup(in->fd), "r");
	err = f ? scan(in, f, why) : fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (f)
		fclose(f);
	if (!err && !in->n)
		err = fail(why, ERR_INVALID, "%s: has no requests", path);
	in->order = xalloc((size_t)in->n + 1, sizeof *in->order);
	set_order(in, true);
	if (!err)
		err = check_ids(in, why);
	set_order(in, as_is);
	return err;
}

void batch_input_keep(struct batch_input *in, int from, int to, bool as_is)
{
	in->n = to - from;
	memmove(in->line, in->line + from, (size_t)in->n * sizeof *in->line);
	set_order(in, as_is);
}

void batch_input_close(struct batch_input *in)
{
	if (in->fd >= 0)
		close(in->fd);
	free(in->path);
	free(in->line);
	free(in->order);
}

/* Where its lines stand was noted when it was opened: in a file that was edited since, they may be others. */
static int check_unchanged(const struct batch_input *in, struct why *why)
{
	struct stat st;

	if (fstat(in->fd, &st))
		return fail(why, ERR_IO, "%s: %s", in->path, strerror(errno));
	if (st.st_mtim.tv_sec == in->changed.tv_sec && st.st_mtim.tv_nsec == in->changed.tv_nsec)
		return 0;
	return fail(why, ERR_MISMATCH, "%s: it was changed while its lines were answered", in->path);
}

int batch_input_read(const struct batch_input *in, int i, char **text, struct why *why)
{
	size_t len = in->line[i].len;

	*text = NULL;
	if (check_unchanged(in, why))
		return ERR_MISMATCH;
	*text = xalloc(len + 1, 1);
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(in->fd, *text + done, len - done, (off_t)(in->line[i].at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(*text);
			*text = NULL;
			return fail(why, ERR_IO, "%s: line %u: %s", in->path, in->line[i].number,
				    n ? strerror(errno) : "the file was cut short");
		}
		done += (size_t)n;
	}
	return 0;
}
