/* find.h - what the MODEL of a command line is: a folder or a GGUF file that can be read, or something else that is
 * named. */
#ifndef ENGINE_CHECKPOINT_FIND_H
#define ENGINE_CHECKPOINT_FIND_H

#include "base/base.h"

/* Finds the folder to read: `given` itself if it has config.json or is a GGUF file, the only GGUF file of a folder, or
 * the snapshot of a folder of the hub's cache (models--a--b). *dir is malloced. Otherwise ERR_IO, ERR_FORMAT or
 * ERR_UNSUPPORTED with one sentence that says what `given` is (another format, a repository's name, an adapter, ...)
 * and what to do.
 *
 * weights: files of weights must be there, too. A file of weights is refused with ERR_IO, other files with the others.
 */
int model_find(char **dir, const char *given, bool weights, struct why *why);
/* The name that clients see by default, malloced: the last part of the path; of the hub's cache that of the
 * repository. */
char *model_find_name(const char *given);

#endif
