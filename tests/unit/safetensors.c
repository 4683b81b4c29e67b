/* The rules of the safetensors reader, on its own vectors (testdata) and on files made here. */
#include <fcntl.h>
#include <unistd.h>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/inside.h"
#include "tests/check.h"

/* What a message says for each kind of fault; NULL: no such kind. */
static const char *part_of(const char *kind)
{
	static const char *const parts[][2] = {
		{"HeaderTooSmall", "too short: 0 bytes found, 8 expected"},
		{"HeaderTooLarge", "the most is 100000000"},
		{"InvalidHeaderLength", "truncated in its header"},
		{"InvalidHeader", "bytes that are not UTF-8"},
		{"InvalidHeaderDeserialization", "not valid JSON"},
		{"MetadataIncompleteBuffer", "bytes found, 84 expected"},
		{"TensorInvalidInfo", "tensor test: data_offsets hold 4 bytes, but shape and dtype need 16"},
		{"ValidationOverflow", "overflow"},
		{"InvalidOffset", "leave a hole or overlap"},
	};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (!strcmp(parts[i][0], kind))
			return parts[i][1];
	return NULL;
}

TEST(every_vector_is_answered_as_expected)
{
	char line[256], path[512];
	FILE *f;
	int n = 0;

	snprintf(path, sizeof path, "%s/safetensors-vectors/expected.tsv", check_testdata());
	f = fopen(path, "r");
	if (!f)
		SKIP("no test data");
	while (fgets(line, sizeof line, f)) {
		char name[128], want[128];
		struct checkpoint *c;
		struct why why = {""};
		int err;
		if (sscanf(line, "%127s %127s", name, want) != 2)
			continue;
		snprintf(path, sizeof path, "%s/safetensors-vectors/%s.safetensors", check_testdata(), name);
		err = checkpoint_open(&c, path, &why);
		if ((err == 0) != !strcmp(want, "ok"))
			CHECK_FAIL("%s: wanted %s, found %d %s", name, want, err, why.text);
		if (!err)
			checkpoint_close(c);
		else
			CHECK_HAS(why.text, name);
		if (err) {
			CHECK(part_of(want));
			/* Its size is more than a number of JSON may be here. */
			CHECK_HAS(why.text, strcmp(name, "bad_overflow_shape") ? part_of(want) : "has an invalid size");
		}
		n++;
	}
	fclose(f);
	CHECK(n >= 14);
}

/* A file with this header and `data` bytes behind it. */
static int parse(const char *header, size_t data, struct table *t, struct why *why)
{
	static uint8_t file[4096];
	uint64_t n = strlen(header);
	struct source s;
	int err;

	memset(file, 0, sizeof file);
	memset(t, 0, sizeof *t);
	memcpy(file, &n, 8);
	memcpy(file + 8, header, n);
	s = source_memory("made", file, 8 + n + data);
	err = safetensors_parse(&s, 0, t, why);
	source_close(&s);
	return err;
}

TEST(headers_that_are_refused)
{
	static const struct {
		const char *header;
		size_t data;
	} bad[] = {
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\","
		 "\"shape\":[1],\"data_offsets\":[0,4]}}",
		 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,6]}}", 6},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0},
		{"{\"a\":{\"dtype\":\"X9\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
		{"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4},
		{"{\"__metadata__\":{\"format\":1},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":["
		 "0,4]}}",
		 4},
		{"{\"a\":3}", 0},
		{"{", 0},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct table t;
		struct why why = {""};
		int err = parse(bad[i].header, bad[i].data, &t, &why);
		if (err != ERR_FORMAT && err != ERR_UNSUPPORTED && err != ERR_LIMIT)
			CHECK_FAIL("%s: %d %s", bad[i].header, err, why.text);
		CHECK(why.text[0]);
		table_finish(&t);
	}
}

TEST(what_is_in_order_is_listed)
{
	struct table t;
	const struct ck_tensor *a;
	struct why why = {""};

	CHECK_EQ(parse("{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],"
		       "\"data_offsets\":[4,16]},"
		       "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}  ",
		       16, &t, &why),
		 0);
	CHECK_EQ(t.n, 2);
	a = table_find(&t, "b");
	CHECK(a && a->type == DT_BF16 && a->n_dims == 2 && a->shape[1] == 3 && a->bytes == 12);
	CHECK(table_find(&t, "a")->n_dims == 0);
	CHECK(!table_find(&t, "c"));
	table_finish(&t);
}

TEST(slices_are_the_bytes_of_the_file)
{
	char path[512];
	struct checkpoint *c;
	const struct ck_tensor *t;
	struct why why = {""};
	static float whole[172 * 64], part[100 * 20];

	snprintf(path, sizeof path, "%s/stories260K/hf-llama", check_testdata());
	if (access(path, F_OK))
		SKIP("no test data");
	CHECK_EQ(checkpoint_open(&c, path, &why), 0);
	t = checkpoint_find(c, "model.layers.1.mlp.up_proj.weight");
	CHECK(t && t->shape[0] == 172 && t->shape[1] == 64);
	CHECK_EQ(checkpoint_read(c, t, 0, 172, 0, 64, whole, &why), 0);
	CHECK_EQ(checkpoint_read(c, t, 60, 100, 31, 20, part, &why), 0);
	for (int r = 0; r < 100; r++)
		CHECK(!memcmp(part + r * 20, whole + (60 + r) * 64 + 31, 20 * sizeof(float)));
	CHECK_EQ(checkpoint_bytes_read(c), sizeof whole + sizeof part);
	CHECK(checkpoint_fingerprint(c) != 0);
	checkpoint_close(c);
}

CHECK_MAIN()
