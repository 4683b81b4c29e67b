/* trunk_files.h - bytes of files that one node reads for ranks of others, while the model loads (--load-format
 * broadcast): so a file of a network file system is read once, not by every node.
 *
 * Rank 0 listens; each rank elsewhere has as many connections as its threads need at a time, says the secret that MPI
 * carried on each, as links do (trunk.h), and asks for a file's number, an offset and a size. */
#ifndef PARALLEL_TRUNK_FILES_H
#define PARALLEL_TRUNK_FILES_H

#include "parallel/trunk.h"

enum { FILES_MOST = 16 << 20 }; /* bytes of one answer; files_read() asks as often as it takes */

struct file_server;
struct file_client;

/* find: the descriptor of a file and its size, -1: none; any thread. Sets place->port. ERR_IO. */
int files_serve(struct file_server **out, struct trunk_place *place, const struct trunk_secret *secret,
		int (*find)(void *arg, int file, uint64_t *size), void *arg, struct why *why);
uint64_t files_sent(const struct file_server *s); /* bytes */
void files_stop(struct file_server *s);           /* NULL is fine; hangs up on all */

/* Connects when it is first read from. own: the address to call from. */
struct file_client *files_open(const struct trunk_place *place, const char *own, const struct trunk_secret *secret);
/* Any thread. ERR_IO: the server has gone, or the file has no such bytes. */
int files_read(struct file_client *c, int file, uint64_t offset, void *dst, size_t n, struct why *why);
void files_close(struct file_client *c); /* NULL is fine */

#endif
