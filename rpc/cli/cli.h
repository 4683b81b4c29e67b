/* cli.h - what the commands of `xverse` share: options, printing, exit codes. */
#ifndef RPC_CLI_H
#define RPC_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "rpc/cli/batch/args.h"
#include "rpc/cli/eval/args.h"
#include "rpc/cli/measure/args.h"
#include "rpc/codec/codec.h"
#include "rpc/xverse.h"

/* Exit codes beside those of base/exit.h. */
enum { EXIT_UNREACHABLE = 69, EXIT_INTERRUPTED = 130 };

struct list {
	int32_t *id;
	int n;
};

/* Everything a command line can say; each command takes what its table lists. */
struct args {
	const char *command, *uds;
	const char *system;
	bool once;
	char **kept; /* values given later */
	int n_kept;
	bool json, no_resume, help, pieces, echo, parse_special, no_special;
	struct xv_sampling sampling;
	struct list ids; /* --ids: a prompt as token ids */
	bool has_ids;
	char *text; /* the plain argument, a file or standard input */
	size_t text_len;
	bool has_text;
	const char *prompt_file, *user, *lora;
	const char *word[2]; /* of `lora` */
	int n_words;
	int64_t timeout_ms, resume_s, top_n, call, level; /* resume_s: 0: the default */
	bool has_call, wait, no_wait, no_wrap;
	int64_t answers, most;                                /* 0: the default */
	int64_t concurrency, requests, input_len, output_len; /* bench; 0: the default */
	float rate;                                           /* requests a second */
	const char **stop;
	int n_stop;
	struct list stop_ids, allowed, bad;
	struct xv_bias *bias;
	int n_bias;
	char *tools_json; /* of --tools */
	const char *tool_choice;
	char *constraint_text; /* of sampling.constraint, as is: */
	const char **choice;   /* (sampling.constraint.n_choice) */
	struct eval_args eval;
	struct batch_args batch;
	struct measure_args measure;
};

/* 0, or ERR_INVALID; the text names the flag, its value and what the value must be. */
int args_parse(struct args *a, int argc, char **argv, struct why *why);
/* One more option of a command, as if it had stood on the line. */
int args_set(struct args *a, const char *command, const char *name, const char *value, struct why *why);
/* As if the option had not stood there: it is the server's again. */
int args_unset(struct args *a, const char *command, const char *name, struct why *why);
void args_show(const struct args *a, FILE *out); /* what is set of sampling */
void args_finish(struct args *a);
void args_help(const char *command, FILE *out); /* NULL: the list of commands */
/* Reads the prompt: plain argument, --file, or standard input ("-", or what is piped in). */
int args_text(struct args *a, struct why *why);

/* Connects as --uds, --timeout-ms, --no-wait and --wait say. no_resume: calls fail when the server is lost. */
int cli_connect(struct xv_client **c, struct args *a, bool no_resume, struct why *why);
/* `--wait` also waits for a server that has not been started yet, and says so once. */
bool cli_may_appear(const struct args *a, uint64_t begin_ns, const struct why *why);

/* Waits for the last reply of one call; keep-alives are skipped. 0, or a negative code: an Error reply
 * becomes its own code. *r is valid until the next xv_ call. */
int cli_ask(struct xv_client *c, struct xv_request *r, struct xv_reply *out, struct why *why);
int cli_exit_code(int err);
/* Says once when nothing was heard of the server for a while, until something is heard again. Start from {0}. */
struct cli_quiet {
	uint64_t heard_ns;
	bool said;
};
#define CLI_QUIET "the server stopped responding: the answer resumes when it returns; Ctrl-C gives it up"
/* heard: something just arrived. True: it is time to say so. */
bool cli_quiet(struct cli_quiet *q, bool heard);
void cli_listen(struct cli_quiet *q, bool heard); /* says it on standard error */
int cli_give_up(int err, const struct why *why);  /* says why; the exit code */
/* The text of an Error reply, with rank and step where it names them. */
int cli_error(const struct xv_error *e, struct why *why);

/* To standard output or standard error, all of it, or ERR_GONE (the reader is gone). Where that is a terminal,
 * control characters but line end and tab, characters that turn the direction of text, and bytes that are not UTF-8
 * become U+FFFD. Whatever a model or a server said goes this way, error texts too. */
int cli_put(int fd, const char *text, size_t len);
int cli_write(const char *text, size_t len);                                /* standard output */
void cli_print(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* standard output */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* standard error */

/* ---- columns.c ---- */
/* Before anything else: characters are UTF-8 whatever the environment's locale is. */
void cli_locale(void);
int cli_columns(int fd);                     /* of the terminal; very many where fd is none */
int cli_width(const char *text, size_t len); /* columns that it takes */
/* A line of a table on standard output: the name, padded to `left` columns, and a text, broken at blanks where the
 * terminal is narrow. */
void cli_row(const char *name, int left, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

json_t *json_of_started(const struct xv_started *s);
json_t *json_of_token(const struct xv_token *t);
json_t *json_of_finished(const struct xv_finished *f);
json_t *json_of_status(const struct xv_status *s);
json_t *json_of_adapter(const struct xv_adapter *l);
json_t *json_of_adapters(const struct xv_status *s);
void print_adapter(const struct xv_adapter *l, int left); /* left: columns of the name */
json_t *json_of_error(const struct xv_error *e);
void json_print(json_t *j); /* one line; takes the reference */
/* Bytes that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *text, size_t len);
/* A token's text as a string of JSON; bytes that are no whole character are written as \\xE4. */
struct text;
void cli_piece(struct text *t, const char *piece, size_t len);
const char *state_name(enum xv_state s);

/* The commands; each returns the exit code. */
int run_generate(struct args *a, struct xv_client *c);
int run_chat(struct args *a, struct xv_client *c);
int run_score(struct args *a, struct xv_client *c);
int run_status(struct args *a, struct xv_client *c);
int run_tokenize(struct args *a, struct xv_client *c);
int run_detokenize(struct args *a, struct xv_client *c);
int run_cancel(struct args *a, struct xv_client *c);
int run_drain(struct args *a, struct xv_client *c);
int run_metrics(struct args *a, struct xv_client *c);
int run_log_level(struct args *a, struct xv_client *c);
int run_bench(struct args *a, struct xv_client *c);
int run_ps(struct args *a, struct xv_client *c);
int run_lora(struct args *a, struct xv_client *c);
/* Until the server is ready: asks its status, shows a bar where standard error is a terminal. 0 or ERR_*, as when it
 * drains. */
int loading_wait(struct xv_client *c, struct why *why);
/* One line that says what a start does and how far it is; speed: of phase_done a second, 0 where it is not known. */
int loading_line(char *out, size_t size, const struct xv_status *s, double speed);

#endif
