/* chat_command.h - the commands of `xverse chat`. */
#ifndef RPC_CLI_CHAT_COMMAND_H
#define RPC_CLI_CHAT_COMMAND_H

#include "rpc/cli/conversation.h"

/* Runs the command of a line that begins with '/'; false: the line is none. */
bool talk_command(struct talk *t, const char *line);
/* For Tab: the i-th word that may stand where the cursor is, behind `len` bytes of the line, or NULL. *from: where that
 * word begins. */
const char *talk_complete(const char *line, size_t len, int i, size_t *from);

#endif
