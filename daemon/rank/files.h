/* files.h - the two files that an operator asks for: --log-file and --pid-file. */
#ifndef DAEMON_RANK_FILES_H
#define DAEMON_RANK_FILES_H

#include "base/base.h"

/* Standard error goes to the end of `path` from now on, ours and every library's. NULL: nothing happens. `path` is
 * borrowed for the life of the process. */
int log_file_open(const char *path, struct why *why);
/* Opens the path anew after somebody moved the file away; what cannot be opened leaves the old one in use. */
void log_file_reopen(void);
/* For ranks without a front thread: SIGHUP reopens, in whichever thread it comes. */
void log_file_on_hangup(void);
/* A line for whoever started the process, besides the log file; nothing where there is none. */
void start_failed(const char *text);

/* Holds this process's id and a line end; written aside and renamed. NULL: nothing happens. */
int pid_file_write(const char *path, struct why *why);
void pid_file_remove(void); /* only what pid_file_write() of this process made */

/* Raises the limit of open files so far that `connections` clients fit beside our own; how many do. */
int files_raise(int connections);

#endif
