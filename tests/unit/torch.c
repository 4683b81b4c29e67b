/* Zip archives and pickles made here byte by byte, views by any strides, and the files of others (testdata). */
#include <unistd.h>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/parts.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/zip.h"
#include "tests/check.h"

/* Bytes put together. */
struct bytes {
	uint8_t b[1 << 16];
	size_t n;
};

static void put(struct bytes *o, const void *p, size_t n)
{
	REQUIRE(o->n + n <= sizeof o->b);
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

static void put_int(struct bytes *o, uint64_t v, size_t bytes)
{
	put(o, &v, bytes);
}

static void put_text(struct bytes *o, const char *s)
{
	put(o, s, strlen(s));
}

/* An archive of a pickle and a storage of 96 bytes (0, 1, 2 ...), as torch lays it out; marks say where its parts are. */
struct archive {
	struct bytes file;
	size_t pickle_local, data_local, data, central, data_central, end64, locator, end;
};

static size_t put_local(struct bytes *o, const char *name, const void *data, size_t n)
{
	static const uint8_t pad[64];
	size_t at = o->n, fill;

	put_int(o, 0x04034b50, 4);
	put_int(o, 0x08080000, 6); /* version, bit 3: sizes follow */
	put_int(o, 0, 8);
	put_int(o, 0, 8);
	put_int(o, strlen(name), 2);
	fill = 64 - (o->n + 2 + strlen(name)) % 64;
	put_int(o, fill, 2);
	put_text(o, name);
	put(o, pad, fill);
	put(o, data, n);
	return at;
}

static void put_central(struct bytes *o, const char *name, size_t size, size_t local, uint32_t crc)
{
	put_int(o, 0x02014b50, 4);
	put_int(o, 0, 4);
	put_int(o, 0x0808, 2);
	put_int(o, 0, 6);
	put_int(o, crc, 4);
	put_int(o, size, 4);
	put_int(o, size, 4);
	put_int(o, strlen(name), 2);
	put_int(o, 0, 8);
	put_int(o, 0, 4);
	put_int(o, local, 4);
	put_text(o, name);
}

static void make(struct archive *a, const void *pickle, size_t n)
{
	uint8_t data[96];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)i;
	a->file.n = 0;
	a->pickle_local = put_local(&a->file, "a/data.pkl", pickle, n);
	a->data_local = put_local(&a->file, "a/data/0", data, sizeof data);
	a->data = a->file.n - sizeof data;
	a->central = a->file.n;
	put_central(&a->file, "a/data.pkl", n, a->pickle_local, zip_crc(pickle, n));
	a->data_central = a->file.n;
	put_central(&a->file, "a/data/0", sizeof data, a->data_local, zip_crc(data, sizeof data));
	a->end64 = a->file.n;
	put_int(&a->file, 0x06064b50, 4);
	put_int(&a->file, 44, 8);
	put_int(&a->file, 0, 4);
	put_int(&a->file, 0, 8);
	put_int(&a->file, 2, 8);
	put_int(&a->file, 2, 8);
	put_int(&a->file, a->end64 - a->central, 8);
	put_int(&a->file, a->central, 8);
	a->locator = a->file.n;
	put_int(&a->file, 0x07064b50, 4);
	put_int(&a->file, 0, 4);
	put_int(&a->file, a->end64, 8);
	put_int(&a->file, 1, 4);
	a->end = a->file.n;
	put_int(&a->file, 0x06054b50, 4);
	put_int(&a->file, 0, 4);
	put_int(&a->file, 2, 2);
	put_int(&a->file, 2, 2);
	put_int(&a->file, UINT32_MAX, 4);
	put_int(&a->file, UINT32_MAX, 4);
	put_int(&a->file, 0, 2);
}

static int parse(const struct archive *a, size_t n, struct table *t, struct why *why)
{
	struct source s = source_memory("made.bin", a->file.b, n);
	int err;

	memset(t, 0, sizeof *t);
	err = torch_parse(&s, 0, t, why);
	free(s.name);
	return err;
}

#define STORAGE "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\x18tQ"
#define HOOKS "ccollections\nOrderedDict\n)R"
/* {"w": tensor of [2, 3] at 1} */
#define DICT_OPEN "\x80\2}q\0(X\1\0\0\0w"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define GOOD DICT_OPEN REBUILD "(" STORAGE "K\1K\2K\3\x86K\3K\1\x86\x89" HOOKS "tRu."

