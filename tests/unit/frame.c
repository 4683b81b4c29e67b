/* Heads of frames: every size there and back, cut short at every byte, too large, too long. */
#include "rpc/frame.h"

#include "tests/check.h"

TEST(frame_heads)
{
	static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, FRAME_LIMIT, UINT32_MAX};
	uint8_t head[FRAME_HEAD_MAX];
	const uint8_t *payload;
	size_t n;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int k = frame_head(head, sizes[i]);
		for (int part = 0; part < k; part++)
			CHECK_EQ(frame_next(head, (size_t)part, SIZE_MAX, &payload, &n), 0);
		CHECK_EQ(frame_next(head, (size_t)k, SIZE_MAX, &payload, &n), sizes[i] ? 0 : 1);
		CHECK_EQ(n, sizes[i]);
		if (sizes[i])
			CHECK_EQ(frame_next(head, (size_t)k, sizes[i] - 1, &payload, &n), ERR_LIMIT);
	}
	CHECK_EQ(frame_next((const uint8_t *)"\xff\xff\xff\xff\xff", 5, SIZE_MAX, &payload, &n), ERR_FORMAT);
	CHECK_EQ(frame_next((const uint8_t *)"\xff\xff\xff\xff\x1f", 5, SIZE_MAX, &payload, &n), ERR_FORMAT);
}

CHECK_MAIN()
