/* xverse: the command line client. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/inherited.h"
#include "rpc/cli/batch/batch.h"
#include "rpc/cli/batch/submit.h"
#include "rpc/cli/completion.h"
#include "rpc/cli/eval/eval.h"
#include "rpc/cli/options.h"

static const struct {
	const char *name;
	int (*run)(struct args *a, struct xv_client *c);
	bool text; /* takes one */
} commands[] = {{"generate", run_generate, true},
		{"chat", run_chat, false},
		{"score", run_score, true},
		{"status", run_status, false},
		{"ps", run_ps, false},
		{"tokenize", run_tokenize, true},
		{"detokenize", run_detokenize, false},
		{"cancel", run_cancel, false},
		{"lora", run_lora, false},
		{"drain", run_drain, false},
		{"metrics", run_metrics, false},
		{"log-level", run_log_level, false},
		{"bench", run_bench, false}};

/* The daemon reads checkpoints; it lies beside this program, or on the PATH. argv[1] is its name for the command. */
static int run_daemon(char **argv, const char *option)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
	char *slash;

	path[n > 0 ? n : 0] = 0;
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "xversed");
	argv[0] = (char *)(uintptr_t) "xversed";
	argv[1] = (char *)(uintptr_t)option;
	execv(path, argv);
	execvp("xversed", argv);
	cli_say("xverse: cannot run xversed, which reads checkpoints: %s\n", strerror(errno));
	return EXIT_SOFTWARE;
}

static int inspect(int argc, char **argv)
{
	bool json = argc == 4 && (!strcmp(argv[2], "--json") || !strcmp(argv[3], "--json"));

	if (argc != 3 + json) {
		cli_say("xverse: usage: xverse inspect [--json] PATH (xverse inspect --help)\n");
		return EXIT_USAGE;
	}
	return run_daemon(argv, "--inspect");
}

/* A conversation may begin without one. */
static bool chat_needs_text(const struct args *a)
{
	return !strcmp(a->command, "chat") && (a->once || a->text || a->prompt_file);
}

/* A terminal gets a progress bar while the weights load; other outputs get one line. */
static int wait_loading(const struct args *a, struct xv_client *c, bool text, struct why *why)
{
	if (a->no_wait)
		return 0;
	if (a->wait || (isatty(STDERR_FILENO) && (text || !strcmp(a->command, "bench") || !strcmp(a->command, "chat"))))
		return loading_wait(c, why);
	return 0;
}

static int run(struct args *a, int i, struct why *why)
{
	struct xv_client *c;
	uint64_t begin = now_ns();
	int code;

	if (chat_needs_text(a) && args_text(a, why))
		return EXIT_USAGE;
	if (commands[i].text && args_text(a, why))
		return EXIT_USAGE;
	code = cli_exit_code(cli_connect(&c, a, a->no_resume || commands[i].run == run_bench, why));
	if (code)
		return code;
	code = cli_exit_code(wait_loading(a, c, commands[i].text, why));
	if (code == EXIT_UNREACHABLE && a->wait && cli_may_appear(a, begin, why)) { /* it went away while it loaded */
		xv_close(c);
		why->text[0] = 0;
		return run(a, i, why);
	}
	if (!code)
		code = commands[i].run(a, c);
	xv_close(c);
	return code;
}

/* Commands and options that need no server: their exit code, or -1. */
static int run_alone(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "", *second = argc > 2 ? argv[2] : NULL;
	bool help = !strcmp(first, "--help") || !strcmp(first, "-h") || !strcmp(first, "help");
	struct why why;

	if (help && second && !command_find(second)) {
		command_unknown(second, &why);
		cli_say("xverse: %s\n", why.text);
		return EXIT_USAGE;
	}
	if (help || (command_find(first) && !command_find(first)->bit && second && !strcmp(second, "--help"))) {
		args_help(help ? second : first, stdout);
		return 0;
	}
	if (!strcmp(first, "inspect"))
		return inspect(argc, argv);
	if (!strcmp(first, "convert"))
		return run_daemon(argv, "--convert");
	if (!strcmp(first, "completion"))
		return completion_print(argc == 3 ? second : "");
	if (strcmp(first, "--version"))
		return -1;
	printf("xverse %s (commit %s), protocol %d\n", XV_VERSION, XV_COMMIT, RPC_PROTOCOL);
	return 0;
}

int main(int argc, char **argv)
{
	struct args a;
	struct why why = {""};
	int code = EXIT_USAGE, alone;

	inherited_mend();
	signal(SIGPIPE, SIG_IGN);
	log_init(-1, LOG_WARN);
	cli_locale();
	alone = run_alone(argc, argv);
	if (alone >= 0) {
		fflush(stdout);
		return alone;
	}
	if (!args_parse(&a, argc, argv, &why)) {
		if (a.help) {
			args_help(a.command, stdout);
			code = 0;
		} else if (!strcmp(a.command, "eval"))
			code = run_eval(&a);
		else if (!strcmp(a.command, "batch"))
			code = run_batch(&a);
		else if (!strcmp(a.command, "submit"))
			code = run_submit(&a, argc, argv);
		else
			for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
				if (!strcmp(commands[i].name, a.command))
					code = run(&a, (int)i, &why);
	} else if (a.command && !strcmp(a.command, "eval"))
		code = EVAL_USAGE;
	if (why.text[0])
		cli_say("xverse: %s\n", why.text);
	fflush(stdout);
	args_finish(&a);
	return code;
}
