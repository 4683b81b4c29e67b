/* Every number of a request at the ends of its range and beyond them (proto/sampling.def, proto/limits.def): taken, or
 * refused by name while it is decoded. */
#include <math.h>

#include "rpc/codec/codec.h"
#include "rpc/frame.h"
#include "tests/check.h"
#include "tests/unit/messages.h"

static struct why why;

static int refused(const struct xv_request *r)
{
	struct rpc_out o = {0};
	struct xv_request back;
	const uint8_t *payload;
	size_t n;
	int err;

	rpc_request_encode(&o, r);
	CHECK(frame_next(o.data, o.len, FRAME_LIMIT, &payload, &n) > 0);
	err = rpc_request_decode(&back, payload, n, &why);
	CHECK(back.id == r->id && back.kind == r->kind);
	if (!err)
		rpc_request_free(&back);
	rpc_out_finish(&o);
	return err;
}

static struct xv_request *sampling_of(struct xv_request *r, struct xv_sampling **s)
{
	*r = request(XV_GENERATE);
	*s = &r->generate.sampling;
	return r;
}

/* A whole number at its ends, and what lies beyond them within the type. */
#define WHOLE_EDGES(type, ours, wire, low, high) \
	do { \
		struct xv_sampling *s; \
		const type inside[] = {(type)(low), (type)(high)}; \
		const type outside[] = {(type)((low)-1ull), (type)((high) + 1ull), (type)(1u << 31), UINT32_MAX - 1, \
					UINT32_MAX}; \
		for (int i = 0; i < 2; i++) { \
			sampling_of(&r, &s)->generate.sampling.ours = inside[i]; \
			CHECK_EQ(refused(&r), 0); \
		} \
		for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) { \
			if ((double)outside[i] >= (double)(low) && (double)outside[i] <= (double)(high)) \
				continue; \
			sampling_of(&r, &s)->generate.sampling.ours = outside[i]; \
			CHECK_EQ(refused(&r), ERR_INVALID); \
			CHECK_HAS(why.text, #wire ": "); \
		} \
	} while (0)

TEST(every_whole_number_of_sampling_has_its_range)
{
	struct xv_request r;

#define WHOLE(NAME, type, field, wire, unset, low, high, ...) WHOLE_EDGES(type, field, wire, low, high);
#include "proto/sampling.def"
}

static void real_edges(size_t at, const char *name, const struct range *range)
{
	const float values[] = {NAN,
				INFINITY,
				-INFINITY,
				-0.0f,
				0,
				1e-40f,
				3.4e38f,
				-3.4e38f,
				(float)range->low,
				(float)range->high,
				nextafterf((float)range->low, -INFINITY),
				nextafterf((float)range->high, INFINITY)};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct xv_request r = request(XV_GENERATE);
		memcpy((char *)&r.generate.sampling + at, &values[i], sizeof values[i]);
		CHECK_EQ(refused(&r), range_holds(range, values[i]) ? 0 : ERR_INVALID);
		if (!range_holds(range, values[i]))
			CHECK_HAS(why.text, name);
	}
}

TEST(every_real_number_of_sampling_has_its_range)
{
#define REAL(NAME, field, unset, bound, low, high, ...) \
	real_edges(offsetof(struct xv_sampling, field), #field ": ", &(struct range){low, high, RANGE_##bound});
#include "proto/sampling.def"
}

TEST(other_numbers_have_theirs)
{
	struct xv_request r = request(XV_SCORE);
	struct xv_bias far[] = {{0, 101}};

	r.score.top_n = 21;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "top_n: 21 is not within 0 to 20");
	r = request(XV_LOG_LEVEL);
	r.log_level.level = 4;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "level: 4 is not within 0 to 3");
	r = request(XV_GENERATE);
	r.generate.resume.text_bytes = UINT64_MAX;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "resume.text_bytes: ");
	r = request(XV_GENERATE);
	r.generate.sampling.bias = far;
	r.generate.sampling.n_bias = 1;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "logit_bias.value: 101 is not within -100 to 100");
	r = request(XV_HELLO);
	r.hello.frame_limit = 4095;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "hello.frame_limit: 4095");
	r.hello.frame_limit = 0;
	CHECK_EQ(refused(&r), 0);
}

TEST(ranges_hold_for_chats_too)
{
	struct xv_request r = request(XV_CHAT);

	CHECK_EQ(refused(&r), 0);
	r.chat.sampling.prompt_logprobs = 21;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "prompt_logprobs: 21 is not within 0 to 20");
}

CHECK_MAIN()
