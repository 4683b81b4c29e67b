/* completion_value.h - what completion can propose behind an option or a command. */
#ifndef RPC_CLI_COMPLETION_VALUE_H
#define RPC_CLI_COMPLETION_VALUE_H

#include "rpc/cli/options.h"

/* What can be proposed as the value of an option, or as the argument of a command. */
enum completion_value { COMPLETE_NOTHING, COMPLETE_FILES, COMPLETE_CHOICES /* o->value is a|b|c */ };
enum completion_value completion_value(const struct option *o);
enum completion_value completion_argument(const struct command *c);
/* Command and option that take no part in the tables: those of `xverse convert`, which xversed reads. */
extern const char *const completion_convert[][3]; /* name, value, help; ends with NULL */

#endif
