#include "rpc/cli/eval/codes.h"

#include "rpc/cli/cli.h"

int eval_exit_code(int err)
{
	int code = cli_exit_code(err);

	if (err == ERR_LIMIT) /* the disk is full: what is answered is kept */
		return EXIT_AGAIN;
	if (err == ERR_CANCELLED)
		return EVAL_PARTIAL;
	return code == EXIT_USAGE || err == ERR_FORMAT || err == ERR_MISMATCH || err == ERR_IO ? EVAL_USAGE : code;
}
