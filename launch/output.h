/* output.h - forwards what mpirun, the ranks, the gateway and the launcher write to the launcher's standard output and
 * error.
 *
 * With --log-file the lines of the launcher and of the gateway are appended to that file, too; the ranks write there by
 * themselves.
 *
 * The launcher always reads and never waits for a reader: mpirun dies when its reader is gone, and blocks when its
 * reader stops. Bytes that a reader does not accept in time are dropped and counted; once it is gone, all are. */
#ifndef LAUNCH_OUTPUT_H
#define LAUNCH_OUTPUT_H

#include <poll.h>

#include "base/base.h"

enum { OUTPUT_ROOM = 256 << 10, OUTPUT_POLLS = 5, OUTPUT_LINE = 4096 };

struct output {
	struct stream {
		int read_fd, write_fd; /* a pipe; children write to it */
		int to_fd;             /* standard output or error; -1: its reader is gone */
		bool socket;
		char *waiting; /* (OUTPUT_ROOM) */
		size_t n;
		uint64_t dropped; /* bytes, not reported yet */
		bool torn;        /* the last bytes were dropped, and so is the rest of their line */
	} stream[2];              /* standard output, standard error */
	struct lines {
		int read_fd, write_fd; /* a pipe: the gateway's standard error */
		char text[OUTPUT_LINE];
		size_t n; /* bytes of a line that is not complete */
	} gateway;
	const char *log_path; /* --log-file; NULL: none */
	int log_fd;           /* -1: none, or it cannot be opened */
};

/* Log lines go through it from then on. log_fd: of log_path, open for appending. */
void output_open(struct output *o, const char *log_path, int log_fd);
void output_reopen(struct output *o);        /* opens the log file again after it was moved away */
void output_child(const struct output *o);   /* call in a child before exec: sets its standard output and error */
void output_gateway(const struct output *o); /* the same in the gateway's child */
int output_polls(const struct output *o, struct pollfd *p); /* returns their number, OUTPUT_POLLS at most */
void output_move(struct output *o);                         /* writes all that fits now */
void output_close(struct output *o);                        /* waits for readers, one second at most */

#endif
