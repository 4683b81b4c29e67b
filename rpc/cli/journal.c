#include "rpc/cli/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "base/json/json.h"
#include "base/text.h"

struct journal {
	char *path;
	int fd, sync_ms;
	uint64_t end;  /* of the last whole line: there the next one goes */
	uint64_t *at;  /* (room) where an item's result begins; 0: it has none */
	uint32_t *len; /* (room) */
	uint64_t room, count, synced_ns;
	bool unsynced;
};

enum { MOST_ITEMS = 1 << 30 };
static const char begin_head[] = "{\"journal\":1,\"head\":";

static int io_error(const struct journal *j, const char *what, struct why *why)
{
	if (file_write_error(errno) == ERR_LIMIT)
		return fail(why, ERR_LIMIT, "%s: %s: %s; make room, then go on", j->path, what, strerror(errno));
	return fail(why, ERR_IO, "%s: %s: %s", j->path, what, file_error(j->path, errno));
}

/* ---- one line ---- */

static uint64_t sum_of(uint64_t item, const char *line, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ item;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)line[i]) * 0x100000001b3u;
	return h;
}

/* Bytes before the result in its line. */
static int put_begin(char out[80], uint64_t item, const char *line, size_t len)
{
	return snprintf(out, 80, "{\"n\":%" PRIu64 ",\"sum\":\"%016" PRIx64 "\",\"line\":", item,
			sum_of(item, line, len));
}

/* A whole line without its end: false where it is none of ours, or is damaged. */
static bool read_line(const char *text, size_t len, uint64_t *item, size_t *at)
{
	char begin[80];
	int n;

	if (sscanf(text, "{\"n\":%" SCNu64, item) != 1 || *item >= MOST_ITEMS)
		return false;
	n = put_begin(begin, *item, "", 0);
	if (len < (size_t)n + 2 || text[len - 1] != '}')
		return false;
	*at = (size_t)n;
	n = put_begin(begin, *item, text + n, len - 1 - (size_t)n);
	return !memcmp(text, begin, (size_t)n);
}

static void note(struct journal *j, uint64_t item, uint64_t at, size_t len)
{
	uint64_t room = j->room ? j->room : 1024;

	while (room <= item)
		room *= 2;
	if (room > j->room) {
		j->at = xgrow(j->at, room, sizeof *j->at);
		j->len = xgrow(j->len, room, sizeof *j->len);
		memset(j->at + j->room, 0, (room - j->room) * sizeof *j->at);
		j->room = room;
	}
	j->at[item] = at;
	j->len[item] = (uint32_t)len;
	j->count++;
}

bool journal_has(const struct journal *j, uint64_t item)
{
	return item < j->room && j->at[item];
}

uint64_t journal_count(const struct journal *j)
{
	return j->count;
}

/* ---- opening ---- */

void journal_difference(const char *a, const char *b, char out[JOURNAL_DIFFERENCE])
{
	struct json_error e;
	struct json_doc *x = json_read(a, strlen(a), &json_of_files, &e),
			*y = json_read(b, strlen(b), &json_of_files, &e);
	const struct json_member *m;

	snprintf(out, JOURNAL_DIFFERENCE, "%s", "its head");
	for (size_t i = 0; (m = json_member(json_root(x), i)); i++)
		if (!json_get(json_root(y), m->key) || !json_same(&m->value, json_get(json_root(y), m->key))) {
			char *was = json_write(&m->value, NULL, NULL);
			snprintf(out, JOURNAL_DIFFERENCE, "%.40s, which was %.60s", m->key, was);
			free(was);
			break;
		}
	json_close(x);
	json_close(y);
}

