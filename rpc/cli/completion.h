/* completion.h - `xverse completion SHELL`: made from the tables that parse the command line. Other programs are asked
 * for their options (--help) when they are completed. */
#ifndef RPC_CLI_COMPLETION_H
#define RPC_CLI_COMPLETION_H

/* Prints what completes the programs in this shell; the exit code. */
int completion_print(const char *shell);

void completion_bash(void);
void completion_zsh(void);
void completion_fish(void);

#endif
