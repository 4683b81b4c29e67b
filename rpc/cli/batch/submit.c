#include "rpc/cli/batch/submit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/cli/batch/input.h"
#include "rpc/cli/batch/output.h"
#include "rpc/cli/batch/part.h"
#include "rpc/cli/batch/submit_script.h"
#include "rpc/cli/options.h"

struct submit {
	const struct args *a;
	struct batch_input in;
	char *journal_path;
	int parts, missing; /* of the output; of them without an answer */
	struct why why;
};

/* ---- what is to be done ---- */

/* These end up in lines of a script, where a line end would begin another one. */
static int check_words(struct submit *s)
{
	const struct batch_args *a = &s->a->batch;
	const char *const words[] = {a->gres, a->time_limit, a->partition, a->account};
	static const char *const names[] = {"gres", "time", "partition", "account"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (words[i] && (!*words[i] || strpbrk(words[i], " \t\n'\"\\#")))
			return fail(&s->why, ERR_INVALID, "submit: --%s \"%.60s\" has blanks, quotes or nothing in it",
				    names[i], words[i]);
	if (a->nodes > 1 && !a->model)
		return fail(&s->why, ERR_INVALID, "submit: --nodes is for the daemon that --model starts");
	if (a->server && !a->model)
		return fail(&s->why, ERR_INVALID, "submit: --server-options are for the daemon that --model starts");
	return 0;
}

static int check_args(struct submit *s)
{
	const struct batch_args *a = &s->a->batch;

	if (!a->in)
		return fail(&s->why, ERR_INVALID, "submit: which file of requests? (xverse submit --help)");
	if (!a->out)
		return fail(&s->why, ERR_INVALID, "submit: --output FILE is missing: where the answers go");
	s->journal_path = xprintf("%s.journal", a->out);
	if (check_words(s))
		return ERR_INVALID;
	return batch_output_check(a->in, a->out, s->journal_path, &s->why);
}

/* Parts that an earlier job has begun keep their number. */
static int choose_parts(struct submit *s)
{
	const struct batch_args *a = &s->a->batch;
	int left = batch_part_left(a->out), wanted = min_int((int)a->tasks, s->in.n);

	if (a->fresh) {
		batch_part_remove(a->out, left);
		unlink(a->out);
		unlink(s->journal_path);
		left = 0;
	}
	if (left && wanted && wanted != left)
		return fail(
			&s->why, ERR_MISMATCH,
			"submit: an earlier job cut %.200s into %d parts: give --tasks %d, or --fresh to begin anew",
			a->out, left, left);
	s->parts = left ? left : wanted ? wanted : 1;
	return 0;
}

/* "1-3,7": the parts that are not done. */
static char *list_missing(struct submit *s)
{
	const char *out = s->a->batch.out;
	struct text t = {0};

	for (int i = 1; i <= s->parts; i++) {
		int from = i;
		if (batch_part_is_done(out, i, s->parts))
			continue;
		while (i < s->parts && !batch_part_is_done(out, i + 1, s->parts))
			i++;
		text_fmt(&t, i > from ? "%s%d-%d" : "%s%d", t.len ? "," : "", from, i);
		s->missing += i - from + 1;
	}
	return t.data ? t.data : xstrdup("");
}

/* ---- the job ---- */

/* The option that a word begins, if `xverse batch` takes it, too. *own: it is this command's alone. */
static const struct option *find_option(const char *word, bool *own)
{
	static const char *const not_for_tasks[] = {"fresh", "wait", "output", "o", "ranks", "json"};
	const char *name = word + strspn(word, "-");
	size_t len = strcspn(name, "=");
	const struct option *o;

	*own = true;
	for (int i = 0; (o = option_at(i)); i++)
		if ((o->of & SUB) && strlen(o->name) == len && !strncmp(o->name, name, len))
			break;
	if (o)
		*own = !(o->of & BAT);
	for (size_t i = 0; o && i < sizeof not_for_tasks / sizeof *not_for_tasks; i++)
		*own |= !strcmp(o->name, not_for_tasks[i]);
	return o;
}

/* The words that the tasks get, pointing into argv: options that were read without an error, so each has its value. */
static int task_words(int argc, char **argv, char **word)
{
	int n = 0;

	for (int i = 2; i < argc && strcmp(argv[i], "--"); i++) {
		bool own, value;
		const struct option *o = argv[i][0] == '-' ? find_option(argv[i], &own) : NULL;
		if (!o)
			continue;
		value = o->value && !strchr(argv[i], '=') && i + 1 < argc;
		if (!own)
			word[n++] = argv[i];
		if (value && !own)
			word[n++] = argv[i + 1];
		i += value;
	}
	return n;
}

static char *own_path(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	path[n > 0 ? n : 0] = 0;
	return xstrdup(n > 0 ? path : "xverse");
}

static char *make_script(struct submit *s, const char *tasks, int argc, char **argv)
{
	const struct batch_args *a = &s->a->batch;
	int nodes = a->nodes ? (int)a->nodes : 1, gpus = submit_gpus(a->gres);
	char *program = own_path(), **word = xalloc((size_t)argc + 1, sizeof *word);
	struct submit_job job = {.args = a, .program = program, .tasks = tasks, .parts = s->parts, .word = word};
	struct text t = {0};

	job.ranks = a->ranks ? (int)a->ranks : max_int(1, nodes * max_int(1, gpus));
	job.n_words = task_words(argc, argv, word);
	submit_script(&t, &job);
	free(word);
	free(program);
	return t.data;
}

/* sbatch prints the job's number. Returns its exit code. */
static int hand_over(const char *script, bool wait, struct why *why)
{
	FILE *f = popen(wait ? "exec sbatch --wait" : "exec sbatch", "we");
	int status;

	if (!f)
		return fail(why, ERR_IO, "sbatch: %s", strerror(errno));
	fputs(script, f);
	status = pclose(f);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(why, ERR_UNKNOWN,
			    "sbatch is not on the PATH: run this where Slurm's commands are, or see --print");
	if (wait || !status)
		return 0;
	return fail(why, ERR_INVALID, "sbatch refused the job; its reason is above");
}

/* After sbatch --wait: what the tasks have made. */
static int report(struct submit *s)
{
	const struct batch_args *a = &s->a->batch;
	bool complete = false;
	uint64_t refused = 0;
	int err = batch_output_look(&s->in, a->out, s->journal_path, &complete, &refused, &s->why);

	if (err)
		return cli_give_up(err, &s->why);
	if (complete) {
		cli_say("xverse: %s: %d lines", a->out, s->in.n);
		if (refused)
			cli_say(", %d of them refused", (int)refused);
		cli_say("\n");
		return refused ? EXIT_INPUT : EXIT_OK;
	}
	cli_say("xverse: some tasks have not finished (slurm-*.out says why); the same command goes on\n");
	return EXIT_AGAIN;
}

static int submit(struct submit *s, int argc, char **argv)
{
	char *tasks = list_missing(s), *script = make_script(s, tasks, argc, argv);
	bool joined, wait = s->a->wait;
	int err, code = EXIT_OK;

	if (s->a->batch.print) {
		printf("%s", script);
	} else if (s->missing) {
		cli_say("xverse: %d lines in %d part%s, of which %d must be answered; %s appears when the last one ends\n",
			s->in.n, s->parts, s->parts == 1 ? "" : "s", s->missing, s->a->batch.out);
		err = hand_over(script, wait, &s->why);
		code = err ? cli_give_up(err, &s->why) : wait ? report(s) : EXIT_OK;
	} else {
		err = batch_part_join(s->a->batch.out, s->parts, &joined, &s->why);
		code = err ? cli_give_up(err, &s->why) : report(s);
		code = err == ERR_LIMIT ? EXIT_AGAIN : code; /* the disk is full */
	}
	free(tasks);
	free(script);
	return code;
}

static int run_all(struct submit *s, int argc, char **argv)
{
	const struct batch_args *a = &s->a->batch;
	bool complete = false;
	uint64_t refused;
	int err = check_args(s);

	if (!err)
		err = batch_input_open(&s->in, a->in, true, &s->why);
	if (!err && !a->fresh)
		err = batch_output_look(&s->in, a->out, s->journal_path, &complete, &refused, &s->why);
	if (!err && complete) {
		cli_say("xverse: %s is complete; --fresh computes it again\n", a->out);
		return refused ? EXIT_INPUT : EXIT_OK;
	}
	if (!err)
		err = choose_parts(s);
	if (!err)
		return submit(s, argc, argv);
	cli_say("xverse: %s\n", s->why.text);
	return EXIT_USAGE; /* the command line, or a file that it names, must be mended */
}

int run_submit(struct args *a, int argc, char **argv)
{
	struct submit s = {.a = a, .in.fd = -1};
	int code = run_all(&s, argc, argv);

	batch_input_close(&s.in);
	free(s.journal_path);
	return code;
}
