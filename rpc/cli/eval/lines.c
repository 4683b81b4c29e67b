/* lines.c - files of results: lines read, texts written aside and renamed, so that a file is whole. */
#include "rpc/cli/eval/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "base/memory.h"

int eval_lines(const char *path, eval_line *take, void *arg, struct why *why)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int err = 0;

	if (!f)
		return fail(why, errno == ENOENT ? ERR_UNKNOWN : ERR_IO, "%s: %s", path, file_error(path, errno));
	for (int number = 1; !err && (n = getline(&line, &room, f)) > 0; number++) {
		struct why inner = {""};
		if (line[n - 1] == '\n')
			line[--n] = 0;
		err = take(arg, line, (size_t)n, &inner);
		if (err)
			fail(why, err, "%s: line %d: %s", path, number, inner.text);
	}
	if (!err && ferror(f)) /* what was read so far must not pass for the whole */
		err = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	free(line);
	fclose(f);
	return err;
}

int eval_text_write(const char *text, const char *path, struct why *why)
{
	char *aside, *real = file_behind(path);
	int fd = file_create_aside(real, 0666, &aside), bad, err = 0;
	size_t n = strlen(text), at = 0;

	if (fd < 0) {
		free(real);
		return fail(why, file_write_error(errno), "%s: %s", path, file_error(path, errno));
	}
	while (at < n) {
		ssize_t wrote = write(fd, text + at, n - at);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		at += (size_t)wrote;
	}
	bad = at < n || fsync(fd);
	bad = close(fd) || bad || rename(aside, real);
	if (bad) {
		err = fail(why, file_write_error(errno), "%s: %s", path, strerror(errno));
		unlink(aside);
	}
	free(aside);
	free(real);
	return err;
}

int eval_json_write(const json_t *j, const char *path, struct why *why)
{
	char *text = json_dumps(j, JSON_INDENT(1)), *line = xprintf("%s\n", text);
	int err = eval_text_write(line, path, why);

	free(text);
	free(line);
	return err;
}

int eval_folder_make(const char *out, struct why *why)
{
	char *path = xprintf("%s", out), *at = path + strspn(path, "/");
	struct stat st;
	int bad = 0;

	while (!bad && (at = strchr(at, '/'))) {
		*at = 0;
		bad = mkdir(path, 0777) && errno != EEXIST;
		*at++ = '/';
	}
	bad = bad || (mkdir(path, 0777) && errno != EEXIST);
	if (!bad && !stat(path, &st) && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		bad = 1;
	}
	if (bad)
		fail(why, ERR_IO, "--out %s: the folder cannot be made: %s", out, file_error(out, errno));
	else if (access(out, W_OK | X_OK))
		bad = fail(why, ERR_IO, "--out %s: the folder takes no files: %s", out, file_error(out, errno));
	free(path);
	return bad ? ERR_IO : 0;
}
