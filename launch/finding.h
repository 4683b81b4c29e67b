/* finding.h - what the parts of `xverse-launch doctor` share: a line for each thing that is looked at. */
#ifndef LAUNCH_FINDING_H
#define LAUNCH_FINDING_H

#include "launch/inside.h"

enum finding { FINE, NOTE, MEND }; /* NOTE: may be meant so */

struct doctor {
	const struct launcher *l;
	const char *host; /* begins each line where there are several; NULL: there is one */
	int mend;         /* how many things must be mended */
};

/* "ok    MPI: Open MPI 4.1.4"; what must be mended ends with what to do. */
void doctor_say(struct doctor *d, enum finding what, const char *about, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- doctor_mpi.c: mpirun, PMIx, the way to other hosts ---- */
void doctor_mpi(struct doctor *d);
/* ---- doctor_gpu.c: driver, toolkit, NCCL, peer access ---- */
void doctor_gpu(struct doctor *d);
/* ---- doctor_machine.c: memory, limits, CPUs, clock ---- */
void doctor_machine(struct doctor *d);
/* ---- doctor_places.c: model, socket, folders, port ---- */
void doctor_places(struct doctor *d);

#endif
