/* files.h - the operator's files (--log-file, --pid-file) and the limit of open files. */
#ifndef DAEMON_RANK_FILES_H
#define DAEMON_RANK_FILES_H

#include "base/base.h"

/* Opens the file to append lines to. Returns the descriptor or ERR_IO. */
int log_file_descriptor(const char *path, struct why *why);
/* Redirects standard error, also that of libraries, to the end of `path`, which is borrowed for the life of the
 * process. NULL: does nothing. */
int log_file_open(const char *path, struct why *why);
/* Reopens the path after the file was moved away. If that fails, the old file stays in use. */
void log_file_reopen(void);
/* For ranks without a front thread: a SIGHUP handler reopens the log file, in any thread. */
void log_file_on_hangup(void);
/* Writes a line to the standard error that the process was started with, and to the log file if there is one. */
void start_failed(const char *text);

/* What log_file_open() and pid_file_write() would refuse; neither makes a file. */
int log_file_check(const char *path, struct why *why);
int pid_file_check(const char *path, struct why *why);

/* Writes this process's id and a newline, aside, and renames the file. NULL or "": does nothing. */
int pid_file_write(const char *path, struct why *why);
void pid_file_remove(void); /* only if it still holds this process's id */

/* Raises the limit of open files for `connections` clients beside the daemon's own files. Returns how many fit. */
int files_raise(int connections);

#endif