TEST(a_tensor_is_found)
{
	static struct archive a;
	struct table t;
	struct why why = {""};

	make(&a, GOOD, sizeof GOOD - 1);
	if (parse(&a, a.file.n, &t, &why))
		CHECK_FAIL("%s", why.text);
	CHECK_EQ(t.n, 1);
	CHECK_STR(t.t[0].name, "w");
	CHECK_STR(t.t[0].type_name, "FloatStorage");
	CHECK(t.t[0].type == DT_F32 && t.t[0].n_dims == 2 && t.t[0].shape[0] == 2 && t.t[0].shape[1] == 3);
	CHECK_EQ(t.t[0].offset, a.data + 4);
	CHECK_EQ(t.t[0].bytes, 24);
	table_finish(&t);
}

/* Pickles that are refused, and what the message says. */
TEST(pickles_that_are_refused)
{
#define BAD(text, part) {text, sizeof text - 1, part}
	static const struct {
		const char *pickle;
		size_t n;
		const char *part;
	} bad[] = {
		BAD("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R.", "os.system"),
		BAD("\x80\2cbuiltins\neval\nX\1\0\0\0" "1\x85R.", "builtins.eval"),
		BAD("\x80\4\x8c\5posix\x8c\6system\x93.", "posix.system"),
		BAD("\x80\2c\1\n\2\n.", "not plain text"),
		BAD("\x80\2}0.", "opcode 0x30"),
		BAD("\x80\2}\x81.", "opcode 0x81"),
		BAD("\x80\2i", "opcode 0x69"),
		BAD("\x80\6}.", "protocol after 5"),
		BAD("\x80\2}", "ends too early"),
		BAD("", "ends too early"),
		BAD("\x80\2.", "nothing on the stack"),
		BAD("\x80\2}}.", "left on the stack"),
		BAD("\x80\2h\0.", "never set"),
		BAD("\x80\2r\xff\xff\xff\xff.", "nothing on the stack"),
		BAD("\x80\2}r\xff\xff\xff\x7f.", "memo number is too large"),
		BAD("\x80\2X\xff\xff\xff\xff" "a.", "string is too long"),
		BAD("\x80\2X\5\0\0\0a.", "ends too early"),
		BAD("\x80\2(t(.", "nothing on the stack"),
		BAD("\x80\2t.", "no mark"),
		BAD("\x80\2}(Nu.", "key without its value"),
		BAD("\x80\2](NNu.", "not of a dict"),
		BAD("\x80\2}(Ne.", "not to a list"),
		BAD("\x80\2(Na.", "not to a list"),
		BAD("\x80\2N}R.", "cannot be called"),
		BAD("\x80\2ctorch\nFloatStorage\n)R.", "cannot be called"),
		BAD("\x80\2NQ.", "not described by a tuple"),
		BAD("\x80\2\x8a\11aaaaaaaaa.", "more than 64 bits"),
		BAD("\x80\2ctorch", "inside a name"),
		BAD("\x80\2].", "no dict of tensors"),
		BAD(DICT_OPEN REBUILD ")Ru.", "no storage"),
		BAD(DICT_OPEN "ctorch._utils\n_rebuild_parameter\n)Ru.", "without a tensor"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\1K\2\x85K\1K\1\x86\x89" HOOKS "tRu.", "strides do not fit"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\1K\2\x85X\1\0\0\0" "1\x89" HOOKS "tRu.", "strides do not fit"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\1N]\x89" HOOKS "tRu.", "shape is not"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\1(K\1K\1K\1K\1K\1K\1K\1K\1K\1t)\x89" HOOKS "tRu.", "shape is not"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "J\xff\xff\xff\xffK\1\x85K\1\x85\x89" HOOKS "tRu.", "offset is no offset"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\1J\xff\xff\xff\xff\x85K\1\x85\x89" HOOKS "tRu.", "shape is not"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\0K\x19\x85K\1\x85\x89" HOOKS "tRu.", "out of its storage"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\x18K\1\x85K\1\x85\x89" HOOKS "tRu.", "out of its storage"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\0K\2\x85K\x18\x85\x89" HOOKS "tRu.", "out of its storage"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\0K\2\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85\x89" HOOKS "tRu.",
		    "out of its storage"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\2K\3\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85\x89" HOOKS "tRu.",
		    "out of its storage"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\2\x85K\1\x85\x89" HOOKS "tRu.",
		    "out of its storage"),
		BAD(DICT_OPEN REBUILD "(" STORAGE "K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x10\x86K\0K\0\x86\x89" HOOKS "tRu.",
		    "shape overflows"),
		BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\x19tQK\0)){tRu.",
		    "opcode 0x7b"),
		BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\x19tQK\0))\x89)tRu.",
		    "has 96 bytes, wanted: 100"),
		BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "1X\3\0\0\0cpuK\x18tQK\0))\x89)tRu.",
		    "entry a/data/1 is not in the archive"),
		BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\4\0\0\0../xX\3\0\0\0cpuK\x18tQK\0))\x89)tRu.",
		    "not a plain word"),
		BAD(DICT_OPEN REBUILD "((X\7\0\0\0modulesctorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\x18tQK\0))\x89)tRu.",
		    "no storage"),
		BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuJ\xff\xff\xff\xfftQK\0))\x89)tRu.",
		    "no size"),
		/* a dict that holds itself */
		BAD("\x80\2}q\0X\1\0\0\0ah\0s.", "dicts in each other"),
		/* the same name twice, a name that would spoil a terminal */
		BAD("\x80\2}(X\1\0\0\0w" REBUILD "(" STORAGE "K\0))\x89)tRq\1X\1\0\0\0wh\1u.", "occurs twice"),
		BAD("\x80\2}(X\1\0\0\0\x1b" REBUILD "(" STORAGE "K\0))\x89)tRu.", "not plain text"),
	};
	static struct archive a;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct table t;
		struct why why = {""};
		int err;
		make(&a, bad[i].pickle, bad[i].n);
		err = parse(&a, a.file.n, &t, &why);
		if (!err || !strstr(why.text, bad[i].part) || strncmp(why.text, "made.bin: ", 10))
			CHECK_FAIL("pickle %zu: wanted \"%s\", found %d \"%s\"", i, bad[i].part, err, why.text);
		table_finish(&t);
	}
}

