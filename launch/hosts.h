/* hosts.h - the machines that a job runs on, and how many ranks each takes. */
#ifndef LAUNCH_HOSTS_H
#define LAUNCH_HOSTS_H

#include "base/base.h"

enum { HOSTS_NAME = 256, HOSTS_MOST = 1024, HOSTS_SLOTS = 4096 };

struct hosts {
	struct host {
		char name[HOSTS_NAME];
		int slots; /* ranks that it takes, 1 or more */
	} * at;            /* (n) */
	int n;             /* 0: none were named: this machine alone */
	const char *from;  /* who named them, for messages; NULL: the user */
	bool slurm;        /* they are a Slurm allocation */
};

/* Adds ranks to a host; one that is named again gets more. ERR_INVALID: the name is none, or the number is not within 1
 * to HOSTS_SLOTS. */
int hosts_add(struct hosts *h, const char *name, size_t len, int64_t slots, struct why *why);
/* "a:4,b:4"; without a number 1. */
int hosts_parse(struct hosts *h, const char *list, struct why *why);
/* HOSTS_SLOTTED: lines "a slots=4" (Open MPI), "a:4" (MPICH) or "a", as often as the host takes ranks (PBS, LSF).
 * HOSTS_CORES: lines that begin with a host, for each core or with the number of cores (OAR, Grid Engine), which takes
 * one rank. # begins a comment. ERR_IO, ERR_INVALID with the line's number. */
enum hosts_form { HOSTS_SLOTTED, HOSTS_CORES };
int hosts_read(struct hosts *h, const char *path, enum hosts_form form, struct why *why);
/* Finds the batch system's hosts in the environment: Slurm's allocation, or a file that PBS_NODEFILE,
 * LSB_DJOB_HOSTFILE, OAR_NODEFILE or PE_HOSTFILE names. Leaves *h empty where there is none. ERR_INVALID, ERR_IO: what
 * is there cannot be read. */
int hosts_of_job(struct hosts *h, struct why *why);
void hosts_finish(struct hosts *h);

int hosts_slots(const struct hosts *h);   /* of all */
bool hosts_is_here(const char *name);     /* a name or address of this machine */
int hosts_here(const struct hosts *h);    /* which one this machine is; -1: none */
void hosts_first(struct hosts *h, int i); /* moves one to the front; the others keep their order */
void hosts_take(struct hosts *h,
		int ranks); /* keeps as many slots, from the front, and drops hosts that have none left */
void hosts_spread(struct hosts *h, int ranks); /* gives each host as many, the first ones one more */
/* "a:4,b:4" and "a,b", which the caller frees. */
char *hosts_list(const struct hosts *h);
char *hosts_names(const struct hosts *h);

#endif
