/* journal.h - the results of a long run, kept while it lasts: a file to which one line is appended for each item, so
 * that a run that is killed at any moment goes on where it stood, and no item is computed or written twice.
 *
 * An item is a number that the caller gives it: its place in the run's input, which is also its place in the final
 * file. Its result is one line of text, usually a JSON object. Items may be put in any order.
 *
 * The file is JSONL: a head, which says what the run is, then {"n": ITEM, "sum": CHECK, "line": RESULT}. A line that a
 * kill or a full disk cut short is the last one; it is dropped at the next open. Any other damage is ERR_FORMAT with
 * the line's number. A second writer is refused (ERR_BUSY). journal_final() writes the results alone, in
 * the order of the items, into a file that appears at once and whole.
 *
 * A journal of n items takes 12 bytes of memory for each. */
#ifndef RPC_CLI_JOURNAL_H
#define RPC_CLI_JOURNAL_H

#include "base/base.h"

struct journal;

struct journal_options {
	const char *path;
	const char *head; /* one line of JSON: model, protocol, data; a run with another head cannot go on */
	bool resume;      /* go on where there is a journal; false: a journal with results is refused (ERR_INVALID) */
	bool fresh;       /* what an earlier run left is dropped; a file that is no journal is not (ERR_FORMAT) */
	int sync_ms;      /* results reach the disk (fsync) at least so often; 0: each at once; -1: when it is closed */
};

/* 0, or: ERR_BUSY: another process writes it; ERR_MISMATCH: its head is another one, and `why` names the first key that
 * differs; ERR_INVALID; ERR_FORMAT; ERR_IO. */
int journal_open(struct journal **out, const struct journal_options *how, struct why *why);
/* NULL is fine. What was put is synced first; an error of that is logged. */
void journal_close(struct journal *j);
void journal_remove(struct journal *j); /* deletes the file, then closes: its results are elsewhere */

/* The first key whose value differs between two heads: "seed, which was 3". */
enum { JOURNAL_DIFFERENCE = 120 };
void journal_difference(const char *was, const char *is, char out[JOURNAL_DIFFERENCE]);

bool journal_has(const struct journal *j, uint64_t item);
uint64_t journal_count(const struct journal *j); /* items that it has */
/* Appends the result of an item. 0; ERR_INVALID: it has one, or the line holds a line end or is no JSON value;
 * ERR_IO, ERR_LIMIT (the disk is full): nothing is kept of it, all earlier results are, and the same put may be tried
 * again. */
int journal_put(struct journal *j, uint64_t item, const char *line, size_t len, struct why *why);
int journal_sync(struct journal *j, struct why *why);
/* The result of an item, NUL-terminated: the caller frees it. ERR_UNKNOWN: it has none. */
int journal_get(const struct journal *j, uint64_t item, char **line, size_t *len, struct why *why);
/* Calls `take` with each result, by rising item, until one returns an error, which is returned. */
typedef int journal_take(void *arg, uint64_t item, const char *line, size_t len, struct why *why);
int journal_each(const struct journal *j, journal_take *take, void *arg, struct why *why);
/* Writes all results to `path`, by rising item, one a line: aside first, synced, then renamed. What a process that was
 * killed meanwhile has left aside is removed: the journal's lock is that of the results, too. */
int journal_final(const struct journal *j, const char *path, struct why *why);
/* The same with results that `pick` chooses for the lines 0 to n - 1: an item, or UINT64_MAX for none. */
typedef uint64_t journal_pick(void *arg, uint64_t line);
int journal_final_of(const struct journal *j, uint64_t n, journal_pick *pick, void *arg, const char *path,
		     struct why *why);

#endif