TEST(pickles_that_are_read)
{
	static const struct {
		const char *pickle;
		size_t n;
		const char *names[2];
	} good[] = {
		{GOOD, sizeof GOOD - 1, {"w"}},
#define TENSOR REBUILD "(" STORAGE "K\0))\x89)tR"
#define ONE(text, ...) {text, sizeof text - 1, {__VA_ARGS__}}
		/* protocol 4: frame, short strings, memoize, global from the stack */
		ONE("\x80\4\x95\0\0\0\0\0\0\0\0}\x94\x8c\1w\x8c\14torch._utils\x8c\22_rebuild_tensor_v2\x93(" STORAGE "K\0))\x89)tRs.", "w"),
		/* wrapped, with other things around */
		ONE("\x80\2}(X\5\0\0\0epochK\3X\12\0\0\0state_dict}X\1\0\0\0w" TENSOR "su.", "w"),
		ONE("\x80\2}X\5\0\0\0model}X\6\0\0\0module}X\1\0\0\0w" TENSOR "sss.", "w"),
		/* two dicts with tensors of their own */
		ONE("\x80\2}(X\1\0\0\0a}X\1\0\0\0w" TENSOR "sX\1\0\0\0b}X\1\0\0\0w" TENSOR "su.", "a.w", "b.w"),
		/* a wrapper's name beside a tensor is a name like any other */
		ONE("\x80\2}(X\1\0\0\0w" TENSOR "X\5\0\0\0model}X\1\0\0\0v" TENSOR "su.", "w", "model.v"),
		/* an OrderedDict with state, a Parameter, a tensor taken from the memo, a number as key */
		ONE("\x80\2" HOOKS "(X\1\0\0\0wctorch._utils\n_rebuild_parameter\n" TENSOR "\x88)\x87Rq\5X\1\0\0\0vh\5u}"
		    "X\11\0\0\0_metadata" HOOKS "sb.", "w", "v"),
		ONE("\x80\2}K\7" TENSOR "s.", "7"),
		/* list, long, float, none, booleans, torch.Size, strings of Python 2 */
		ONE("\x80\2}(X\1\0\0\0a](K\1\x8a\2\xff\0eT\1\0\0\0bG\0\0\0\0\0\0\0\0U\1cNX\1\0\0\0d\x88X\1\0\0\0w"
		    REBUILD "(" STORAGE "K\0ctorch\nSize\n(K\2K\3t\x85RK\3K\1\x86\x89)tRu.", "w"),
		/* a view of another type than its storage (v3) */
		ONE("\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v3\n((X\7\0\0\0storagectorch.storage\nUntypedStorage\n"
		    "X\1\0\0\0" "0X\3\0\0\0cpuK\x60tQK\0))\x89)ctorch\nfloat8_e5m2\nNtRs.", "w"),
	};
	static struct archive a;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct table t;
		struct why why = {""};
		make(&a, good[i].pickle, good[i].n);
		if (parse(&a, a.file.n, &t, &why))
			CHECK_FAIL("pickle %zu: %s", i, why.text);
		CHECK_EQ(t.n, good[i].names[1] ? 2 : 1);
		for (int k = 0; k < t.n; k++)
			if (!table_find(&t, good[i].names[k]))
				CHECK_FAIL("pickle %zu: no tensor %s", i, good[i].names[k]);
		table_finish(&t);
	}
}