static int check_head(const struct journal *j, const char *line, size_t len, const char *head, struct why *why)
{
	size_t n = strlen(begin_head);
	char *was, what[JOURNAL_DIFFERENCE];

	if (len < n + 1 || memcmp(line, begin_head, n) || line[len - 1] != '}')
		return fail(why, ERR_FORMAT, "%s: line 1: this is no journal of xverse", j->path);
	was = xprintf("%.*s", (int)(len - n - 1), line + n);
	if (strcmp(was, head)) {
		journal_difference(was, head, what);
		fail(why, ERR_MISMATCH, "%s: its results are of another run: %s", j->path, what);
	}
	n = strcmp(was, head) != 0;
	free(was);
	return n ? ERR_MISMATCH : 0;
}

struct scan {
	FILE *f;
	char *line;
	size_t size;
	uint64_t at, number;
};

/* One whole line: its bytes without the end; 0: there is none behind the last. */
static ssize_t next_line(struct scan *s)
{
	ssize_t n = getline(&s->line, &s->size, s->f);

	if (n <= 0 || s->line[n - 1] != '\n')
		return 0;
	s->line[n - 1] = 0;
	s->number++;
	return n;
}

/* The last line may be damaged: that is where the writer ended. Returns whether more bytes follow. */
static bool at_end(struct scan *s)
{
	int c = getc(s->f);

	if (c == EOF)
		return true;
	ungetc(c, s->f);
	return false;
}

static int scan_results(struct journal *j, struct scan *s, struct why *why)
{
	ssize_t n;

	while ((n = next_line(s)) > 0) {
		uint64_t item;
		size_t begin;
		if (!read_line(s->line, (size_t)n - 1, &item, &begin)) {
			if (at_end(s))
				return 0;
			return fail(why, ERR_FORMAT, "%s: line %" PRIu64 " is damaged; delete it to compute it again",
				    j->path, s->number);
		}
		if (journal_has(j, item))
			return fail(why, ERR_FORMAT, "%s: line %" PRIu64 ": item %" PRIu64 " has a result already",
				    j->path, s->number, item);
		note(j, item, s->at + begin, (size_t)n - 2 - begin);
		j->end = s->at += (uint64_t)n;
	}
	return 0;
}

static int scan_file(struct journal *j, const char *head, struct why *why)
{
	struct scan s = {.f = fdopen(dup(j->fd), "r")};
	ssize_t n;
	int err = 0;

	if (!s.f)
		return io_error(j, "reading", why);
	rewind(s.f);
	n = next_line(&s);
	if (n > 0) {
		err = check_head(j, s.line, (size_t)n - 1, head, why);
		j->end = s.at = (uint64_t)n;
	}
	if (n > 0 && !err)
		err = scan_results(j, &s, why);
	if (!err && ferror(s.f))
		err = io_error(j, "reading", why);
	fclose(s.f);
	free(s.line);
	return err;
}

/* Appends bytes, all of them or none. */
static int append(struct journal *j, const char *bytes, size_t len, struct why *why)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(j->fd, bytes + done, len - done, (off_t)(j->end + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int err = io_error(j, "writing", why);
			if (ftruncate(j->fd, (off_t)j->end))
				log_at(LOG_WARN, "%s: %s", j->path,
				       strerror(errno)); /* the next put or open mends it */
			return err;
		}
		done += (size_t)n;
	}
	j->end += len;
	j->unsynced = true;
	return 0;
}

static int begin(struct journal *j, const char *head, struct why *why)
{
	char *line = xprintf("%s%s}\n", begin_head, head);
	int err;

	j->end = 0;
	err = ftruncate(j->fd, 0) ? io_error(j, "writing", why) : append(j, line, strlen(line), why);
	free(line);
	return err ? err : journal_sync(j, why);
}

/* The lock is on the file that has the name now: another run may have removed the one that was opened. */
static int open_locked(struct journal *j, struct why *why)
{
	for (;;) {
		struct stat mine, named;
		j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		if (j->fd < 0)
			return io_error(j, "opening", why);
		if (flock(j->fd, LOCK_EX | LOCK_NB))
			return fail(why, ERR_BUSY, "%s: another process writes this journal", j->path);
		if (fstat(j->fd, &mine) || !S_ISREG(mine.st_mode))
			return fail(why, ERR_INVALID, "%s: is no regular file", j->path);
		if (!stat(j->path, &named) && named.st_dev == mine.st_dev && named.st_ino == mine.st_ino)
			return 0;
		close(j->fd);
	}
}

