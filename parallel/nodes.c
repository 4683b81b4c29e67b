#include "parallel/nodes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "parallel/shard.h"

static void take_rank(struct nodes *n, int rank, int leader, const char *name)
{
	int at = 0;

	while (at < n->n && n->node[at].leader != leader)
		at++;
	if (at == n->n) {
		n->node[n->n++] = (struct node){.leader = leader};
		snprintf(n->node[at].name, NODE_NAME, "%s", name);
		for (char *c = n->node[at].name; *c; c++) /* it stands in logs and metrics */
			if (!isalnum((unsigned char)*c) && !strchr("-._", *c))
				*c = '?';
	}
	n->node[at].ranks++;
	n->of_rank[rank] = at;
}

void nodes_make(struct nodes *out, int rank, int size, const int *leader_of, const char (*name)[NODE_NAME])
{
	*out = (struct nodes){.node = xalloc((size_t)size, sizeof *out->node),
			      .of_rank = xalloc((size_t)size, sizeof *out->of_rank)};
	for (int r = 0; r < size; r++)
		take_rank(out, r, leader_of[r], name[r]);
	out->mine = out->of_rank[rank];
}

void nodes_even(struct nodes *out, int rank, int size, int n)
{
	int *leader = xalloc((size_t)size, sizeof *leader);
	char(*name)[NODE_NAME] = xalloc((size_t)size, sizeof *name);

	for (int i = 0; i < n; i++)
		for (int first = size * i / n, r = first; r < size * (i + 1) / n; r++) {
			leader[r] = first;
			snprintf(name[r], sizeof name[r], "node%d", i);
		}
	nodes_make(out, rank, size, leader, (const char(*)[NODE_NAME])name);
	free(leader);
	free(name);
}

void nodes_finish(struct nodes *n)
{
	free(n->node);
	free(n->of_rank);
	*n = (struct nodes){0};
}

void nodes_ranks_text(const struct nodes *n, int size, int node, char *out, size_t room)
{
	size_t at = (size_t)snprintf(out, room, "rank%s", n->node[node].ranks > 1 ? "s" : "");

	for (int r = 0; r < size && at < room; r++)
		if (n->of_rank[r] == node)
			at += (size_t)snprintf(out + at, room - at, " %d", r);
}

int nodes_parts(const struct nodes *n, int size, int node, int n_leaves, struct part *part)
{
	int count = 0;

	for (int r = 0; r < size; r++) {
		struct span own = split_leaves(n_leaves, r, size), next;

		if (n->of_rank[r] != node || (r && n->of_rank[r - 1] == node))
			continue;
		for (int i = r + 1; i < size && n->of_rank[i] == node; i++) {
			next = split_leaves(n_leaves, i, size);
			own.count += next.count;
		}
		count += leaf_parts(own.first, own.count, part + count);
	}
	return count;
}
