/* command.c - the mpirun command line. */
#include <stdio.h>
#include <string.h>

#include "launch/inside.h"

/* xversed pins itself, so ranks start unbound. All of them are on this machine: mpirun starts them without ssh,
 * whatever an allocation, a hostfile or the node's name says, and MPI opens no port. Keep-alives reveal a dead link
 * within seconds. */
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

/* mpirun puts its files into the launcher's folder, so that a killed mpirun leaves nothing behind. */
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
		out[n++] = (char *)fixed_args[i]; /* execvp() does not change them */
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

/* Quotes the command for a shell. */
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
