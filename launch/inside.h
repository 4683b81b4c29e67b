/* inside.h - private to launch: the launcher's state and its parts. */
#ifndef LAUNCH_INSIDE_H
#define LAUNCH_INSIDE_H

#include "daemon/options.h"
#include "launch/beside.h"
#include "launch/command.h"
#include "launch/folder.h"
#include "launch/output.h"
#include "launch/ranks.h"
#include "launch/systemd.h"
#include "launch/takeover.h"
#include "base/process.h"
#include "base/still.h"
#include "rpc/place.h"
#include "rpc/server/handover.h"
#include "rpc/server/listen.h"

enum { MAX_ARGS = 512 };

/* A job, from its start to mpirun's end. Times are those of launcher.awake_ns. */
struct job {
	pid_t mpirun;              /* 0: there is none */
	struct process rank0;      /* as its hand-over connection identified it */
	int beat_fd;               /* that connection; -1: not yet open, or closed */
	bool hello, ready, served; /* rank 0 connected; serves; has drained */
	bool asked, hurried;       /* rank 0 was asked to drain; to abort its calls */
	struct still alive, front; /* watch the bytes that it sends */
	uint64_t n_alive, n_front;
	uint64_t n_well;    /* of n_front, those at which no step stood still */
	int phase, percent; /* of the start, an enum load_phase */
	bool dumping;       /* it crashed and is writing a core dump */
	uint64_t started_ns, ready_ns, asked_ns, served_ns;
	uint64_t ending_ns, pressed_ns; /* when mpirun was first and last asked to end; 0: not yet */
	struct ranks ranks;
};

struct launcher {
	int n_ranks, restarts; /* n_ranks: 0: not given; restarts: how many are left; -1: any number */
	bool print, restart, detach;
	int detach_fd; /* to the process that waits until the job serves; -1: none */
	enum {
		DOCTOR_NO,
		DOCTOR,
		DOCTOR_HERE,
		DOCTOR_FACTS /* the last two are what it runs on each host */
	} doctor;
	int start_timeout_s;
	bool draining, hurried; /* asked to end once, twice */
	bool was_ready;         /* a job of this launcher was ready once */
	bool yielded;           /* the last job ended for a launcher that takes over */
	int failed_starts;
	const char *host_list, *host_file; /* --hosts, --hostfile; NULL: not given */
	enum starter_kind wanted;          /* --starter */
	struct hosts hosts;                /* this machine first; none: it alone */
	struct starter starter;
	char *daemon[MAX_ARGS]; /* xversed's arguments */
	int n_daemon;
	char socket_path[512], xversed[4096];
	struct rpc_listener listener;
	struct folder folder;
	struct handover handover;
	struct output output;
	int signal_fd;
	uint64_t awake_ns, looked_ns; /* how long this process has run, as still.h counts; when it last looked */
	uint64_t strangers, warned_ns;
	struct options options; /* xversed's options */
	struct options_source source;
	struct job job;
	struct beside gateway;
	struct takeover takeover;
	struct notify notify;
	int activated; /* the listening socket that a supervisor passed to this process, or -1 */
};

/* ---- placement.c: which hosts, which starter, how many ranks; exits the process on an error ---- */
/* argv: the command line, for a launcher that goes to another node. */
void place(struct launcher *l, char **argv);
/* The command that starts the ranks, or `once` `program` on each host. */
void place_command(const struct launcher *l, struct command *c, char *const *program, int n_program, bool once);

/* The first half of it: fills l->hosts and l->n_ranks. */
void place_count(struct launcher *l);

/* ---- alone.c: options that start no job, by xversed without mpirun ---- */
/* Returns `code`, or the exit code of xversed if that is 0. */
int run_alone(struct launcher *l, int code);

/* ---- check.c: asks each host what it has and reports what does not fit; the exit code, 0 if all does ---- */
int check_hosts(const struct launcher *l);

/* ---- before.c: reports what would fail later; exits the process ---- */
void before_start(const struct launcher *l);
/* Says why and exits the process. */
__attribute__((noreturn, format(printf, 2, 3))) void refuse_start(int code, const char *fmt, ...);

/* ---- detach.c: --detach ---- */
void detach_begin(struct launcher *l); /* returns in a child; the process itself ends when the job serves, or fails */
void detach_end(struct launcher *l);   /* the job serves: may be said any number of times */

/* ---- job.c ---- */
int job_run(struct launcher *l); /* runs a job until mpirun ends; returns its exit code */
/* Handles signals, output and the gateway for a quarter of a second at most, or until something happens. */
void job_wait(struct launcher *l);
/* The same for `ms` at most while no job runs. Returns early when asked to end or when another launcher takes over. */
void job_pause(struct launcher *l, int ms);

/* ---- limits.c: bounds every wait for mpirun and rank 0 ---- */
void limits_look(struct launcher *l, uint64_t since_ns);
/* Asks mpirun to end the job, if there is one; why: for the log, or NULL. */
void job_end(struct launcher *l, const char *why);

#endif
