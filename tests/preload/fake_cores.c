/* A process that is loaded with this may run on the CPUs of $FAKE_CORES: "0-7", or by rank of its node "0-7/8-15".
 * Pinning succeeds without doing anything, so that a test can look at plans for a machine that is larger than this one.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	const char *text = getenv("FAKE_CORES"), *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK");
	int first = 0, last = 0;

	(void)pid;
	for (int r = local ? atoi(local) : 0; text && r > 0 && strchr(text, '/'); r--)
		text = strchr(text, '/') + 1;
	memset(set, 0, size);
	if (text && sscanf(text, "%d-%d", &first, &last) == 2)
		for (int cpu = first; cpu <= last; cpu++)
			CPU_SET_S((size_t)cpu, size, set);
	return 0;
}

int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	(void)pid, (void)size, (void)set;
	return 0;
}

int pthread_setaffinity_np(unsigned long thread, size_t size, const cpu_set_t *set)
{
	(void)thread, (void)size, (void)set;
	return 0;
}
