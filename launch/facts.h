/* facts.h - what hosts of one job must have in common, and what each has: a line that every host prints and the
 * launcher compares. */
#ifndef LAUNCH_FACTS_H
#define LAUNCH_FACTS_H

#include "daemon/options.h"

#define FACTS_MARK "xverse-facts " /* begins the line */

struct facts {
	char host[256];
	uint64_t build,
		plugin;        /* hashes of xversed and of the CUDA plug-in, byte by byte; 0: the file cannot be read */
	uint64_t model;        /* of config and tensors; 0: it cannot be read, or the weights are dummies */
	char model_error[300]; /* "": it can be read */
	char plan_error[320];  /* of the memory plan; "": the job fits */
	char mpi[64];          /* "4.1.4": the library that xversed runs with */
	int64_t clock_ms;      /* since 1970 */
	int64_t shared;        /* bytes that are free in /dev/shm; -1: there is none */
	int64_t files;         /* open files that a process may have */
	int64_t memory;        /* bytes of RAM, or of the control group's limit */
};

/* The CUDA plug-in that xversed at `program` would open, for the caller to free; NULL: there is none. */
char *facts_plugin(const char *program);
/* program: xversed. A little of every tensor is read. */
void facts_take(struct facts *f, const struct options *o, const char *program);
void facts_print(const struct facts *f);
/* ERR_FORMAT: it is not such a line. */
int facts_read(struct facts *f, const char *line, struct why *why);

#endif
