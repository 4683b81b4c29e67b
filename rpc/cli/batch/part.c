#include "rpc/cli/batch/part.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "rpc/cli/journal.h"

int batch_part_parse(struct batch_part *p, const char *text, struct why *why)
{
	char rest;

	if (sscanf(text, "%d/%d%c", &p->at, &p->of, &rest) == 2 && p->at >= 1 && p->at <= p->of && p->of <= BATCH_PARTS)
		return 0;
	return fail(why, ERR_INVALID, "batch: --part: \"%s\" is not K/N, with K from 1 to N and N up to %d", text,
		    BATCH_PARTS);
}

int batch_part_first(int part, int parts, int n)
{
	return (int)((int64_t)n * (part - 1) / parts);
}

char *batch_part_path(const char *out, int part, int parts)
{
	return xprintf("%s.part-%d-of-%d", out, part, parts);
}

static char *journal_path(const char *out, int part, int parts)
{
	return xprintf("%s.part-%d-of-%d.journal", out, part, parts);
}

bool batch_part_is_done(const char *out, int part, int parts)
{
	char *path = batch_part_path(out, part, parts), *journal = journal_path(out, part, parts);
	bool done = !access(path, F_OK) && access(journal, F_OK);

	free(path);
	free(journal);
	return done;
}

/* Its name begins as the parts' do, so that deleting those deletes it, too. */
static char *shared_path(const char *out)
{
	return xprintf("%s.part-head", out);
}

/* glob() takes these letters for patterns. */
static char *escape(const char *path)
{
	char *out = xalloc(2 * strlen(path) + 1, 1), *to = out;

	for (; *path; path++) {
		if (strchr("*?[]\\", *path))
			*to++ = '\\';
		*to++ = *path;
	}
	return out;
}

int batch_part_left(const char *out)
{
	char *plain = escape(out), *pattern = xprintf("%s.part-*-of-*", plain);
	glob_t found = {0};
	int parts = 0;

	if (!glob(pattern, GLOB_NOSORT, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc && !parts; i++) {
			int part;
			if (sscanf(found.gl_pathv[i] + strlen(out), ".part-%d-of-%d", &part, &parts) != 2 || part < 1 ||
			    part > parts || parts > BATCH_PARTS)
				parts = 0;
		}
	globfree(&found);
	free(pattern);
	free(plain);
	return parts;
}

/* ---- what parts share ---- */

/* A link appears whole, and only where there is none: of two parts that begin at once one writes it. */
static int write_shared(const char *path, const char *head, struct why *why)
{
	char *aside;
	int fd = file_create_aside(path, 0666, &aside), err = 0;
	size_t n = strlen(head);

	if (fd < 0)
		return fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (write(fd, head, n) != (ssize_t)n || fsync(fd))
		err = fail(why, errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO, "%s: %s", path,
			   strerror(errno));
	close(fd);
	if (!err && link(aside, path) && errno != EEXIST && rename(aside, path)) /* some file systems have no links */
		err = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	unlink(aside);
	free(aside);
	return err;
}

static int compare_shared(const char *path, const char *head, struct why *why)
{
	char what[JOURNAL_DIFFERENCE], *was;
	size_t len;
	int err = file_read(path, 1 << 20, &was, &len, why);

	if (err)
		return err;
	if (strcmp(was, head)) {
		journal_difference(was, head, what);
		err = fail(why, ERR_MISMATCH, "%s: another part is of another run: %s", path, what);
	}
	free(was);
	return err;
}

int batch_part_agree(const char *out, const char *head, struct why *why)
{
	char *path = shared_path(out);
	int err = access(path, F_OK) ? write_shared(path, head, why) : 0;

	if (!err)
		err = compare_shared(path, head, why);
	free(path);
	return err;
}

/* ---- joining ---- */

static int copy(FILE *to, const char *from, bool *missing, struct why *why)
{
	char bytes[65536];
	FILE *f = fopen(from, "re");
	size_t n;
	int err = 0;

	*missing = !f && errno == ENOENT;
	if (!f)
		return fail(why, ERR_IO, "%s: %s", from, strerror(errno));
	while (!err && (n = fread(bytes, 1, sizeof bytes, f)) > 0)
		if (fwrite(bytes, 1, n, to) != n)
			err = fail(why, errno == ENOSPC ? ERR_LIMIT : ERR_IO, "the joined output: %s", strerror(errno));
	if (!err && ferror(f))
		err = fail(why, ERR_IO, "%s: %s", from, strerror(errno));
	fclose(f);
	return err;
}

/* Fails where a part is missing, because another command has joined and removed them. */
static int write_all(FILE *f, const char *out, int parts, bool *missing, struct why *why)
{
	int err = 0;

	for (int i = 1; !err && i <= parts; i++) {
		char *path = batch_part_path(out, i, parts);
		err = copy(f, path, missing, why);
		free(path);
	}
	if (!err && (fflush(f) || fsync(fileno(f))))
		err = fail(why, errno == ENOSPC ? ERR_LIMIT : ERR_IO, "%s: %s", out, strerror(errno));
	return err;
}

/* Aside first, then renamed. */
static int join(const char *out, int parts, bool *missing, struct why *why)
{
	char *aside, *real = file_behind(out);
	int fd = file_create_aside(real, 0666, &aside), err;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		free(real);
		return fail(why, ERR_IO, "%s: %s", out, strerror(errno));
	}
	err = write_all(f, out, parts, missing, why);
	if (fclose(f) && !err)
		err = fail(why, ERR_IO, "%s: %s", out, strerror(errno));
	if (!err && rename(aside, real))
		err = fail(why, ERR_IO, "%s: %s", out, strerror(errno));
	if (err)
		unlink(aside);
	free(aside);
	free(real);
	return err;
}

int batch_part_join(const char *out, int parts, bool *joined, struct why *why)
{
	bool missing = false;
	int err;

	*joined = false;
	for (int i = 1; i <= parts; i++)
		if (!batch_part_is_done(out, i, parts))
			return 0;
	err = join(out, parts, &missing, why);
	if (missing && !access(out, F_OK))
		err = 0; /* the other one wrote it */
	if (!err)
		batch_part_remove(out, parts);
	*joined = !err;
	return err;
}

void batch_part_remove(const char *out, int parts)
{
	char *shared = shared_path(out);

	for (int i = 1; i <= parts; i++) {
		char *path = batch_part_path(out, i, parts), *journal = journal_path(out, i, parts);
		unlink(path);
		unlink(journal);
		free(path);
		free(journal);
	}
	unlink(shared); /* last: a part that begins meanwhile must find it */
	free(shared);
}