/* Under the lock, so that the journal of a run that goes on stays. */
static int drop_results(struct journal *j, struct why *why)
{
	char head[sizeof begin_head];
	ssize_t n = pread(j->fd, head, sizeof begin_head - 1, 0);

	if (n < 0)
		return io_error(j, "reading", why);
	if (memcmp(head, begin_head, (size_t)n))
		return fail(why, ERR_FORMAT, "%s: line 1: this is no journal of xverse", j->path);
	return ftruncate(j->fd, 0) ? io_error(j, "writing", why) : 0;
}

static int open_file(struct journal *j, const struct journal_options *how, struct why *why)
{
	int err = open_locked(j, why);

	if (!err && how->fresh)
		err = drop_results(j, why);
	if (!err)
		err = scan_file(j, how->head, why);
	if (err == ERR_MISMATCH && !how->resume)
		return fail(why, ERR_INVALID, "%s: holds results of another run; delete it, or choose another place",
			    j->path);
	if (err)
		return err;
	if (j->count && !how->resume)
		return fail(why, ERR_INVALID,
			    "%s: holds %" PRIu64 " results of an earlier run; --resume goes on with them, or delete it",
			    j->path, j->count);
	if (!j->end)
		return begin(j, how->head, why);
	return ftruncate(j->fd, (off_t)j->end) ? io_error(j, "writing", why) : 0;
}

int journal_open(struct journal **out, const struct journal_options *how, struct why *why)
{
	struct journal *j = xalloc(1, sizeof *j);
	int err;

	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error of write() */
	*out = NULL;
	*j = (struct journal){.path = xstrdup(how->path), .fd = -1, .sync_ms = how->sync_ms, .synced_ns = now_ns()};
	err = strchr(how->head, '\n') ? fail(why, ERR_INVALID, "%s: its head is not one line", how->path)
				      : open_file(j, how, why);
	if (err)
		journal_close(j);
	else
		*out = j;
	return err;
}

void journal_close(struct journal *j)
{
	struct why why = {""};

	if (!j)
		return;
	if (j->fd >= 0 && journal_sync(j, &why))
		log_at(LOG_WARN, "%s", why.text);
	if (j->fd >= 0)
		close(j->fd);
	free(j->at);
	free(j->len);
	free(j->path);
	free(j);
}

void journal_remove(struct journal *j)
{
	unlink(j->path);
	j->unsynced = false;
	journal_close(j);
}

/* ---- results ---- */

int journal_sync(struct journal *j, struct why *why)
{
	if (j->unsynced && fdatasync(j->fd))
		return io_error(j, "writing", why);
	j->unsynced = false;
	j->synced_ns = now_ns();
	return 0;
}

static int check_result(const struct journal *j, uint64_t item, const char *line, size_t len, struct why *why)
{
	struct json_error e;
	struct json_doc *doc;

	if (item >= MOST_ITEMS || len > INT32_MAX)
		return fail(why, ERR_INVALID, "%s: item %" PRIu64 " of %zu bytes is more than a journal holds", j->path,
			    item, len);
	if (journal_has(j, item))
		return fail(why, ERR_INVALID, "%s: item %" PRIu64 " has a result already", j->path, item);
	if (memchr(line, '\n', len))
		return fail(why, ERR_INVALID, "%s: the result of item %" PRIu64 " is not one line", j->path, item);
	doc = json_read(line, len, &json_of_files, &e);
	json_close(doc);
	return doc ? 0
		   : fail(why, ERR_INVALID, "%s: the result of item %" PRIu64 " is no JSON: %.100s", j->path, item,
			  e.text);
}

