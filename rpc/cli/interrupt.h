/* interrupt.h - signals that end a long command in order: what it has started, and what it has made, is cleared away.
 */
#ifndef RPC_CLI_INTERRUPT_H
#define RPC_CLI_INTERRUPT_H

/* From here on SIGINT, SIGTERM and SIGHUP (unless it is ignored, as below nohup) are counted instead of ending the
 * process; a fourth one ends it, whatever it does. Calls nest: the outermost begins to count at 0. */
void interrupt_catch(void);
void interrupt_release(void);
int interrupt_count(void); /* 0 where they are not caught */

#endif
