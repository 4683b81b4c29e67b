/* Which way each pair of GPUs speaks, in words. */
#include "daemon/rank/links.h"
#include "tests/check.h"

/* letters: of the pairs in order, and of the reverse direction where it differs. */
static const char *text_of(int n, const char *letters, int worse_at)
{
	static char out[256];
	static const char kinds[] = "snpuh"; /* as in enum gpu_link */
	enum gpu_link link[64] = {GPU_SAME};

	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++, letters++)
			link[a * n + b] = link[b * n + a] = (enum gpu_link)(strchr(kinds, *letters) - kinds);
	if (worse_at)
		link[worse_at] = GPU_HOST;
	links_text(link, n, out, sizeof out);
	return out;
}

TEST(links)
{
	CHECK_STR(text_of(1, "", 0), "");
	CHECK_STR(text_of(2, "n", 0), "all pairs by NVLink");
	CHECK_STR(text_of(2, "h", 0), "all pairs by host memory");
	CHECK_STR(text_of(2, "s", 0), "all pairs on the same GPU");
	CHECK_STR(text_of(3, "ppp", 0), "all pairs by PCIe, peer to peer");
	CHECK_STR(text_of(4, "nhhhhn", 0), "0-1, 2-3 by NVLink; all other pairs by host memory");
	CHECK_STR(text_of(3, "npu", 0),
		  "0-2 by PCIe, peer to peer; 1-2 unknown, since a rank does not see the other's GPU; "
		  "all other pairs by NVLink");
	CHECK_STR(text_of(3, "nnn", 3), "0-1 by host memory; all other pairs by NVLink");
	CHECK_STR(text_of(3, "nnn", 1), "0-1 by host memory; all other pairs by NVLink");
}

/* 8 GPUs with many pairs of two kinds: the text ends, and within its room. */
TEST(long_lists)
{
	const char *text = text_of(8, "npnpnpnpnpnpnpnpnpnpnpnpnpnp", 0);

	CHECK(strlen(text) < 256);
	CHECK(strstr(text, "all other pairs by NVLink"));
}

TEST(pairs_of_a_kind)
{
	enum gpu_link link[9] = {GPU_SAME,   GPU_HOST,   GPU_NVLINK, GPU_HOST, GPU_SAME,
				 GPU_NVLINK, GPU_NVLINK, GPU_NVLINK, GPU_SAME};
	char out[64];

	CHECK(links_pairs(link, 3, GPU_HOST, out, sizeof out));
	CHECK_STR(out, "0-1");
	CHECK(links_pairs(link, 3, GPU_NVLINK, out, sizeof out));
	CHECK_STR(out, "0-2, 1-2");
	CHECK(!links_pairs(link, 3, GPU_PCIE, out, sizeof out));
}

CHECK_MAIN()
