/* exit.h - exit codes that the programs share (rpc/cli/cli.h adds those of xverse alone); sysexits.h has the same where
 * it has one. */
#ifndef BASE_EXIT_H
#define BASE_EXIT_H

enum { EXIT_OK = 0, EXIT_USAGE = 64, EXIT_INPUT = 66, EXIT_SOFTWARE = 70, EXIT_AGAIN = 75, EXIT_CONFIG = 78 };

#endif
