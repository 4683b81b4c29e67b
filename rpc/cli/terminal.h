/* terminal.h - lines from a person: editing and history at a terminal, plain reading elsewhere. */
#ifndef RPC_CLI_TERMINAL_H
#define RPC_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct terminal;
/* What Tab completes: the i-th word that may stand behind `len` bytes of the line, or NULL. *from: where it begins. */
typedef const char *terminal_words(const char *line, size_t len, int i, size_t *from);

/* History is kept in $XDG_STATE_HOME/xverse_history, else ~/.xverse_history. Ctrl-C must be caught without SA_RESTART.
 */
struct terminal *terminal_open(terminal_words *complete);
void terminal_close(struct terminal *t);
enum terminal_got { TERMINAL_LINE, TERMINAL_END, TERMINAL_INTERRUPT };
/* *line is malloced, without its line break. */
enum terminal_got terminal_read(struct terminal *t, const char *prompt, char **line);
void terminal_remember(struct terminal *t, const char *line);
bool terminal_is_tty(const struct terminal *t);

#endif
