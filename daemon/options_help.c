/* options_help.c - `xversed --help`. */
#include "daemon/options.h"

#include <stdio.h>
#include <string.h>

#include "base/help.h"

static void print_row(const struct option_row *row)
{
	char left[120], help[400];
	size_t n = (size_t)snprintf(left, sizeof left, "--%s%s", row->kind == OPT_NO_FLAG ? "no-" : "", row->name);

	if (row->alias)
		n += (size_t)snprintf(left + n, sizeof left - n, ", -%s", row->alias);
	if (row->value)
		n += (size_t)snprintf(left + n, sizeof left - n, " %s", row->value);
	for (int i = 0; row->choices && row->choices[i]; i++)
		n += (size_t)snprintf(left + n, sizeof left - n, "%s%s", i ? "|" : " ", row->choices[i]);
	if (row->kind == OPT_NUMBER && row->fallback)
		snprintf(help, sizeof help, "%s [%lld]", row->help, (long long)row->fallback);
	else
		snprintf(help, sizeof help, "%s", row->help);
	help_row(stdout, left, help);
}

static const char examples[] =
	"\nExamples:\n"
	"  xversed /models/XVERSE-13B --dry-run --tensor-parallel-size 2    # does it fit on 2 ranks?\n"
	"  xverse-launch -n 2 --restart /models/XVERSE-13B                  # serve it on 2 ranks\n"
	"  xversed launch/demo/model --max-num-seqs 8 --uds /tmp/x.sock\n"
	"  xversed launch/demo/model --config xversed.conf                  # with such lines:\n"
	"      max-num-seqs: 8     # a comment\n"
	"      no-pin: true\n\n";

void options_help(void)
{
	static const struct option_row config = {.name = "config",
						 .value = "FILE",
						 .kind = OPT_TEXT,
						 .help = "read options from a file, one a line: max-num-seqs: 8"};
	const char *group = "";

	printf("usage: xversed MODEL [options]               one rank\n"
	       "       mpirun -n N xversed MODEL [options]   N ranks\n\n");
	help_text(
		stdout, 0,
		"Serves a Llama-shaped model, sharded over the ranks, on a Unix socket. Each option may also be a variable "
		"XVERSED_NAME=value or a line \"name: value\" of --config FILE; flags win. Numbers may have a suffix: 16k = "
		"16000, 16K = 16384. XVERSED_CUDA_LIB=FILE names the CUDA plug-in; default: libxverse-cuda.so beside the "
		"program.");
	for (int i = 0; i < option_count; i++) {
		if (strcmp(group, option_table[i].group)) {
			printf("\n%s:\n", group = option_table[i].group);
			if (!strcmp(group, "Other"))
				print_row(&config);
		}
		print_row(&option_table[i]);
	}
	fputs(examples, stdout);
	help_text(
		stdout, 0,
		"Exit codes: 0 done, 64 usage, 66 input, 70 software or a lost rank, 75 try again, 78 configuration.");
}
