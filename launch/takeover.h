/* takeover.h - a launcher takes the listening socket of a running one, so that a server is replaced without losing a
 * client.
 *
 * The running launcher listens at SOCKET.takeover (mode 0600). The new one connects and says how it wants to take over;
 * both check the other's user (SO_PEERCRED: the same, or root). The old one answers with descriptors (SCM_RIGHTS): the
 * listening socket, the file whose flock protects its path, and the socket at SOCKET.takeover. Both hold them from then
 * on, so no client is refused whatever happens to either, and the old one serves until the new one says that it is
 * ready.
 *
 *   beside   the new job loads while the old one serves, and accepts clients once it is ready. Then the old job accepts
 *            none, and ends with its last client.
 *   after    both do not fit in memory: the old job drains for --shutdown-timeout, asks those that are left to wait,
 *            and ends. Then the new job loads.
 *
 * A gateway of the old launcher accepts until the new one serves, also while no job runs. Then that of the new one
 * does, with the same listening socket (which is asked for before, since it is needed to check the options), and the
 * old one ends with its last connection. Where the new launcher has no gateway, or one at another address, the old
 * address is given up.
 *
 * A new launcher that goes away before it said that it is ready has changed nothing: the old one goes on, in `after` by
 * starting its job again. One that dies while the old job still has clients is replaced by the old one. An old one that
 * is asked to end meanwhile drains, and what it cannot end within --shutdown-timeout waits for the new one. If the old
 * one dies, the new one has what it needs. Only one launcher may take over at a time. */
#ifndef LAUNCH_TAKEOVER_H
#define LAUNCH_TAKEOVER_H

#include <poll.h>
#include <sys/types.h>

#include "base/base.h"
#include "base/process.h"

struct launcher;
struct rpc_listener;

enum takeover_how { TAKEOVER_NONE, TAKEOVER_AUTO, TAKEOVER_BESIDE, TAKEOVER_AFTER };
enum takeover_stage {
	STAGE_NONE,
	STAGE_ASKS,   /* it has not said all of its request */
	STAGE_DRAINS, /* after: the old job drains */
	STAGE_LOADS,  /* the new job loads */
	STAGE_OVER,   /* the new one serves */
};
enum { TAKEOVER_POLLS = 3, TAKEOVER_WAITING = 4 /* connections not accepted yet */ };

struct takeover {
	enum takeover_how how; /* as --takeover says */
	char path[128];        /* SOCKET.takeover; "": none */
	int fd;                /* listening there; -1: none */
	struct takeover_peer {
		int fd; /* -1: none */
		pid_t pid;
		uid_t uid;
		enum takeover_stage stage;
		enum takeover_how how;
		char said[32]; /* what has come of its request */
		size_t n;
		uint64_t since_ns; /* of launcher.awake_ns, when the stage began */
	} taker, from;             /* who takes over from us; from whom we do */
	struct process old;        /* from.pid */
	bool keeps_http;           /* the taker's gateway listens with the socket of ours */
};

/* ---- the new launcher ---- */
bool takeover_option(struct takeover *t,
		     const char *arg); /* "--takeover" or "--takeover=HOW"; exits where HOW is wrong */
/* Where --takeover was given: connects to the launcher that serves l->socket_path, fills l->listener and the socket at
 * SOCKET.takeover. *found: there is one. ERR_DENIED, ERR_BUSY (another launcher takes over just now), ERR_IO. */
int takeover_begin(struct launcher *l, bool *found, struct why *why);
/* Before that, where --takeover and --http were given: *out has the descriptors of the listening socket of the gateway
 * that runs beside that launcher, or -1. Nothing changes there. The caller closes them. ERR_DENIED, ERR_BUSY, ERR_IO.
 */
int takeover_borrow(struct launcher *l, struct rpc_listener *out, struct why *why);
/* Before the first job: waits, in `after`, until the old job has ended. False: this launcher was asked to end. */
bool takeover_wait(struct launcher *l);
bool takeover_pending(const struct launcher *l); /* it is not over: a job that fails is not started again */
bool takeover_holds(const struct launcher *l);   /* the job must not accept clients yet */
void takeover_ready(struct launcher *l);         /* the job serves: may be said any number of times */
void takeover_look_new(struct launcher *l);      /* what the old launcher says */
/* This launcher was asked to end (hurried: twice): so is the old one, if it still has clients. */
void takeover_drain_old(struct launcher *l);
void takeover_wait_for_old(struct launcher *l); /* until it has ended, or its drain is over by far */
void takeover_bye(struct launcher *l);          /* the one before this must not come back if this one dies */
void takeover_close_new(struct launcher *l);    /* before takeover_close_old() */
/* `beside` if both jobs fit, by the plan of xversed --dry-run and by the memory that is free now; else `after`. */
enum takeover_how takeover_plan(const struct launcher *l);

/* ---- the old launcher ---- */
/* Listens at SOCKET.takeover, unless that came from another launcher. Without it, which is logged, no launcher can
 * take over. */
void takeover_open(struct launcher *l);
bool takeover_left(const struct launcher *l);    /* another launcher serves now */
bool takeover_goes_on(const struct launcher *l); /* another launcher has the sockets and does not serve yet */
bool takeover_yields(const struct launcher *l);  /* the job is to end for a launcher that takes over */
/* After a job: true if another launcher serves now, or this one was asked to end. Where the job ended for one that
 * takes over, waits for it; false means then that it failed, and that the job must be started again. */
bool takeover_replaced(struct launcher *l);
void takeover_look_old(struct launcher *l); /* launchers that want to take over, and what they say */
void takeover_empty(struct launcher *l);    /* the job has ended for the launcher that takes over */
/* After the last job, where another launcher serves or has the sockets to do so: until the gateway's requests have
 * ended, which may wait for it. */
void takeover_wait_for_requests(struct launcher *l);
/* Last: l->listener keeps no file that belongs to another launcher from then on. */
void takeover_close_old(struct launcher *l);

/* ---- both ---- */
int takeover_polls(const struct launcher *l, struct pollfd *p); /* returns how many, TAKEOVER_POLLS at most */
/* The files of the socket are this launcher's from now on: its number is in the lock and in --pid-file. */
void takeover_own(struct launcher *l);
void takeover_forget(struct takeover_peer *p); /* closes its connection */
bool takeover_trusts(int fd,
		     struct takeover_peer *p); /* the other end runs as this user or as root; fills p->pid and uid */
/* An address of `path` in a folder that *dir holds open, which is not bounded by the length of the folder's path.
 * False: there is no such folder. */
struct sockaddr_un;
bool takeover_address(const char *path, struct sockaddr_un *at, int *dir);

/* ---- what they say: one byte each, descriptors with the first four ---- */
#define TAKEOVER_REQUEST "takeover 1 " /* new to old: the version, then "beside\n" or "after\n" */
#define TAKEOVER_BORROW "http"         /* in place of those: give the gateway's listening socket only */
enum takeover_word {
	TAKEOVER_LISTENER = 'L', /* old to new */
	TAKEOVER_LOCK = 'K',
	TAKEOVER_SOCKET = 'T',
	TAKEOVER_HTTP = 'H', /* also new to old: its gateway listens with that socket */
	TAKEOVER_HTTP_LOCK = 'h',
	TAKEOVER_END = '.',     /* that is all */
	TAKEOVER_REFUSED = '!', /* and a text to the end */
	TAKEOVER_EMPTY = 'E',   /* the old job has ended */
	TAKEOVER_READY = 'R',   /* new to old: the new job serves */
	TAKEOVER_BYE = 'B',     /* the new launcher ends as it was asked to, or another one serves after it */
};

#endif
