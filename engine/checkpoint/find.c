#include "engine/checkpoint/find.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "engine/checkpoint/inside.h"

enum { NAME_MOST = 255 };

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* ---- a name that is no path ---- */

static bool is_plain_part(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
			return false;
	return n && n <= 96 && s[0] != '.' && s[n - 1] != '.';
}

/* "owner/name", also behind the address of the hub. */
static const char *repository_of(const char *given)
{
	static const char *const hubs[] = {"https://",
					   "http://",
					   "huggingface.co/",
					   "hf.co/",
					   "www.modelscope.cn/models/",
					   "modelscope.cn/models/",
					   "hf://"};
	const char *s = given, *slash;

	for (size_t i = 0; i < sizeof hubs / sizeof *hubs; i++)
		if (!strncmp(s, hubs[i], strlen(hubs[i])))
			s += strlen(hubs[i]);
	slash = strchr(s, '/');
	if (!slash || !is_plain_part(s, (size_t)(slash - s)))
		return NULL;
	return is_plain_part(slash + 1, strcspn(slash + 1, "/")) && (s > given || !strchr(slash + 1, '/')) ? s : NULL;
}

/* The folder of a repository in the hub's cache, if it was downloaded; malloced. */
static char *cached(const char *owner, size_t n_owner, const char *name, size_t n_name)
{
	const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"), *user = getenv("HOME");
	char *base = cache && *cache ? xstrdup(cache)
		     : home && *home ? xprintf("%s/hub", home)
				     : xprintf("%s/.cache/huggingface/hub", user ? user : "");
	char *path = xprintf("%s/models--%.*s--%.*s", base, (int)n_owner, owner, (int)n_name, name);

	free(base);
	if (is_folder(path))
		return path;
	free(path);
	return NULL;
}

static int refuse_repository(const char *given, const char *id, struct why *why)
{
	size_t owner = strcspn(id, "/"), name = strcspn(id + owner + 1, "/");
	char *there = cached(id, owner, id + owner + 1, name);
	int whole = (int)(owner + 1 + name);

	if (there)
		fail(why, ERR_IO,
		     "%.150s: this is the name of a repository of the hub, and this machine has a copy: give %.200s",
		     given, there);
	else
		fail(why, ERR_IO,
		     "%.150s: there is no such folder; if this is a repository of the Hugging Face hub, download it "
		     "(huggingface-cli download %.*s --local-dir %.*s) and give that folder",
		     given, whole, id, (int)name, id + owner + 1);
	free(there);
	return ERR_IO;
}

static int refuse_missing(const char *given, int error, struct why *why)
{
	const char *id = repository_of(given);
	struct stat st;

	if (error == EACCES)
		return fail(why, ERR_IO, "%.300s: no permission to look there (uid %d); see the modes of its folders",
			    given, (int)geteuid());
	if (error != ENOENT && error != ENOTDIR)
		return fail(why, ERR_IO, "%.300s: %s", given, strerror(error));
	if (!lstat(given, &st))
		return fail(why, ERR_IO, "%.300s: a symbolic link whose target does not exist; give the folder itself",
			    given);
	if (id)
		return refuse_repository(given, id, why);
	if (given[0] == '~')
		return fail(why, ERR_IO, "%.300s: the shell did not replace ~; write $HOME or the whole path", given);
	return fail(why, ERR_IO, "%.300s: there is no directory or file of this name; give the folder of a model",
		    given);
}

/* ---- the hub's cache ---- */

/* refs/main names the snapshot of the last download. */
static char *main_snapshot(const char *cache)
{
	char *path = xprintf("%s/refs/main", cache), *text = NULL, *found = NULL;
	size_t n = 0;
	struct why why;

	if (!file_read(path, NAME_MOST, &text, &n, &why)) {
		text[strcspn(text, " \r\n")] = 0;
		if (is_plain_part(text, strlen(text)))
			found = xprintf("%s/snapshots/%s", cache, text);
		free(text);
	}
	free(path);
	if (found && is_folder(found))
		return found;
	free(found);
	return NULL;
}

/* Returns how many snapshots the folder has; `name` receives the last in order. */
static int snapshots(const char *cache, char name[NAME_MOST + 1])
{
	char *path = xprintf("%s/snapshots", cache);
	DIR *d = opendir(path);
	int n = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		char *one = xprintf("%s/%s", path, e->d_name);
		if (e->d_name[0] != '.' && is_folder(one) && (!n++ || strcmp(e->d_name, name) > 0))
			strcpy(name, e->d_name);
		free(one);
	}
	if (d)
		closedir(d);
	free(path);
	return n;
}

/* ERR_*, or the snapshot in *dir. */
static int take_snapshot(char **dir, const char *cache, struct why *why)
{
	char name[NAME_MOST + 1] = "";
	int n;

	*dir = main_snapshot(cache);
	if (*dir)
		return 0;
	n = snapshots(cache, name);
	if (!n)
		return fail(why, ERR_FORMAT,
			    "%.300s: a folder of the hub's cache without a snapshot: the download has not begun or was "
			    "deleted; download it again",
			    cache);
	if (n > 1)
		return fail(
			why, ERR_IO,
			"%.200s: a folder of the hub's cache with %d snapshots, none of which refs/main names; give "
			"one of them, such as %.200s/snapshots/%.60s",
			cache, n, cache, name);
	*dir = xprintf("%s/snapshots/%s", cache, name);
	return 0;
}

/* ---- GGUF: one file is the model ---- */