TEST(types_that_are_listed_but_not_read)
{
	static struct archive a;
	static const char pickle[] = "\x80\2}X\1\0\0\0w" REBUILD
				     "((X\7\0\0\0storagectorch\nComplexFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\14tQK\0K\3\x85K\1\x85\x89)tRs.";
	struct table t;
	struct why why = {""};
	struct source s;
	uint8_t dst[64];

	make(&a, pickle, sizeof pickle - 1);
	CHECK_EQ(parse(&a, a.file.n, &t, &why), 0);
	CHECK_EQ(t.t[0].type, DT_COUNT);
	CHECK_EQ(t.t[0].bytes, 24);
	s = source_memory("made.bin", a.file.b, a.file.n);
	CHECK_EQ(slice_read(&s, &t.t[0], 0, 3, 0, 1, dst, &why), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "made.bin: tensor w: elements of type ComplexFloatStorage");
	free(s.name);
	table_finish(&t);
}

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
	} *b, bad[] = {
		(make(&a, GOOD, sizeof GOOD - 1), (__typeof__(*b)){a.central + 10, 8, 2, "entry a/data.pkl is compressed"}),
		{a.central + 8, 0x0809, 2, "entry a/data.pkl is encrypted"},
		{a.data_central + 20, 95, 4, "entry a/data/0: two sizes, 95 and 96"},
		{a.data_central + 42, 1 << 20, 4, "entry a/data/0: its 96 bytes at 1048576 are outside the file"},
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

/* A pickle cannot make more of itself than a bounded multiple: the limits answer before memory grows. */
TEST(limits_on_hostile_pickles)
{
	size_t n = 6 << 20;
	uint8_t *bytes = malloc(n);
	struct pickle p;
	struct why why = {""};

	memset(bytes, '}', n); /* values without end */
	CHECK_EQ(pickle_parse(&p, bytes, n, &why), ERR_LIMIT);
	CHECK_HAS(why.text, "too much on the stack");
	for (size_t i = 0; i + 1 < n; i += 2) { /* tuples of tuples */
		bytes[i] = i ? 0x85 : '}';
		bytes[i + 1] = 0x85;
	}
	CHECK_EQ(pickle_parse(&p, bytes, n, &why), ERR_LIMIT);
	CHECK_HAS(why.text, "too many values");
	CHECK_EQ(pickle_parse(&p, bytes, PICKLE_MAX + 1, &why), ERR_LIMIT);
	free(bytes);
}

/* 14 dicts, each four times in the one before: 4^13 entries. */
TEST(dicts_that_multiply_are_cut_off)
{
	static struct archive a;
	struct bytes p = {.n = 0};
	struct table t;
	struct why why = {""};

	put(&p, "\x80\2}q\0", 5);
	for (uint8_t i = 0; i < 13; i++) {
		uint8_t c = i + 1, four[] = {'h', i, '(', 'K', 1, '}', 'q', c, 'K', 2, 'h', c, 'K', 3, 'h', c, 'K', 4, 'h', c, 'u', 'b'};
		put(&p, four, sizeof four);
	}
	put(&p, ".", 1);
	make(&a, p.b, p.n);
	CHECK_EQ(parse(&a, a.file.n, &t, &why), ERR_LIMIT);
	CHECK_HAS(why.text, "its dicts hold more than");
	table_finish(&t);
}

/* What slice_read() must give, element by element. */
static void slow_slice(const uint8_t *base, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols,
		       uint8_t *dst)
{
	size_t item = dtype_size(t->type);

	for (int64_t r = row; r < row + rows; r++)
		for (int64_t c = col; c < col + cols; c++) {
			int64_t rest = c, at = t->n_dims ? r * t->stride[0] : 0;
			for (int d = t->n_dims - 1; d > 0; d--) {
				at += rest % t->shape[d] * t->stride[d];
				rest /= t->shape[d];
			}
			memcpy(dst, base + t->offset + (size_t)at * item, item);
			dst += item;
		}
}

static uint32_t random_next(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(*seed >> 8) * n >> 24);
}

