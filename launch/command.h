/* command.h - the command line that starts the ranks. */
#ifndef LAUNCH_COMMAND_H
#define LAUNCH_COMMAND_H

#include "launch/hosts.h"
#include "launch/starter.h"

enum { COMMAND_WORDS = 1024 };

struct command {
	char *word[COMMAND_WORDS + 1]; /* ends with NULL */
	int n;
	bool full; /* a word had no room */
};

/* What a command line is made of. The caller keeps all of it. */
struct command_parts {
	const struct starter *starter;
	const struct hosts *hosts; /* n is 0: this machine alone, without ssh */
	int ranks;
	const char *folder;    /* for files of mpirun on this machine; "": it has none yet */
	const char *interface; /* of the network between the hosts; NULL: any */
	char *const *program;  /* and its arguments */
	int n_program;
	bool once; /* one process on each host instead of `ranks` */
};

void command_make(struct command *c, const struct command_parts *p);
void command_print(const struct command *c); /* quoted for a shell */
void command_finish(struct command *c);

#endif
