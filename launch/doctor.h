/* doctor.h - `xverse-launch doctor`: what a machine, or each host of a job, lacks. */
#ifndef LAUNCH_DOCTOR_H
#define LAUNCH_DOCTOR_H

#include "launch/inside.h"

/* Looks at all hosts and returns the exit code: 78 if something must be mended. */
int doctor_run(struct launcher *l);
/* The same of this machine alone, as a process on each host. */
int doctor_here(struct launcher *l, bool several);

#endif
