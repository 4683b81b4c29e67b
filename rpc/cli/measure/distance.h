/* distance.h - how far a class of arithmetic is from the finest one: whole distributions of the next token at places of
 * a text, kept in a file for the finest, compared for the others. */
#ifndef RPC_CLI_MEASURE_DISTANCE_H
#define RPC_CLI_MEASURE_DISTANCE_H

#include "rpc/cli/measure/windows.h"

struct measure_place {
	const int32_t *ids; /* (n) what the token follows */
	int n;
};
struct measure_distance {
	const char *adapter;         /* of the server's; NULL: none */
	struct measure_place *place; /* (n) evenly over the tokens that count */
	int n, vocab;
	int32_t *all; /* (vocab) every id */
	int fd;       /* (n, vocab) f32 logprobs of the finest class, in a file without a name */
	double *kl;   /* (n) sums in the order of the places, so that nothing depends on who answers first */
	bool *same;   /* (n) the likeliest token is the finest's */
};
int measure_distance_open(struct measure_distance *d, const struct measure_windows *w, int places, int vocab,
			  struct why *why);
void measure_distance_close(struct measure_distance *d);
/* finest: keeps the distributions. Otherwise compares: mean Kullback-Leibler divergence from the finest in nats, and
 * the share of places with the same likeliest token. */
int measure_distance_run(struct measure_distance *d, struct xv_client *c, bool finest, bool quiet, double *kl,
			 double *same, struct why *why);

#endif
