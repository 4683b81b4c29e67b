/* file.h - opens files of unknown origin. A pipe would block the reader, a device or a huge file would fill its memory,
 * and a download may be an HTML page or a Git LFS pointer. Each is refused with a message that says so. */
#ifndef BASE_FILE_FILE_H
#define BASE_FILE_FILE_H

#include "base/base.h"

/* Size limits of each kind of file, in bytes. */
enum file_most {
	FILE_CONFIG = 16 << 20,     /* config.json, generation_config.json, templates, conversations, options */
	FILE_KEYS = 1 << 20,        /* keys and certificates of the gateway */
	FILE_LIMITS = 1 << 20,      /* limits by user */
	FILE_TOKENIZER = 256 << 20, /* tokenizer.json and the files around it, index files */
};

/* Opens a regular file for reading, close-on-exec; never blocks. Returns the descriptor and its size in *size, or
 * ERR_UNKNOWN if there is no such file, or ERR_IO. */
int file_open(const char *path, uint64_t *size, struct why *why);
/* Reads a whole file: malloced, with a NUL after its end. ERR_LIMIT: more than `most` bytes; ERR_FORMAT: a Git LFS
 * pointer, an HTML page. An empty file has length 0. */
int file_read(const char *path, uint64_t most, char **bytes, size_t *len, struct why *why);
/* Reads `name` of a file that stands for a folder, as file_read() does. ERR_UNKNOWN: `path` is no such file, or has no
 * such document. */
typedef int file_inside(const char *path, const char *name, char **bytes, size_t *len, struct why *why);
/* From now on file_read() asks `inside` where a part of its path is a file. Call it before other threads run. */
void file_look_inside(file_inside *inside);
/* What strerror() says of an error that opening or making `path` met, with the folder at fault, or a name there that
 * may have been meant. Valid until the thread's next call. */
const char *file_error(const char *path, int error);
/* What a file is by its first bytes, if that is not what its name says (an HTML page, a Git LFS pointer); else NULL. */
const char *file_disguise(const char *head, size_t n);
/* The same for a file that must be text: compressed data and UTF-16, too. */
const char *file_not_text(const char *head, size_t n);

#endif
