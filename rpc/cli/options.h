/* options.h - the table of options and that of commands; both are read by the parser, --help and completion. */
#ifndef RPC_CLI_OPTIONS_H
#define RPC_CLI_OPTIONS_H

#include "rpc/cli/cli.h"

enum option_kind { FLAG, NUMBER, REAL, WORD, SWITCH, IDS, STOPS, BIASES, CONSTRAINT, TOOLS_FILE };

/* In the order in which --help shows them. */
enum option_group {
	GROUP_TEXT,
	GROUP_SAMPLING,
	GROUP_END,
	GROUP_OUTPUT,
	GROUP_LOAD,
	GROUP_DATA,
	GROUP_RESULT,
	GROUP_CALL,
	GROUPS
};
extern const char *const option_groups[GROUPS];

struct option {
	enum option_group group;
	const char *name, *value, *help; /* value: NULL where it has none */
	enum option_kind kind;
	unsigned of; /* commands, as bits of enum command_bit */
	size_t at;   /* in struct args */
	int field;   /* enum xv_sampling_field, whose range counts; -1: none */
	double low, high;
};

enum command_bit {
	GEN = 1,
	SCO = 2,
	STA = 4,
	TOK = 8,
	DET = 16,
	CAN = 32,
	DRA = 64,
	MET = 128,
	LOG = 256,
	CHA = 512,
	BEN = 1024,
	PS = 2048,
	EVA = 4096,
	BAT = 8192,
	LOR = 16384,
	SUB = 32768,
	ALL = 65535
};

struct command {
	const char *group, *name, *usage, *help;
	unsigned bit; /* 0: main() runs it without a server */
	const char *examples;
};

const struct option *option_at(int i);   /* NULL behind the last one */
const struct command *command_at(int i); /* NULL behind the last one */
const struct command *command_find(const char *name);

/* ERR_INVALID, with the command or option that may have been meant. */
int option_unknown(const struct command *c, const char *name, size_t len, struct why *why);
int command_unknown(const char *name, struct why *why);

#endif
