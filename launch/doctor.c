#include "launch/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/ask.h"
#include "launch/finding.h"
#include "parallel/trunk.h"

enum { ANSWER_S = 120 };

int doctor_here(struct launcher *l, bool several)
{
	struct doctor d = {.l = l};
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	d.host = several ? host : NULL;
	doctor_mpi(&d);
	doctor_gpu(&d);
	doctor_machine(&d);
	doctor_places(&d);
	fflush(stdout);
	return d.mend ? EXIT_CONFIG : EXIT_OK;
}

/* Hosts answer at once: their lines, one host after the other. */
static void print_sorted(const char *text)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		size_t host = strcspn(line, ":\n") + 1;
		bool seen = false;
		for (const char *at = text; at < line && !seen; at = strchr(at, '\n') + 1)
			seen = !strncmp(at, line, host);
		for (const char *at = line; !seen && at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
			if (!strncmp(at, line, host))
				printf("%.*s\n", (int)strcspn(at, "\n"), at);
	}
}

/* Each host looks at itself. mpirun ends all of them with the first that fails, so they end with 0 and say what they
 * found. */
static int look_everywhere(struct launcher *l)
{
	static struct command command;
	char self[4096], *argv[MAX_ARGS + 4] = {self, (char *)"doctor", (char *)"--here"};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct text out = {0};
	int code;

	self[n > 0 ? n : 0] = 0;
	memcpy(argv + 3, l->daemon, (size_t)l->n_daemon * sizeof *argv);
	place_command(l, &command, argv, l->n_daemon + 3, true);
	code = ask(command.word, ANSWER_S, false, &out);
	command_finish(&command);
	print_sorted(out.data);
	if (code == EXIT_OK && out.data && strstr(out.data, ": MEND  "))
		code = EXIT_CONFIG;
	text_finish(&out);
	return code == EXIT_OK ? EXIT_OK : EXIT_CONFIG;
}

/* mpirun on this machine fails with a wrong one, and does not say so. */
static void need_interface(const struct launcher *l)
{
	struct why why;

	if (trunk_has_interface(l->options.node_interface, &why))
		refuse_start(EXIT_CONFIG, "%s", why.text);
}

int doctor_run(struct launcher *l)
{
	int code, compared;

	if (!l->hosts.n) {
		code = doctor_here(l, false);
	} else {
		need_interface(l);
		code = look_everywhere(l);
		fflush(stdout);
		compared = check_hosts(l);
		code = code ? code : compared;
	}
	printf(code ? "Something must be mended before a job can run.\n" : "Nothing must be mended.\n");
	return code;
}
