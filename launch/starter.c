#include "launch/starter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool starter_on_path(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");

	for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; *path;) {
		size_t n = strcspn(path, ":");
		int len = snprintf(out, size, "%.*s/%s", n ? (int)n : 1, n ? path : ".", name);
		if (len < (int)size && !access(out, X_OK))
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

/* "mpirun (Open MPI) 4.1.4", which warnings may come before, as of a machine without a network interface. */
static int ask_version(struct starter *s, struct why *why)
{
	FILE *f = popen("mpirun --version 2>&1 < /dev/null", "re");
	char line[256] = "", next[256];
	bool found = false;

	while (f && fgets(next, sizeof next, f)) {
		const char *at = found ? NULL : strstr(next, "(Open MPI) ");

		found |= at && sscanf(at + 11, "%d.%d", &s->major, &s->minor) == 2;
		if (!line[0])
			snprintf(line, sizeof line, "%.*s", (int)strcspn(next, "\n"), next);
	}
	if (f)
		pclose(f);
	if (found)
		return 0;
	return fail(why, ERR_UNSUPPORTED,
		    "%s is not Open MPI's, with which xversed is built: mpirun --version says \"%.80s\"", s->path,
		    line);
}

int starter_find(struct starter *s, enum starter_kind wanted, bool slurm, struct why *why)
{
	char *path = s->path;
	bool mpirun = wanted != STARTER_SRUN && starter_on_path("mpirun", path, sizeof s->path);

	s->kind = wanted == STARTER_SRUN || (!wanted && !mpirun && slurm) ? STARTER_SRUN : STARTER_MPIRUN;
	if (s->kind == STARTER_MPIRUN && !mpirun)
		return fail(
			why, ERR_UNKNOWN,
			"mpirun is not on the PATH: Open MPI is not installed (on Debian: openmpi-bin), or its module is not loaded");
	if (mpirun)
		return ask_version(s, why);
	if (!starter_on_path("srun", path, sizeof s->path))
		return fail(why, ERR_UNKNOWN, "srun is not on the PATH: Slurm's commands are not installed here");
	return 0;
}
