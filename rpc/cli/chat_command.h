/* chat_command.h - the commands of `xverse chat`. */
#ifndef RPC_CLI_CHAT_COMMAND_H
#define RPC_CLI_CHAT_COMMAND_H

#include "rpc/cli/conversation.h"

/* Runs the command of a line that begins with '/'; false: the line is none. */
bool talk_command(struct talk *t, const char *line);

#endif
