/* reason.c - why a path cannot be opened or made: which part of it is at fault, and what may have been meant. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/similar.h"

enum { ENTRIES = 1000, PART = 300, NAME = 256 };

static bool printable(const char *name)
{
	while (*name && !iscntrl((unsigned char)*name))
		name++;
	return !*name;
}

/* The name in `folder` that is most like `name`; false where none is. */
static bool similar_entry(const char *folder, const char *name, char out[NAME])
{
	DIR *d = opendir(folder);
	struct dirent *e;
	struct similar s = {.given = name};

	for (int i = 0; d && i < ENTRIES && (e = readdir(d)); i++) {
		if (*e->d_name == '.' || !printable(e->d_name))
			continue;
		similar_try(&s, e->d_name);
		if (s.best == e->d_name) {
			snprintf(out, NAME, "%s", e->d_name);
			s.best = out;
		}
	}
	if (d)
		closedir(d);
	return similar_name(&s) != NULL;
}

/* Says which folder on the way to `path` is the first at fault; false where none is. `folder`: the last of them. */
static bool bad_folder(const char *path, char folder[PART], char *text, size_t room)
{
	snprintf(folder, PART, "%s", *path == '/' ? "/" : ".");
	for (const char *at = path; (at = strchr(at + strspn(at, "/"), '/'));) {
		struct stat st;

		snprintf(folder, PART, "%.*s", (int)(at - path), path);
		if (stat(folder, &st))
			snprintf(text, room, "%s; the folder %s does not exist", strerror(ENOENT), folder);
		else if (!S_ISDIR(st.st_mode))
			snprintf(text, room, "%s; %s is a file", strerror(ENOTDIR), folder);
		else if (faccessat(AT_FDCWD, folder, X_OK, AT_EACCESS))
			snprintf(text, room, "no permission to enter the folder %s (uid %d)", folder, (int)geteuid());
		else
			continue;
		return true;
	}
	return false;
}

const char *file_error(const char *path, int error)
{
	static _Thread_local char text[2 * PART];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[PART], like[NAME];
	struct stat st;

	if (!*path)
		return "the name is empty";
	if (error != ENOENT && error != ENOTDIR && error != EACCES)
		return strerror(error);
	if (bad_folder(path, folder, text, sizeof text))
		return text;
	if (error == EACCES && !lstat(path, &st) && faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS))
		snprintf(text, sizeof text, "no permission (uid %d); see its owner and mode", (int)geteuid());
	else if (error == EACCES)
		snprintf(text, sizeof text, "no permission to write in the folder %s (uid %d)", folder, (int)geteuid());
	else if (!lstat(path, &st))
		return S_ISLNK(st.st_mode) ? "a symbolic link whose target does not exist" : "this is no folder";
	else if (*name && similar_entry(folder, name, like))
		snprintf(text, sizeof text, "%s; did you mean %s?", strerror(error), like);
	else
		return strerror(error);
	return text;
}
