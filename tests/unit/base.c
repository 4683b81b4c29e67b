/* Conversions against the compiler's own, error list, logging. */
#include "base/base.h"
#include "base/fp8.h"
#include "tests/check.h"

#include <math.h>

TEST(f16_round_trip_and_rounding)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = f32_from_f16((uint16_t)h);
		if (f != f)
			continue;
		CHECK_EQ(f16_from_f32(f), h);
	}
	/* Every midpoint between neighbours goes to the even one. */
	for (uint32_t h = 0; h < 0x7bff; h++) {
		double a = f32_from_f16((uint16_t)h), b = f32_from_f16((uint16_t)(h + 1));
		float mid = (float)((a + b) / 2);
		CHECK_EQ(f16_from_f32(mid), h & 1 ? h + 1 : h);
		CHECK_EQ(f16_from_f32(__builtin_nextafterf(mid, 1e9f)), h + 1);
		CHECK_EQ(f16_from_f32(__builtin_nextafterf(mid, 0)), h);
	}
	CHECK_EQ(f16_from_f32(65520.0f), 0x7c00);
	CHECK_EQ(f16_from_f32(65519.0f), 0x7bff);
}

TEST(bf16_round_trip_and_rounding)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = f32_from_bf16((uint16_t)h);
		if (f == f)
			CHECK_EQ(bf16_from_f32(f), h);
		else
			CHECK(f32_from_bf16(bf16_from_f32(f)) != f32_from_bf16(bf16_from_f32(f)));
	}
	CHECK_EQ(bf16_from_f32(1.00390625f), 0x3f80); /* 1 + 2^-8: a tie, to even */
	CHECK_EQ(bf16_from_f32(1.01171875f), 0x3f82); /* 1 + 3 * 2^-8: a tie, to even */
	CHECK_EQ(bf16_from_f32(1.00390637f), 0x3f81);
}

/* e4m3 by its definition. */
static double number_of(int code)
{
	int e = code >> 3 & 15, m = code & 7;
	double v = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);

	return code & 0x80 ? -v : v;
}

/* Each number, the middle between each two neighbours, what lies just beside it, and what is beyond all. */
TEST(e4m3_round_trip_and_rounding)
{
	CHECK_EQ(number_of(0x7e) == 448, 1);
	for (int i = 0; i < 0x7e; i++)
		for (uint32_t sign = 0; sign <= 0x80; sign += 0x80) {
			int even = i & 1 ? i + 1 : i;
			float low = (float)number_of(i), high = (float)number_of(i + 1), middle = (low + high) / 2,
			      by = sign ? -1 : 1;
			CHECK_EQ(fp8_of(by * low), sign | (uint32_t)i);
			CHECK_EQ(fp8_of(by * high), sign | (uint32_t)(i + 1));
			CHECK_EQ(fp8_of(by * middle), sign | (uint32_t)even);
			CHECK_EQ(fp8_of(by * nextafterf(middle, 0)), sign | (uint32_t)i);
			CHECK_EQ(fp8_of(by * nextafterf(middle, 1e9f)), sign | (uint32_t)(i + 1));
		}
	CHECK_EQ(fp8_of(449), 0x7e);
	CHECK_EQ(fp8_of(-1e30f), 0xfe);
	CHECK_EQ(fp8_of(INFINITY), 0x7e);
	CHECK_EQ(fp8_of(1e-30f), 0);
}

TEST(e4m3_scales)
{
	static const float most[] = {448, 447, 449, 1, 0.875f, 0.8751f, 1.75f, 1.7500001f, 3e-5f, 1e30f, 3.4e38f};

	for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
		double scale = fp8_scale(f32_bits(most[i]));
		int e;
		CHECK(frexp(scale, &e) == 0.5 && most[i] <= 448 * scale && most[i] > 224 * scale);
		CHECK(fp8_factor(f32_bits(most[i])) * scale == 1);
	}
	CHECK(fp8_scale(0) == 1 && fp8_scale(1) == 0x1p-100f && fp8_factor(1) == 0x1p100f);
	CHECK(isnan(fp8_scale(f32_bits(INFINITY))) && isnan(fp8_scale(0x7fc00000)));
}

TEST(errors_have_names)
{
	struct why why;

	CHECK_STR(err_name(ERR_BUSY), "ERR_BUSY");
	CHECK_STR(err_text(0), "success");
	CHECK_EQ(fail(&why, ERR_FORMAT, "%s: %d", "file", 3), ERR_FORMAT);
	CHECK_STR(why.text, "file: 3");
}

static char seen[1500];
static void sink(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	snprintf(seen, sizeof seen, "%s", line);
}

TEST(log_lines_are_bounded)
{
	char big[3000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	log_init(3, LOG_INFO);
	log_sink(sink, NULL);
	log_at(LOG_DEBUG, "hidden");
	CHECK_STR(seen, "");
	log_at(LOG_WARN, "%s", big);
	CHECK_HAS(seen, "Z rank=3 level=warn event=\"xxx");
	CHECK(strlen(seen) < 1100 && seen[strlen(seen) - 1] == '"');
	log_at(LOG_WARN, "said \"%s\"", "a\nrank=0");
	CHECK_HAS(seen, "event=\"said \\\"a rank=0\\\"\"");
	log_event(LOG_INFO, "ready", " seconds=%.1f model=\"%s\"", 1.5, "a\nb");
	CHECK_HAS(seen, "level=info event=\"ready\" seconds=1.5 model=\"a b\"");
	log_event(LOG_INFO, "big", " x=%s", big);
	CHECK(strlen(seen) < 1400);
	log_event(LOG_INFO, "bytes", " dir=\"%s\"", "/a\xff/\xe4\xb8\xad");
	CHECK_HAS(seen, " dir=\"/a?/\xe4\xb8\xad\"");
	log_init(-1, LOG_INFO);
	log_at(LOG_INFO, "x");
	CHECK_HAS(seen, "Z program=base level=info event=\"x\"");
	log_sink(NULL, NULL);
}

TEST(reasons_are_whole_characters)
{
	struct why why;
	char longest[600];

	CHECK_EQ(fail(&why, ERR_FORMAT, "%.4s: x", "a\xe4\xb8\xad\xe6\x96\x87"), ERR_FORMAT);
	CHECK_STR(why.text, "a\xe4\xb8\xad: x");
	fail(&why, ERR_FORMAT, "%.5s: x", "a\xe4\xb8\xad\xe6\x96\x87");
	CHECK_STR(why.text, "a\xe4\xb8\xad: x");
	fail(&why, ERR_FORMAT, "%s",
	     "a\xed\xa0\x80"
	     "b\xc0\xaf\xe0\x80\x80"
	     "c\xf4\x90\x80\x80");
	CHECK_STR(why.text, "a?b???c?");
	fail(&why, ERR_FORMAT, "%.3s\xff", "\xf0\x9f\x98\x80");
	CHECK_STR(why.text, "?");
	memset(longest, 'b', sizeof longest);
	memcpy(longest + 510, "\xc3\xa4", 3);
	fail(&why, ERR_FORMAT, "%s", longest);
	CHECK_EQ(strlen(why.text), 510);
}

CHECK_MAIN()
