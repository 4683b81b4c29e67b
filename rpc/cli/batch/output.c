#include "rpc/cli/batch/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "base/json/json.h"
#include "rpc/cli/batch/line.h"

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int check_folder(const char *path, struct why *why)
{
	char *real = file_behind(path), *slash = strrchr(real, '/');
	char *folder = slash ? xprintf("%.*s", (int)(slash == real ? 1 : slash - real), real) : xstrdup(".");
	struct stat st;
	int err = 0, error;

	if (stat(folder, &st) || !S_ISDIR(st.st_mode))
		err = fail(why, ERR_INVALID, "batch: --output %s: there is no folder %s; make it first", path, folder);
	else if ((error = file_place_error(path)))
		err = fail(why, ERR_INVALID, "batch: --output %s: the folder %s takes no files: %s", path, folder,
			   file_error(folder, error));
	free(folder);
	free(real);
	return err;
}

int batch_output_check(const char *input, const char *path, const char *journal, struct why *why)
{
	struct stat in, out;
	bool there = !stat(input, &in);

	if (!*path)
		return fail(why, ERR_INVALID, "batch: --output is empty");
	if (!strcmp(input, "-") || !strcmp(path, "-"))
		return fail(why, ERR_INVALID,
			    "batch: \"-\" is no file: requests and answers are files, so that a run can go on");
	if (!stat(path, &out) && !S_ISREG(out.st_mode))
		return fail(why, ERR_INVALID,
			    "batch: --output %s is no regular file, which the answers become as a whole", path);
	if (check_folder(path, why))
		return ERR_INVALID;
	if (there && !stat(path, &out) && is_same(&in, &out))
		return fail(why, ERR_INVALID, "batch: %s cannot be both input and output", input);
	if (there && !stat(journal, &out) && is_same(&in, &out))
		return fail(why, ERR_INVALID, "batch: %s cannot be both input and the output's journal", input);
	return 0;
}

bool batch_output_is_error(const char *line)
{
	return strstr(line, "\"error\":{\"code\":\"ERR_") != NULL;
}

static bool answers(const struct batch_line *line, const char *text, size_t len)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, len, &json_of_files, &e);
	char *id = batch_line_id(json_root(doc), 0);
	bool same = doc && batch_hash(id, strlen(id)) == line->id;

	free(id);
	json_close(doc);
	return same;
}

/* Answers stand in the order of the input. */
static int compare(const struct batch_input *in, FILE *f, const char *path, uint64_t *refused, struct why *why)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t n;
	int i = 0, err = 0;

	while (!err && (n = getline(&text, &size, f)) > 0) {
		if (i == in->n || !answers(&in->line[i], text, (size_t)n))
			err = fail(why, ERR_MISMATCH,
				   "%s: line %d is not the answer to a line of %s (--fresh replaces the file)", path,
				   i + 1, in->path);
		*refused += batch_output_is_error(text);
		i++;
	}
	if (!err && ferror(f))
		err = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (!err && i < in->n)
		err = fail(why, ERR_MISMATCH,
			   "%s: has %d lines, and %s asks for %d answers (--fresh replaces the file)", path, i,
			   in->path, in->n);
	free(text);
	return err;
}

static bool is_newer(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec > b->st_mtim.tv_sec
						      : a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

void batch_output_date(const struct batch_input *in, const char *path)
{
	struct stat is = {.st_mtim = in->changed}, was;
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, in->changed};

	if (!stat(path, &was) && is_newer(&is, &was) && utimensat(AT_FDCWD, path, times, 0))
		log_at(LOG_DEBUG, "%s: %s", path, strerror(errno)); /* another user's file */
}

int batch_output_look(const struct batch_input *in, const char *path, const char *journal, bool *complete,
		      uint64_t *refused, struct why *why)
{
	struct stat is, was;
	FILE *f;
	int err;

	*complete = false;
	*refused = 0;
	if (stat(path, &was) || !access(journal, F_OK))
		return 0;
	f = fopen(path, "re");
	if (!f)
		return fail(why, ERR_IO, "%s: %s", path, file_error(path, errno));
	err = compare(in, f, path, refused, why);
	fclose(f);
	if (!err && !fstat(in->fd, &is) && is_newer(&is, &was))
		err = fail(why, ERR_MISMATCH,
			   "%s: is older than %s, which may have changed since (--fresh replaces the file)", path,
			   in->path);
	*complete = !err;
	return err;
}
