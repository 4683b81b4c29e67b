/* Archives that are damaged, cut off, or laid out in another way. */
#include "tests/check.h"
#include "tests/unit/archive.h"

TEST(every_truncation_is_refused)
{
	static struct archive a;

	make(&a, GOOD, sizeof GOOD - 1);
	for (size_t n = 0; n < a.file.n; n++) {
		struct table t;
		struct why why = {""};
		if (!parse(&a, n, &t, &why))
			CHECK_FAIL("%zu of %zu bytes are taken for a file", n, a.file.n);
		CHECK_HAS(why.text, "made.bin: ");
		table_finish(&t);
	}
}

/* Any one byte changed: an answer, and no tensor outside the file. */
TEST(every_damaged_byte_is_survived)
{
	static struct archive a;

	make(&a, GOOD, sizeof GOOD - 1);
	log_level_set(LOG_ERROR);
	for (size_t i = 0; i < a.file.n; i++)
		for (int how = 0; how < 3; how++) {
			struct table t;
			struct why why = {""};
			uint8_t was = a.file.b[i];
			a.file.b[i] = how == 0 ? 0xff : how == 1 ? 0 : was ^ 1;
			int err = parse(&a, a.file.n, &t, &why);
			a.file.b[i] = was;
			for (int k = 0; !err && k < t.n; k++)
				CHECK(t.t[k].offset <= a.file.n && t.t[k].bytes <= a.file.n);
			table_finish(&t);
		}
	log_level_set(LOG_INFO);
}

TEST(archives_that_are_refused)
{
	static struct archive a;
	const struct {
		size_t at;
		uint64_t value;
		size_t bytes;
		const char *part;
	} * b, bad[] = {
		       (make(&a, GOOD, sizeof GOOD - 1),
			(__typeof__(*b)){a.central + 10, 8, 2, "entry a/data.pkl is compressed"}),
		       {a.central + 8, 0x0809, 2, "entry a/data.pkl is encrypted"},
		       {a.data_central + 20, 95, 4, "entry a/data/0: two sizes, 95 and 96"},
		       {a.data_central + 42, 1 << 20, 4,
			"entry a/data/0: its 96 bytes at 1048576 are outside the file"},
		       {a.data_central + 42, 0xffffffff, 4, "outside the file"},
		       {a.data_central + 42, 1, 4, "entry a/data/0: no header of this entry at 1"},
		       {a.data_local + 28, 0xffff, 2, "entry a/data/0"},
		       {a.data_central + 28, 0xffff, 2, "ends inside entry 1"},
		       {a.data_central, 0, 4, "damaged at entry 1"},
		       {a.central + 46, 0x1b, 1, "control character"},
		       {a.end64, 0, 4, "no zip64 end record"},
		       {a.end64 + 32, 3, 8, "in several parts"},
		       {a.end64 + 40, UINT64_MAX, 8, "outside the file"},
		       {a.end64 + 48, UINT64_MAX - 20, 8, "outside the file"},
		       {a.locator + 8, UINT64_MAX, 8, "outside the file"},
		       {a.locator + 16, 2, 4, "in several parts"},
		       {a.end + 20, 1, 2, "no end record"},
		       {0, 0, 4, "neither a PyTorch file"},
	       };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct table t;
		struct why why = {""};
		make(&a, GOOD, sizeof GOOD - 1);
		memcpy(a.file.b + bad[i].at, &bad[i].value, bad[i].bytes);
		int err = parse(&a, a.file.n, &t, &why);
		if (!err || !strstr(why.text, bad[i].part) || strncmp(why.text, "made.bin: ", 10))
			CHECK_FAIL("archive %zu: wanted \"%s\", found %d \"%s\"", i, bad[i].part, err, why.text);
		table_finish(&t);
	}
}

/* The older end record alone, and a comment behind it. */
TEST(an_archive_without_zip64)
{
	static struct archive a;
	struct table t;
	struct why why = {""};

	make(&a, GOOD, sizeof GOOD - 1);
	a.file.n = a.end64;
	put_int(&a.file, 0x06054b50, 4);
	put_int(&a.file, 0, 4);
	put_int(&a.file, 2, 2);
	put_int(&a.file, 2, 2);
	put_int(&a.file, a.end64 - a.central, 4);
	put_int(&a.file, a.central, 4);
	put_int(&a.file, 5, 2);
	put_text(&a.file, "hello");
	if (parse(&a, a.file.n, &t, &why))
		CHECK_FAIL("%s", why.text);
	CHECK_EQ(t.t[0].offset, a.data + 4);
	table_finish(&t);
}

/* Sizes and offset of an entry in its zip64 field, as for one over 4 GiB. */
TEST(an_entry_with_a_zip64_field)
{
	static struct archive a;
	struct bytes central = {.n = 0};
	struct table t;
	struct why why = {""};

	make(&a, GOOD, sizeof GOOD - 1);
	put_central(&central, "a/data.pkl", sizeof GOOD - 1, a.pickle_local, zip_crc(GOOD, sizeof GOOD - 1));
	size_t second = central.n;
	put_central(&central, "a/data/0", UINT32_MAX, UINT32_MAX, 0);
	central.b[second + 30] = 6 + 28;
	put_int(&central, 0x4646, 2); /* another field first */
	put_int(&central, 2, 2);
	put_int(&central, 0, 2);
	put_int(&central, 1, 2);
	put_int(&central, 24, 2);
	put_int(&central, 96, 8);
	put_int(&central, 96, 8);
	put_int(&central, a.data_local, 8);
	a.file.n = a.central;
	put(&a.file, central.b, central.n);
	put_int(&a.file, 0x06054b50, 4);
	put_int(&a.file, 0, 4);
	put_int(&a.file, 2, 2);
	put_int(&a.file, 2, 2);
	put_int(&a.file, central.n, 4);
	put_int(&a.file, a.central, 4);
	put_int(&a.file, 0, 2);
	if (parse(&a, a.file.n, &t, &why))
		CHECK_FAIL("%s", why.text);
	CHECK_EQ(t.t[0].offset, a.data + 4);
	table_finish(&t);
	a.file.b[a.central + second + 46 + 8 + 6 + 2] = 16; /* too short for the offset */
	CHECK_EQ(parse(&a, a.file.n, &t, &why), ERR_FORMAT);
	CHECK_HAS(why.text, "zip64 field is too short");
}

TEST(the_checksum_is_the_usual_one)
{
	CHECK_EQ(zip_crc("123456789", 9), 0xcbf43926);
}

CHECK_MAIN()