static bool is_gguf(const char *path)
{
	char head[4];
	uint64_t size;
	struct why unused;
	int fd = file_open(path, &size, &unused);
	bool yes = fd >= 0 && pread(fd, head, sizeof head, 0) == sizeof head && !memcmp(head, "GGUF", sizeof head);

	if (fd >= 0)
		close(fd);
	return yes;
}

/* A part of a split file that is not its first: -00002-of-00003.gguf. */
static bool is_later_part(const char *name)
{
	return !fnmatch("*-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].gguf", name, 0) &&
	       fnmatch("*-00001-of-*.gguf", name, 0);
}

/* The folder's only GGUF file, or the first part of its only split one; malloced. NULL: it has none or several. */
static char *only_gguf(const char *dir)
{
	char *found = NULL;
	int n = 0;
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (fnmatch("*.gguf", e->d_name, 0) || is_later_part(e->d_name))
			continue;
		free(found);
		found = xprintf("%s/%s", dir, e->d_name);
		n++;
	}
	if (d)
		closedir(d);
	if (n == 1 && is_gguf(found))
		return found;
	free(found);
	return NULL;
}

/* ---- a folder without a model ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A folder below, in order, that has a model; "": none. */
static void model_below(const char *dir, char name[NAME_MOST + 1])
{
	char *list[256];
	int n = 0;
	DIR *d = opendir(dir);

	name[0] = 0;
	for (struct dirent *e; d && n < 256 && (e = readdir(d));)
		if (e->d_name[0] != '.')
			list[n++] = xstrdup(e->d_name);
	if (d)
		closedir(d);
	qsort(list, (size_t)n, sizeof *list, by_name);
	for (int i = 0; i < n; i++) {
		char *below = xprintf("%s/%s", dir, list[i]);
		if (!name[0] && is_folder(below) && source_exists(below, "config.json"))
			strcpy(name, list[i]);
		free(below);
		free(list[i]);
	}
}

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return d && !n;
}

/* Without config.json. */
static int refuse_folder(const char *dir, struct why *why)
{
	char name[NAME_MOST + 1], below[NAME_MOST + 1];
	const struct kind *k = kind_of_folder(dir, name);

	if (access(dir, R_OK | X_OK))
		return fail(why, ERR_IO, "%.300s: no permission to read this folder (uid %d)", dir, (int)geteuid());
	model_below(dir, below);
	if (below[0])
		return fail(why, ERR_IO, "%.200s: no config.json, but a folder below it has one: give %.200s/%.80s",
			    dir, dir, below);
	if (k)
		return fail(why, k->err, "%.150s: no config.json, but %.80s: %s", dir, name, k->text);
	if (is_empty(dir))
		return fail(why, ERR_IO, "%.300s: this folder is empty; give the folder of a model, with config.json",
			    dir);
	if (source_exists(dir, "tokenizer.json") || source_exists(dir, "tokenizer.model"))
		return fail(
			why, ERR_IO,
			"%.300s: no config.json, only a tokenizer; download config.json and the weights into it, too",
			dir);
	return fail(why, ERR_IO, "%.300s: no config.json, so this is no model; give the folder of one", dir);
}

/* A folder of one GGUF file stands for that file. */
static int take_gguf(char **dir, const char *folder, struct why *why)
{
	char *file = only_gguf(folder);

	if (!file)
		return refuse_folder(folder, why);
	free(*dir);
	*dir = file;
	return 0;
}

static int find_in_folder(char **dir, const char *given, struct why *why)
{
	const char *last = strrchr(given, '/');
	int err = 0;

	if (source_exists(given, "config.json"))
		*dir = xstrdup(given);
	else if (source_exists(given, "snapshots"))
		err = take_snapshot(dir, given, why);
	else if (!strcmp(last ? last + 1 : given, "snapshots")) {
		char *cache = xprintf("%s/..", given);
		err = take_snapshot(dir, cache, why);
		free(cache);
	} else
		return take_gguf(dir, given, why);
	if (!err && !source_exists(*dir, "config.json"))
		err = take_gguf(dir, *dir, why);
	return err;
}

int model_find(char **dir, const char *given, bool weights, struct why *why)
{
	char *path = xstrdup(given);
	struct stat st;
	int err = 0;

	*dir = NULL;
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0;
	if (stat(path, &st))
		err = refuse_missing(path, errno, why);
	else if (S_ISDIR(st.st_mode))
		err = find_in_folder(dir, path, why);
	else if (!is_gguf(path))
		err = kind_refuse_file(path, why);
	else
		*dir = xstrdup(path);
	if (!err && weights && !checkpoint_exists(*dir))
		err = checkpoint_refuse(*dir, why);
	free(path);
	if (err) {
		free(*dir);
		*dir = NULL;
	}
	return err;
}

/* models--a--b is in the path, or is its last part. */
static char *name_in_cache(const char *path)
{
	const char *cache = strstr(path, "models--"), *end;
	char *name, *s;

	if (!cache || (cache > path && cache[-1] != '/'))
		return NULL;
	end = cache + strcspn(cache, "/");
	if (*end && strncmp(end, "/snapshots", 10))
		return NULL;
	name = xprintf("%.*s", (int)(end - cache), cache);
	while ((s = strstr(name, "--")))
		memmove(name, s + 2, strlen(s + 2) + 1);
	return name;
}

char *model_find_name(const char *given)
{
	char *path = xstrdup(given), *slash, *name;

	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0;
	slash = strrchr(path, '/');
	name = name_in_cache(path);
	if (!name || !*name) {
		free(name);
		name = xprintf("%.255s", slash && slash[1] ? slash + 1 : path);
	}
	free(path);
	return name;
}
