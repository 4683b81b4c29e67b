/* inside.h - private to the folder: the state of the launcher, and its parts. */
#ifndef LAUNCH_INSIDE_H
#define LAUNCH_INSIDE_H

#include "daemon/options.h"
#include "launch/beside.h"
#include "launch/folder.h"
#include "launch/output.h"
#include "launch/ranks.h"
#include "base/process.h"
#include "base/still.h"
#include "rpc/server/handover.h"
#include "rpc/server/listen.h"

enum { MAX_ARGS = 512, COMMAND_ARGS = MAX_ARGS + 48, COMMAND_HOST = 32 };

/* A job, from its start to mpirun's end. Times are of launcher.awake_ns. */
struct job {
	pid_t mpirun;              /* 0: none */
	struct process rank0;      /* as its hand-over connection showed it */
	int beat_fd;               /* that connection; -1: not yet, or no more */
	bool hello, ready, served; /* rank 0 has come; serves; has drained */
	bool told, hurried;        /* rank 0 was told to drain; to cut its calls */
	struct still alive, front; /* of the bytes that it sent */
	uint64_t n_alive, n_front;
	bool dumping; /* it crashed and writes a core dump */
	uint64_t started_ns, ready_ns, told_ns, served_ns;
	uint64_t ending_ns, pressed_ns; /* since when mpirun is told to end, and when last; 0: it is not */
	struct ranks ranks;
};

struct launcher {
	int n_ranks, restarts; /* restarts left; -1: without end */
	bool print, restart;
	int start_timeout_s;
	bool draining, hurried; /* asked to end, asked again */
	bool was_ready;         /* some job of this launcher was */
	int failed_starts;
	char *daemon[MAX_ARGS]; /* what xversed gets */
	int n_daemon;
	char socket_path[512], xversed[4096];
	struct rpc_listener listener;
	struct folder folder;
	struct handover handover;
	struct output output;
	int signal_fd;
	uint64_t awake_ns, looked_ns; /* how long this process has run, as still.h counts; its last look */
	uint64_t strangers, warned_ns;
	struct options options; /* of xversed */
	struct job job;
	struct beside gateway;
};

/* ---- command.c ---- */
/* out: (COMMAND_ARGS), which points to static texts, the launcher's and `host`. */
void command_make(const struct launcher *l, char **out, char host[COMMAND_HOST]);
void command_print(char *const *command);

/* ---- before.c: what would fail later, told before anything starts; ends the process ---- */
void before_start(const struct launcher *l);

/* ---- job.c ---- */
int job_run(struct launcher *l); /* starts it, attends to it until mpirun ends; its exit code */
/* Looks at signals, output and the gateway for `ms` at most, without a job; ends early where somebody wants the end. */
void job_pause(struct launcher *l, int ms);

/* ---- limits.c: every wait for mpirun and rank 0 has an end ---- */
void limits_look(struct launcher *l, uint64_t since_ns);

#endif
