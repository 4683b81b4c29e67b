/* nodes.h - which rank is on which node. Nodes are numbered by their lowest rank, their leader: it alone speaks with
 * the other nodes (trunk.h). So rank 0 leads node 0. Ranks of a node need not follow each other. */
#ifndef PARALLEL_NODES_H
#define PARALLEL_NODES_H

#include <stdbool.h>
#include <stddef.h>

enum { NODE_NAME = 64 };

struct node {
	char name[NODE_NAME]; /* its host name */
	int leader, ranks;
};

struct nodes {
	int n, mine;
	struct node *node; /* (n) */
	int *of_rank;      /* (size) */
};

/* leader_of (size): the leader of each rank's node; name (size): of each rank's host. Takes memory until
 * nodes_finish(). */
void nodes_make(struct nodes *out, int rank, int size, const int *leader_of, const char (*name)[NODE_NAME]);
/* As a plan assumes it: size ranks on n nodes, each with ranks that follow each other, as even as may be. */
void nodes_even(struct nodes *out, int rank, int size, int n);
void nodes_finish(struct nodes *n);

/* "ranks 2 3", of a node. */
void nodes_ranks_text(const struct nodes *n, int size, int node, char *out, size_t room);

struct part;
/* What a node sends of a sum: one partial a maximal aligned subtree of the leaves that its ranks own, in leaf order.
 * part (SHARD_MAX_LEAVES). Returns how many. */
int nodes_parts(const struct nodes *n, int size, int node, int n_leaves, struct part *part);

#endif
