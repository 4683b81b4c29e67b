/* blame.h - whose fault the end of a job was, and what a rank's watch thread does about it. */
#ifndef PARALLEL_BLAME_H
#define PARALLEL_BLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum blame_kind {
	BLAME_NONE,
	BLAME_DIED,
	BLAME_STOPPED,
	BLAME_STUCK,
	BLAME_FAULT, /* die() on that rank */
	BLAME_LOST   /* a whole node, whose lowest rank is named */
};
enum { BLAME_NODE = 64 };

struct blame {
	enum blame_kind kind;
	int rank;
	pid_t pid;
	bool idle;             /* no step ran */
	int step;              /* number of the step that runs, or ran last; -1: none yet */
	uint32_t op;           /* operation counter in that step */
	int signal;            /* BLAME_DIED: the signal that ended it, as its own handler reports; 0: unknown */
	int ahead;             /* earlier steps whose end rank 0 has not seen */
	char text[160];        /* die()'s reason, or "" */
	char node[BLAME_NODE]; /* where the rank is; "": there is one node */
};

/* One sentence: "rank 2 (pid 123 on n1) was stopped in step 7, operation 31". */
void blame_text(const struct blame *what, char *out, size_t size);

struct watch_options {
	int64_t watchdog_ns;                                     /* 0: never blame a stuck rank */
	void (*last_words)(void *arg, const struct blame *what); /* rank 0; must return within 500 ms. May be NULL */
	void (*beat)(void *arg);                                 /* at every heartbeat; must not wait. May be NULL */
	void *arg;
};

#endif
