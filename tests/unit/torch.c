/* Pickles that are read and that are refused, and the files of others (testdata). */
#include <unistd.h>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/pickle.h"
#include "tests/check.h"
#include "tests/unit/archive.h"

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
/* clang-format off */
#define BAD(text, part) {text, sizeof text - 1, part}
static const struct {
	const char *pickle;
	size_t n;
	const char *part;
} bad[] = {
	BAD("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R.", "os.system"),
	BAD("\x80\2cbuiltins\neval\nX\1\0\0\0"
	    "1\x85R.",
	    "builtins.eval"),
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
	BAD("\x80\2X\xff\xff\xff\xff"
	    "a.",
	    "string is too long"),
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
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\1K\2\x85X\1\0\0\0"
			      "1\x89" HOOKS "tRu.",
	    "strides do not fit"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\1N]\x89" HOOKS "tRu.", "shape is not"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\1(K\1K\1K\1K\1K\1K\1K\1K\1K\1t)\x89" HOOKS "tRu.", "shape is not"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "J\xff\xff\xff\xffK\1\x85K\1\x85\x89" HOOKS "tRu.",
	    "offset is invalid"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\1J\xff\xff\xff\xff\x85K\1\x85\x89" HOOKS "tRu.", "shape is not"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\0K\x19\x85K\1\x85\x89" HOOKS "tRu.", "out of its storage"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\x18K\1\x85K\1\x85\x89" HOOKS "tRu.", "out of its storage"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\0K\2\x85K\x18\x85\x89" HOOKS "tRu.", "out of its storage"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\0K\2\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85\x89" HOOKS
			      "tRu.",
	    "out of its storage"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "K\2K\3\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85\x89" HOOKS
			      "tRu.",
	    "out of its storage"),
	BAD(DICT_OPEN REBUILD "(" STORAGE "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\2\x85K\1\x85\x89" HOOKS
			      "tRu.",
	    "out of its storage"),
	BAD(DICT_OPEN REBUILD "(" STORAGE
			      "K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x10\x86K\0K\0\x86\x89" HOOKS "tRu.",
	    "shape overflows"),
	BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
			      "0X\3\0\0\0cpuK\x19tQK\0)){tRu.",
	    "opcode 0x7b"),
	BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
			      "0X\3\0\0\0cpuK\x19tQK\0))\x89)tRu.",
	    "has 96 bytes, expected: 100"),
	BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
			      "1X\3\0\0\0cpuK\x18tQK\0))\x89)tRu.",
	    "entry a/data/1 is not in the archive"),
	BAD(DICT_OPEN REBUILD
	    "((X\7\0\0\0storagectorch\nFloatStorage\nX\4\0\0\0../xX\3\0\0\0cpuK\x18tQK\0))\x89)tRu.",
	    "not plain text"),
	BAD(DICT_OPEN REBUILD "((X\7\0\0\0modulesctorch\nFloatStorage\nX\1\0\0\0"
			      "0X\3\0\0\0cpuK\x18tQK\0))\x89)tRu.",
	    "no storage"),
	BAD(DICT_OPEN REBUILD "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
			      "0X\3\0\0\0cpuJ\xff\xff\xff\xfftQK\0))\x89)tRu.",
	    "size is invalid"),
	/* a dict that holds itself */
	BAD("\x80\2}q\0X\1\0\0\0ah\0s.", "dicts in each other"),
	/* the same name twice, a name that would spoil a terminal */
	BAD("\x80\2}(X\1\0\0\0w" REBUILD "(" STORAGE "K\0))\x89)tRq\1X\1\0\0\0wh\1u.", "occurs twice"),
	BAD("\x80\2}(X\1\0\0\0\x1b" REBUILD "(" STORAGE "K\0))\x89)tRu.", "not plain text"),
};
/* clang-format on */

TEST(pickles_that_are_refused)
{
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
/* clang-format off */
#define ONE(text, ...) {text, sizeof text - 1, {__VA_ARGS__}}
		/* clang-format on */
		/* protocol 4: frame, short strings, memoize, global from the stack */
		ONE("\x80\4\x95\0\0\0\0\0\0\0\0}\x94\x8c\1w\x8c\14torch._utils\x8c\22_rebuild_tensor_v2\x93(" STORAGE
		    "K\0))\x89)tRs.",
		    "w"),
		/* wrapped, with other things around */
		ONE("\x80\2}(X\5\0\0\0epochK\3X\12\0\0\0state_dict}X\1\0\0\0w" TENSOR "su.", "w"),
		ONE("\x80\2}X\5\0\0\0model}X\6\0\0\0module}X\1\0\0\0w" TENSOR "sss.", "w"),
		/* two dicts with tensors of their own */
		ONE("\x80\2}(X\1\0\0\0a}X\1\0\0\0w" TENSOR "sX\1\0\0\0b}X\1\0\0\0w" TENSOR "su.", "a.w", "b.w"),
		/* a wrapper's name beside a tensor is a name like any other */
		ONE("\x80\2}(X\1\0\0\0w" TENSOR "X\5\0\0\0model}X\1\0\0\0v" TENSOR "su.", "w", "model.v"),
		/* an OrderedDict with state, a Parameter, a tensor taken from the memo, a number as key */
		ONE("\x80\2" HOOKS "(X\1\0\0\0wctorch._utils\n_rebuild_parameter\n" TENSOR
		    "\x88)\x87Rq\5X\1\0\0\0vh\5u}"
		    "X\11\0\0\0_metadata" HOOKS "sb.",
		    "w", "v"),
		ONE("\x80\2}K\7" TENSOR "s.", "7"),
		/* list, long, float, none, booleans, torch.Size, strings of Python 2 */
		ONE("\x80\2}(X\1\0\0\0a](K\1\x8a\2\xff\0eT\1\0\0\0bG\0\0\0\0\0\0\0\0U\1cNX\1\0\0\0d\x88X\1\0\0\0w" REBUILD
		    "(" STORAGE "K\0ctorch\nSize\n(K\2K\3t\x85RK\3K\1\x86\x89)tRu.",
		    "w"),
		/* a view of another type than its storage (v3) */
		ONE("\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v3\n((X\7\0\0\0storagectorch.storage\nUntypedStorage\n"
		    "X\1\0\0\0"
		    "0X\3\0\0\0cpuK\x60tQK\0))\x89)ctorch\nfloat8_e5m2\nNtRs.",
		    "w"),
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
	static const char pickle[] =
		"\x80\2}X\1\0\0\0w" REBUILD "((X\7\0\0\0storagectorch\nComplexFloatStorage\nX\1\0\0\0"
		"0X\3\0\0\0cpuK\14tQK\0K\3\x85K\1\x85\x89)tRs.";
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
		uint8_t c = i + 1, four[] = {'h', i,   '(', 'K', 1, '}', 'q', c,   'K', 2,   'h',
					     c,   'K', 3,   'h', c, 'K', 4,   'h', c,   'u', 'b'};
		put(&p, four, sizeof four);
	}
	put(&p, ".", 1);
	make(&a, p.b, p.n);
	CHECK_EQ(parse(&a, a.file.n, &t, &why), ERR_LIMIT);
	CHECK_HAS(why.text, "its dicts hold more than");
	table_finish(&t);
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
