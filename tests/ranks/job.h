/* job.h - a test program of many ranks. Started by hand it runs itself under mpirun, once for each job size,
 *and adds up the closing lines.
 *
 *	static int adds(struct world *w) { return wrong values on this rank; }
 *	static const struct job_test tests[] = {{"adds", adds}};
 *	int main(...) { return job_main(argc, argv, "1 2 4", tests, 1); }
 *
 * A test that goes wrong on one rank goes on, so that the others are not left waiting. Size 0 is one rank
 *without mpirun. */
#ifndef TESTS_RANKS_JOB_H
#define TESTS_RANKS_JOB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parallel/world.h"

struct job_test {
	const char *name;
	int (*run)(struct world *w);
};

static int job_full; /* --full was given: the long form */

/* Complains once or twice a test, not a million times. */
static int job_wrong(int count, const char *what, long at)
{
	if (count < 2) {
		printf("  %s wrong at %ld\n", what, at);
		fflush(stdout);
	}
	return count + 1;
}

static int job_rank(int argc, char **argv, const struct job_test *tests, int n)
{
	struct world w;
	struct why why;
	int failed = 0;

	world_init(&w, &argc, &argv);
	log_init(w.rank, LOG_INFO);
	if (world_join(&w, NULL, &why))
		die("%s", why.text);
	for (int i = 0; i < n; i++) {
		int64_t wrong = world_sum(&w, tests[i].run(&w));

		failed += wrong != 0;
		if (wrong && w.rank == 0)
			printf("FAILED %s on %d ranks: %lld wrong\n", tests[i].name, w.size, (long long)wrong);
	}
	if (w.rank == 0)
		printf("%d passed, %d failed, 0 skipped\n", n - failed, failed);
	world_finish(&w);
	return failed != 0;
}

/* The program's own file, which mpirun needs by its whole name. */
static const char *job_self(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	path[n > 0 ? n : 0] = 0;
	return path;
}

/* Runs one job and adds its closing line to count[3]; a job without one has failed. */
static void job_one(int size, const char *extra, int *count)
{
	char path[400], line[1000], command[1200], launch[200] = "timeout -k 5 300";
	int got[3], found = 0;
	FILE *out;

	if (size)
		snprintf(launch, sizeof launch, "timeout -k 5 300 mpirun --oversubscribe --bind-to none -n %d", size);
	snprintf(command, sizeof command, "XV_JOB=1 %s '%s' %s 2>&1 < /dev/null", launch, job_self(path, sizeof path),
		 extra);
	out = popen(command, "r");
	while (out && fgets(line, sizeof line, out)) {
		if (sscanf(line, "%d passed, %d failed, %d skipped", &got[0], &got[1], &got[2]) == 3) {
			for (int i = 0; i < 3; i++)
				count[i] += got[i];
			found = 1;
		} else {
			fputs(line, stdout);
		}
	}
	if (!out || pclose(out) || !found) {
		printf("FAILED: the job of %d ranks did not end well\n", size);
		count[1] += !found;
	}
}

static int job_main(int argc, char **argv, const char *sizes, const struct job_test *tests, int n)
{
	int count[3] = {0, 0, 0};

	for (int i = 1; i < argc; i++)
		job_full |= !strcmp(argv[i], "--full");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getenv("XV_JOB"))
		return job_rank(argc, argv, tests, n);
	setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
	setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
	for (const char *s = sizes; *s; s += strspn(s, "0123456789"), s += strspn(s, " "))
		job_one(atoi(s), job_full ? "--full" : "", count);
	printf("%d passed, %d failed, %d skipped\n", count[0], count[1], count[2]);
	return count[1] != 0;
}

#endif
