/* file.h - opening files that others made. What waits at its name is not trusted: a pipe would hang the reader, a
 * device or a huge file would fill its memory, a page of a web server or a pointer of Git LFS is not what its name
 * says. Each is refused with a text that says so. */
#ifndef BASE_FILE_FILE_H
#define BASE_FILE_FILE_H

#include "base/base.h"

/* The most that is read of each kind, in bytes. */
enum file_most {
	FILE_CONFIG = 16 << 20,     /* config.json, generation_config.json, templates, conversations, options */
	FILE_KEYS = 1 << 20,        /* keys and certificates of the gateway */
	FILE_TOKENIZER = 256 << 20, /* tokenizer.json and the files around it, index files */
};

/* Opens a regular file for reading, without waiting whatever it is; close-on-exec. Returns the descriptor, its size in
 * *size, or ERR_UNKNOWN where nothing has this name, ERR_IO. */
int file_open(const char *path, uint64_t *size, struct why *why);
/* As file_open() for a descriptor that is open: 0, or a refusal. Nothing is closed. */
int file_check(int fd, const char *path, uint64_t *size, struct why *why);
/* Reads a whole file: malloced, with a NUL after its end. ERR_LIMIT: more than `most` bytes; ERR_FORMAT: a Git LFS
 * pointer, an HTML page. An empty file has length 0. */
int file_read(const char *path, uint64_t most, char **bytes, size_t *len, struct why *why);
/* What the first bytes of a file show it to be instead of what its name says; NULL: nothing of the kind. */
const char *file_disguise(const char *head, size_t n);

#endif
