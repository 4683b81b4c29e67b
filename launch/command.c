/* The line that starts the job. */
#include <stdio.h>
#include <string.h>

#include "launch/inside.h"

/* Unbound, because xversed pins itself. All ranks are on this machine: mpirun starts them itself, without ssh, whatever
 * an allocation or a hostfile of the cluster names and however it calls this node, and MPI opens no port of the ranks.
 * Keep-alives, so that a dead link is known in seconds. */
static const char *const fixed_args[] = {
	"mpirun",
	"--bind-to",
	"none",
	"--oversubscribe",
	"--mca",
	"plm",
	"isolated",
	"--mca",
	"ras",
	"^slurm,gridengine,tm,lsf,loadleveler,alps",
	"--mca",
	"pml",
	"ob1",
	"--mca",
	"btl",
	"self,vader",
	"--mca",
	"oob_tcp_keepalive_time",
	"5",
	"--mca",
	"oob_tcp_keepalive_intvl",
	"2",
	"--mca",
	"oob_tcp_keepalive_probes",
	"3",
};

/* What mpirun would leave behind where it is killed lies in the launcher's own folder, which goes with the
 * launcher. */
static int put_folders(const struct launcher *l, char **out)
{
	const char *const args[] = {
		"--mca", "orte_tmpdir_base", l->folder.path, "--mca", "btl_vader_backing_directory", l->folder.path};

	if (!l->folder.path[0])
		return 0;
	memcpy(out, args, sizeof args);
	return sizeof args / sizeof *args;
}

void command_make(const struct launcher *l, char **out, char host[COMMAND_HOST])
{
	int n = 0;

	for (size_t i = 0; i < sizeof fixed_args / sizeof *fixed_args; i++)
		out[n++] = (char *)fixed_args[i]; /* execvp() changes none */
	n += put_folders(l, out + n);
	snprintf(host, COMMAND_HOST, "localhost:%d", l->n_ranks);
	out[n++] = (char *)"--host";
	out[n++] = host;
	out[n++] = (char *)"-n";
	out[n++] = strchr(host, ':') + 1;
	out[n++] = (char *)l->xversed;
	for (int i = 0; i < l->n_daemon; i++)
		out[n++] = l->daemon[i];
	out[n] = NULL;
}

/* As a shell reads it. */
static void print_word(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		printf("%s", word);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		*word == '\'' ? printf("'\\''") : putchar(*word);
	putchar('\'');
}

void command_print(char *const *command)
{
	for (int i = 0; command[i]; i++) {
		if (i)
			putchar(' ');
		print_word(command[i]);
	}
	putchar('\n');
}
