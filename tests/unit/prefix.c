/* The prefix of Score requests: sent once by the client, joined by the server, never mistaken for another one. */
#include "rpc/codec/prefix.h"

#include "tests/check.h"

static struct why why;

static struct xv_request score(const char *prefix, const char *text)
{
	struct xv_request r = {.kind = XV_SCORE};

	r.score.prompt = (struct xv_prompt){.is_text = true, .text = text, .text_len = strlen(text)};
	r.score.prefix = (struct xv_prompt){.is_text = true, .text = prefix, .text_len = strlen(prefix)};
	return r;
}

/* What the server's side makes of a request that the client's side saved. */
static int pass(struct rpc_prefix *sent, struct rpc_prefix *kept, struct xv_request r, size_t *size, char out[64])
{
	struct xv_request back;
	int err;

	rpc_prefix_save(sent, &r);
	*size = r.score.prefix.text_len;
	back = score(r.score.prefix.text, r.score.prompt.text);
	back.score.prefix_id = r.score.prefix_id;
	err = rpc_prefix_join(kept, &back, &why);
	snprintf(out, 64, "%.*s", (int)back.score.prompt.text_len, back.score.prompt.text);
	rpc_request_free(&back);
	return err;
}

TEST(a_prefix_goes_once)
{
	static const char *const prefixes[] = {"aaaa", "aaaa", "bb", "bb", "", "bb", "aaaa"};
	static const bool goes[] = {true, false, true, false, false, false, true};
	struct rpc_prefix sent = {0}, kept = {0};

	for (int i = 0; i < 7; i++) {
		char out[64], want[64];
		size_t size;
		CHECK_EQ(pass(&sent, &kept, score(prefixes[i], "x"), &size, out), 0);
		snprintf(want, sizeof want, "%sx", prefixes[i]);
		CHECK_STR(out, want);
		CHECK_EQ(size > 0, goes[i]);
	}
	rpc_prefix_forget(&sent);
	rpc_prefix_forget(&kept);
}

/* The server refused the request that brought it: those that lean on it must not get an older one. */
TEST(a_lost_prefix_is_missed)
{
	struct rpc_prefix sent = {0}, kept = {0};
	struct xv_request lost = score("lost", "x");
	char out[64];
	size_t size;

	CHECK_EQ(pass(&sent, &kept, score("first", "x"), &size, out), 0);
	rpc_prefix_save(&sent, &lost);
	CHECK_EQ(pass(&sent, &kept, score("lost", "y"), &size, out), ERR_BUSY);
	CHECK_HAS(why.text, "send it again");
	rpc_prefix_forget(&sent); /* as libxverse does after an error */
	CHECK_EQ(pass(&sent, &kept, score("lost", "y"), &size, out), 0);
	CHECK_STR(out, "losty");
	CHECK(size > 0);
	rpc_prefix_forget(&sent);
	rpc_prefix_forget(&kept);
}

TEST(ids_and_text_do_not_mix)
{
	static const int32_t ids[] = {7, 8, 9};
	struct rpc_prefix kept = {0};
	struct xv_request r = score("a", "x"), of_ids = {.kind = XV_SCORE};

	r.score.prefix_id = 4;
	CHECK_EQ(rpc_prefix_join(&kept, &r, &why), 0);
	rpc_request_free(&r);
	of_ids.score.prompt = (struct xv_prompt){.text = "", .ids = ids, .n_ids = 3};
	of_ids.score.prefix_id = 4;
	CHECK_EQ(rpc_prefix_join(&kept, &of_ids, &why), ERR_INVALID);
	of_ids.score.prefix_id = 5;
	of_ids.score.prefix = (struct xv_prompt){.text = "", .ids = ids, .n_ids = 2};
	CHECK_EQ(rpc_prefix_join(&kept, &of_ids, &why), 0);
	CHECK_EQ(of_ids.score.prompt.n_ids, 5);
	CHECK(of_ids.score.prompt.ids[1] == 8 && of_ids.score.prompt.ids[2] == 7 && of_ids.score.prompt.ids[4] == 9);
	rpc_request_free(&of_ids);
	rpc_prefix_forget(&kept);
}

CHECK_MAIN()
