/* front.h - rank 0's front thread: socket, text and tokens. It never waits for the engine thread and knows no device.
 *
 * It listens before the weights load: Status reports how far loading is, and calls get LOADING, or wait for the model
 * within their deadline. */
#ifndef DAEMON_FRONT_FRONT_H
#define DAEMON_FRONT_FRONT_H

#include "base/base.h"

struct board;
struct front;
struct front_model;
struct link;
struct options;
struct text;
struct xv_error;

/* Borrowed until front_close(). */
struct front_options {
	const struct options *opt; /* with uds and served_name set */
	struct link *link;
	struct board *board;
	const struct front_model *model; /* daemon/front/model.h */
	int starter;                     /* pid of mpirun, whose end is this process's; 0: none */
	void (*reread)(void *arg);       /* on SIGHUP, in the front thread: updates *opt */
	void *arg;
};

/* Blocks the signals that the front thread handles. Must run before the process has a second thread. */
void front_block_signals(void);
/* Opens the model's tokenizer, chat format and sampling defaults, then the socket, and starts the thread. ERR_* of the
 * first that fails. */
int front_open(struct front **out, const struct front_options *how, struct why *why);
/* What front_open() would refuse of the options and of the model's files, and what a start would of the socket's place
 * and of the files that are written: a line for each in *out. Makes and opens none of them. Returns ERR_* of the first,
 * or 0. */
int front_check(const struct options *o, struct text *out);
/* Bytes for constrained answers, which were taken by front_open(). */
uint64_t front_answer_bytes(const struct front *f);
/* After serve() returned: waits for the thread and frees all. */
void front_close(struct front *f);

/* From the watch thread; f may be NULL. */
void front_alive(struct front *f); /* to the launcher: this process runs */
/* Sends one error on every open call. The front thread may be anywhere, so nothing but _exit() may follow. */
void front_last_words(struct front *f, const struct xv_error *error);

#endif