int journal_put(struct journal *j, uint64_t item, const char *line, size_t len, struct why *why)
{
	struct text t = {0};
	char begin[80];
	uint64_t at = j->end;
	int err = check_result(j, item, line, len, why), n;

	if (err)
		return err;
	n = put_begin(begin, item, line, len);
	text_put(&t, begin, (size_t)n);
	text_put(&t, line, len);
	text_str(&t, "}\n");
	err = append(j, t.data, t.len, why);
	text_finish(&t);
	if (err)
		return err;
	note(j, item, at + (uint64_t)n, len);
	if (j->sync_ms >= 0 && now_ns() - j->synced_ns >= (uint64_t)j->sync_ms * NS_PER_MS)
		return journal_sync(j, why);
	return 0;
}

int journal_get(const struct journal *j, uint64_t item, char **line, size_t *len, struct why *why)
{
	if (!journal_has(j, item))
		return fail(why, ERR_UNKNOWN, "%s: item %" PRIu64 " has no result", j->path, item);
	*len = j->len[item];
	*line = xalloc(*len + 1, 1);
	for (size_t done = 0; done < *len;) {
		ssize_t n = pread(j->fd, *line + done, *len - done, (off_t)(j->at[item] + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(*line);
			errno = n ? errno : EIO;
			return io_error(j, "reading", why);
		}
		done += (size_t)n;
	}
	return 0;
}

int journal_each(const struct journal *j, journal_take *take, void *arg, struct why *why)
{
	int err = 0;

	for (uint64_t item = 0; !err && item < j->room; item++) {
		char *line;
		size_t len;
		if (!journal_has(j, item))
			continue;
		err = journal_get(j, item, &line, &len, why);
		if (err)
			break;
		err = take(arg, item, line, len, why);
		free(line);
	}
	return err;
}

/* ---- the final file ---- */

static int write_result(const struct journal *j, uint64_t item, FILE *f, struct why *why)
{
	char *line;
	size_t len;
	int err = journal_get(j, item, &line, &len, why);
	bool ok;

	if (err)
		return err;
	ok = fwrite(line, 1, len, f) == len && putc('\n', f) != EOF;
	free(line);
	if (ok)
		return 0;
	return fail(why, file_write_error(errno), "writing results: %s", strerror(errno));
}

/* A name survives a crash of the machine once its folder is synced. */
static void sync_folder(const char *path)
{
	char *folder = xstrdup(path), *slash = strrchr(folder, '/');
	int fd;

	if (slash)
		slash[slash == folder] = 0;
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fsync(fd))
		log_at(LOG_DEBUG, "%s: fsync: %s", folder, strerror(errno)); /* some file systems refuse it */
	if (fd >= 0)
		close(fd);
	free(folder);
}

static uint64_t pick_itself(void *arg, uint64_t line)
{
	return journal_has(arg, line) ? line : UINT64_MAX;
}

int journal_final(const struct journal *j, const char *path, struct why *why)
{
	return journal_final_of(j, j->room, pick_itself, (void *)(uintptr_t)j, path, why);
}

int journal_final_of(const struct journal *j, uint64_t n, journal_pick *pick, void *arg, const char *path,
		     struct why *why)
{
	char *aside, *real = file_behind(path);
	int fd, err;
	FILE *f;

	file_remove_asides(real);
	fd = file_create_aside(real, 0666, &aside);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		err = fail(why, file_write_error(errno), "%s: %s", path, file_error(path, errno));
		free(real);
		return err;
	}
	err = 0;
	for (uint64_t i = 0; !err && i < n; i++)
		if (pick(arg, i) != UINT64_MAX)
			err = write_result(j, pick(arg, i), f, why);
	if (!err && (fflush(f) || fsync(fd)))
		err = fail(why, file_write_error(errno), "%s: %s", path, strerror(errno));
	fclose(f);
	if (!err && rename(aside, real))
		err = fail(why, file_write_error(errno), "%s: %s", path, strerror(errno));
	if (err)
		unlink(aside);
	else
		sync_folder(real);
	free(aside);
	free(real);
	return err;
}
