/* lines.h - files of results: lines read, texts written aside and renamed, so that a file is whole. */
#ifndef RPC_CLI_EVAL_LINES_H
#define RPC_CLI_EVAL_LINES_H

#include <jansson.h>

#include "base/base.h"

/* Calls `take` with each line, without its end, until one returns an error, to which file and line are added. */
typedef int eval_line(void *arg, const char *line, size_t len, struct why *why);
int eval_lines(const char *path, eval_line *take, void *arg, struct why *why);
/* The file appears whole. ERR_LIMIT: the disk is full. */
int eval_text_write(const char *text, const char *path, struct why *why);
int eval_json_write(const json_t *j, const char *path, struct why *why);
/* Makes the folder of --out, and those above it that are missing. ERR_IO: it cannot be made, or takes no files. */
int eval_folder_make(const char *out, struct why *why);

#endif
