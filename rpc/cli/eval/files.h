/* files.h - the files below a folder, those inside zip archives included, found by their names' ends: people keep the
 * published data as archives, unpacked, or in the folders of a download. */
#ifndef RPC_CLI_EVAL_FILES_H
#define RPC_CLI_EVAL_FILES_H

#include "base/base.h"

struct eval_file {
	char *name;     /* for people: the path, "archive.zip:entry" for a part of an archive */
	char *path;     /* relative to the folder, with the archive's name as a folder; '/' between the parts */
	char *archive;  /* path of the zip; NULL: a file of its own */
	uint64_t entry; /* number inside the archive */
};
struct eval_files {
	char *root;
	struct eval_file *file; /* [n] archives first, then by path */
	int n, n_folders;
	bool has_packed; /* archives other than .zip lie there, or archives inside of a .zip; they are not read */
};

/* `path`: a folder or a zip. Follows links, but not to a folder around the link. Hidden files, those of __MACOSX and
 * folders that may not be read are left out. */
int eval_files_open(struct eval_files *f, const char *path, struct why *why);
void eval_files_close(struct eval_files *f);
/* Whether the path ends with `end`, at the beginning of a name; case counts. */
bool eval_file_is(const struct eval_file *f, const char *end);
/* Whether the path, without the name itself, holds a word; case does not count. */
bool eval_file_below(const struct eval_file *f, const char *word);
/* Malloced, NUL behind the end. ERR_LIMIT beyond 256 MiB. */
int eval_file_read(const struct eval_file *f, char **bytes, size_t *len, struct why *why);
/* SHA-256 as 64 hexadecimal digits. */
void eval_sha256(const char *bytes, size_t len, char hex[65]);

#endif
