#include "daemon/rank/links.h"

#include <stdio.h>

enum { KINDS = GPU_NODES + 1 };

static enum gpu_link worse(const enum gpu_link *link, int n, int a, int b)
{
	return link[a * n + b] > link[b * n + a] ? link[a * n + b] : link[b * n + a];
}

static void count(const enum gpu_link *link, int n, int pairs[KINDS])
{
	for (int k = 0; k < KINDS; k++)
		pairs[k] = 0;
	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++)
			pairs[worse(link, n, a, b)]++;
}

/* snprintf() behind what is there; what does not fit is left out. */
#define ADD(...) (at += at < size ? (size_t)snprintf(out + at, size - at, __VA_ARGS__) : 0)

bool links_pairs(const enum gpu_link *link, int n, enum gpu_link kind, char *out, size_t size)
{
	int pairs[KINDS];
	size_t at = 0;

	count(link, n, pairs);
	if (pairs[kind] == n * (n - 1) / 2) {
		ADD("all");
		return pairs[kind] > 0;
	}
	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++)
			if (worse(link, n, a, b) == kind)
				ADD("%s%d-%d", at ? ", " : "", a, b);
	return pairs[kind] > 0;
}

/* The kind of most pairs comes last, without a list. */
void links_text(const enum gpu_link *link, int n, char *out, size_t size)
{
	static const char *const words[KINDS] = {[GPU_SAME] = "on the same GPU",
						 [GPU_NVLINK] = "by NVLink",
						 [GPU_PCIE] = "by PCIe, peer to peer",
						 [GPU_UNSEEN] = "unknown, since a rank does not see the other's GPU",
						 [GPU_HOST] = "by host memory",
						 [GPU_NODES] = "by the network between nodes"};
	char list[256];
	int pairs[KINDS], most = 0;
	size_t at = 0;

	*out = 0;
	count(link, n, pairs);
	for (int k = 1; k < KINDS; k++)
		most = pairs[k] > pairs[most] ? k : most;
	for (int k = 0; k < KINDS; k++)
		if (k != most && links_pairs(link, n, (enum gpu_link)k, list, sizeof list))
			ADD("%s%s %s", at ? "; " : "", list, words[k]);
	if (pairs[most])
		ADD("%s%s %s", at ? "; " : "", at ? "all other pairs" : "all pairs", words[most]);
}