/* A view with axes in any order, with gaps or (stride 0) repeated. */
static int64_t random_view(struct ck_tensor *t, uint32_t *seed)
{
	static const enum dtype types[] = {DT_BF16, DT_F32, DT_F64, DT_U8};
	int64_t step = 1 + random_next(seed, 2);
	int order[4] = {0, 1, 2, 3};

	*t = (struct ck_tensor){.name = "w", .type = types[random_next(seed, 4)], .type_name = "?"};
	t->n_dims = (int)random_next(seed, 5);
	t->bytes = dtype_size(t->type);
	for (int i = t->n_dims - 1; i > 0; i--) {
		int j = (int)random_next(seed, (uint32_t)i + 1), swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	for (int i = 0; i < t->n_dims; i++) {
		int d = order[i];
		t->shape[d] = 1 + random_next(seed, i < 2 ? 90 : 6);
		t->stride[d] = random_next(seed, 8) ? step : 0;
		if (t->stride[d])
			step *= t->shape[d] + random_next(seed, 3);
		t->bytes *= (uint64_t)t->shape[d];
	}
	t->offset = random_next(seed, 9);
	return (int64_t)t->offset + step * (int64_t)dtype_size(t->type);
}

TEST(slices_of_any_view)
{
	size_t size = 48 << 20;
	uint8_t *file = malloc(size), *found = malloc(16 << 20), *wanted = malloc(16 << 20);
	uint32_t seed = 7;
	int done = 0;

	for (size_t i = 0; i < size; i++)
		file[i] = (uint8_t)(i * 2654435761u >> 13);
	struct source s = source_memory("made", file, size);
	for (int n = 0; n < (check_full ? 4000 : 400); n++) {
		struct ck_tensor t;
		struct why why = {""};
		if (random_view(&t, &seed) > (int64_t)size || t.bytes > 4 << 20)
			continue;
		int64_t height = t.n_dims ? t.shape[0] : 1, width = (int64_t)(t.bytes / dtype_size(t.type)) / height;
		int64_t row = random_next(&seed, (uint32_t)height), rows = 1 + random_next(&seed, (uint32_t)(height - row));
		int64_t col = random_next(&seed, (uint32_t)width), cols = 1 + random_next(&seed, (uint32_t)(width - col));
		if (slice_read(&s, &t, row, rows, col, cols, found, &why))
			CHECK_FAIL("view %d: %s", n, why.text);
		slow_slice(file, &t, row, rows, col, cols, wanted);
		if (memcmp(found, wanted, (size_t)(rows * cols) * dtype_size(t.type)))
			CHECK_FAIL("view %d differs", n);
		done++;
	}
	CHECK(done > 100);
	free(s.name);
	free(file);
	free(found);
	free(wanted);
}

static int open_data(const char *name, struct checkpoint **c, struct why *why)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", check_testdata(), name);
	if (access(path, F_OK))
		SKIP("no test data");
	return checkpoint_open(c, path, why);
}

TEST(a_fortran_tensor_of_others)
{
	struct checkpoint *c;
	const struct ck_tensor *t;
	struct why why = {""};
	int64_t v[24];

	CHECK_EQ(open_data("candle/fortran_tensor_3d.pth", &c, &why), 0);
	t = checkpoint_find(c, "tensor_fortran");
	CHECK(t && t->type == DT_I64 && t->n_dims == 3 && t->shape[0] == 2 && t->shape[1] == 3 && t->shape[2] == 4);
	CHECK_EQ(checkpoint_read(c, t, 0, 2, 0, 12, v, &why), 0);
	for (int i = 0; i < 24; i++)
		CHECK_EQ(v[i], i + 1);
	checkpoint_close(c);
}

TEST(old_files_of_others_are_refused_with_the_remedy)
{
	static const char *const names[] = {"burn/simple_legacy.pt", "burn/legacy_shared_storage.pt"};

	for (int i = 0; i < 2; i++) {
		struct checkpoint *c;
		struct why why = {""};
		CHECK_EQ(open_data(names[i], &c, &why), ERR_UNSUPPORTED);
		CHECK_HAS(why.text, names[i] + 5);
		CHECK_HAS(why.text, "python3 -c 'import torch; torch.save(torch.load(");
	}
}

CHECK_MAIN()
