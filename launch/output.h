/* output.h - what mpirun, the ranks, the gateway and the launcher write, on its way to the launcher's own standard
 * output and error.
 *
 * The launcher reads always and waits for no reader: mpirun dies where its reader has gone, and stands still where it
 * stops. What a reader does not take in time is dropped and counted; where it has gone, all is. */
#ifndef LAUNCH_OUTPUT_H
#define LAUNCH_OUTPUT_H

#include <poll.h>

#include "base/base.h"

enum { OUTPUT_ROOM = 256 << 10, OUTPUT_POLLS = 4 };

struct output {
	struct stream {
		int read_fd, write_fd; /* a pipe; children get its writing end */
		int to_fd;             /* standard output or error; -1: it has gone */
		bool socket;
		char *waiting; /* (OUTPUT_ROOM) */
		size_t n;
		uint64_t dropped; /* bytes, not told yet */
		bool torn;        /* what came last was dropped: up to the line's end the rest is, too */
	} stream[2];              /* standard output, standard error */
};

void output_open(struct output *o);                         /* from then on log lines go through it, too */
void output_child(const struct output *o);                  /* in a child before exec: its standard output and error */
int output_polls(const struct output *o, struct pollfd *p); /* returns how many, OUTPUT_POLLS at most */
void output_move(struct output *o);                         /* all that can move now */
void output_close(struct output *o);                        /* waits up to a second for readers */

#endif
