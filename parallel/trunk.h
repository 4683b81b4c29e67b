/* trunk.h - TCP links between the leaders of nodes (nodes.h): two between each pair, one for frames of data and one for
 * heartbeats, so that these do not queue behind a large sum.
 *
 * Links come up once, while the job starts: each leader listens on one address, MPI carries all addresses and two
 * random secrets, the leader of the higher number calls, and who cannot say the secret is hung up on. The listener is
 * closed when all have joined, so a stranger finds no port open while the job serves. Links are neither encrypted nor
 * signed: the network between nodes is trusted with prompts, as MPI and NCCL trust it (docs/security.md).
 *
 * Each link of data has a thread here that sleeps in its socket and puts what arrives where its reader wants it. */
#ifndef PARALLEL_TRUNK_H
#define PARALLEL_TRUNK_H

#include <sys/types.h>

#include "base/base.h"

enum trunk_kind { TRUNK_STEP, TRUNK_PARTS, TRUNK_QUESTION, TRUNK_ANSWER, TRUNK_KINDS };
enum { TRUNK_MOST = 64 << 20, TRUNK_ADDRESS = 64, TRUNK_SECRET = 16, TRUNK_NODES = 32 };

/* Of one byte order: all ranks run the same program. */
struct trunk_frame {
	uint32_t magic;
	uint16_t kind, from; /* enum trunk_kind; the rank that sends, where it matters */
	uint32_t no, bytes;  /* of the step, sum or question; of the payload, which follows */
	uint64_t at;         /* where in its reader's memory the payload belongs */
};

/* Where a leader listens, as MPI carries it. */
struct trunk_place {
	char interface[16], address[TRUNK_ADDRESS]; /* "eth0", "10.0.0.1"; "": none */
	uint16_t port;
	uint8_t prefix; /* bits of the address that name its network */
	uint32_t mbit;  /* a second, as the kernel says; 0: unknown */
};
/* The caller's word and the answer. */
struct trunk_secret {
	uint8_t call[TRUNK_SECRET], answer[TRUNK_SECRET];
};

struct trunk;

enum { TRUNK_PLACES = 16 }; /* of a node */
/* The addresses of this node: of `interface`, which is a name or a network as 10.0.0.0/8; NULL: of any, loopback aside.
 * Returns how many. */
int trunk_addresses(const char *interface, struct trunk_place out[TRUNK_PLACES]);
/* All that this machine has, as errors name them: "lo=127.0.0.1 eth0=10.0.0.1". */
void trunk_interfaces(char *out, size_t size);
/* ERR_UNKNOWN, with their names: this machine has no address of `interface`. NULL is fine. */
int trunk_has_interface(const char *interface, struct why *why);
/* Which of place (n, TRUNK_PLACES) the nodes use: in the network of node 0 in which each node has an address of its
 * own, and if there are several in the one whose slowest interface is fastest, or the first; `given`, an interface was
 * named: the first of each. chosen (n). False: there is none, or two nodes have the same address. */
bool trunk_choose(const struct trunk_place *place, int n, bool given, int *chosen);
/* Listens on place->address and sets place->port. Returns the socket, or ERR_IO. */
int trunk_listen(struct trunk_place *place, struct why *why);
void trunk_secret_make(struct trunk_secret *s);
/* Joins all nodes; closes the listener. Returns -1, or the lowest node without both links after timeout_ms. */
int trunk_join(struct trunk **out, int listener, const struct trunk_place *place, int n, int mine,
	       const struct trunk_secret *secret, int timeout_ms);
/* Orderly: from now on a link that ends is no fault. All nodes call it before any calls trunk_close(). */
void trunk_ending(struct trunk *t);
void trunk_close(struct trunk *t); /* NULL is fine */

/* Who takes frames of a kind. Set before the other nodes can send any. Both functions run on the link's thread. */
struct trunk_sink {
	/* Where the payload goes, whose size the frame says; NULL: no such frame can be, and the link is lost. */
	void *(*place)(void *arg, int node, const struct trunk_frame *f);
	void (*arrived)(void *arg, int node, const struct trunk_frame *f);
	void *arg;
};
/* For place(): the payload lies within `room` bytes. */
bool trunk_fits(const struct trunk_frame *f, size_t room);
void trunk_sink(struct trunk *t, enum trunk_kind kind, const struct trunk_sink *s); /* NULL: nothing any more */
/* Called when a link is lost, on its thread; it may be called for a node more than once. Starts the threads. */
void trunk_start(struct trunk *t, void (*lost)(void *arg, int node, const char *why), void *arg);

/* Waits until the kernel has it all. Any thread. */
void trunk_send(struct trunk *t, int node, const struct trunk_frame *f, const void *payload);
/* The same to all other nodes. */
void trunk_send_all(struct trunk *t, const struct trunk_frame *f, const void *payload);
uint64_t trunk_bytes(const struct trunk *t, int node, bool sent); /* of data, since the start */

/* Heartbeats, all of one size: for one thread, which they do not keep waiting. */
int trunk_beat_fd(const struct trunk *t, int node);
/* What does not fit in the socket at once is dropped, or finished with the next. */
void trunk_beat_send(struct trunk *t, int node, const void *beat, size_t bytes);
/* 1: `beat` is whole; 0: not yet; -1: the link has ended. */
int trunk_beat_take(struct trunk *t, int node, void *beat, size_t bytes);

/* What TCP counts of a link since the start. */
struct trunk_packets {
	uint32_t sent, lost, again; /* again: sent once more, whether they were lost or late */
	uint64_t arrived;           /* bytes */
	bool waiting;               /* some that were sent have not arrived yet */
};
struct trunk_packets trunk_beat_packets(const struct trunk *t, int node);
struct trunk_packets trunk_data_packets(const struct trunk *t, int node);

/* For the fuzzer: reads frames from `read`, which returns bytes, 0 at the end or -1, until one is wrong. */
typedef ssize_t trunk_reader(void *from, void *buf, size_t bytes);
void trunk_feed(const struct trunk_sink *sinks /* (TRUNK_KINDS) */, int node, trunk_reader *read, void *from);

#endif
