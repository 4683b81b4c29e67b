/* The tables of model families: what a new family could get wrong is found here, not while loading. */
#include "engine/models/rows.h"
#include "tests/check.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Every pointer of a struct that rows fill is in one row, and in no two. */
static int times(const struct family *f, bool per_layer, size_t place)
{
	int n = 0;

	for (const struct weight_row *row = f->rows; row_pieces(row); row++)
		n += row->per_layer == per_layer && row->place == place;
	return n;
}

TEST(each_place_has_one_row)
{
	for (const struct family *const *f = families; *f; f++) {
		for (size_t place = 0; place < sizeof(struct layer); place += sizeof(void *))
			CHECK_EQ(times(*f, true, place), 1);
		CHECK_EQ(times(*f, false, offsetof(struct model, embed)), 1);
		CHECK_EQ(times(*f, false, offsetof(struct model, head)), 1);
		CHECK_EQ(times(*f, false, offsetof(struct model, norm_out)), 1);
	}
}

static bool is_name_taken(const struct family *f, const struct weight_row *row, int piece)
{
	for (const struct weight_row *other = f->rows; row_pieces(other); other++)
		for (int i = 0; i < row_pieces(other); i++)
			if ((other != row || i != piece) && other->per_layer == row->per_layer &&
			    !strcmp(other->piece[i].name, row->piece[piece].name))
				return true;
	return false;
}

static void check_row(const struct family *f, const struct weight_row *row)
{
	char name[TENSOR_NAME];

	CHECK((row->kind == WEIGHT_GAIN) == (row->cols == AXIS_ONE));
	CHECK(!row->paired || (row_pieces(row) == 2 && row->piece[0].rows == row->piece[1].rows));
	for (int i = 0; i < row_pieces(row); i++) {
		CHECK(!is_name_taken(f, row, i) && row->piece[i].rows != AXIS_ONE);
		row_tensor(f, row, row->piece[i].name, 1023, name);
		CHECK(strlen(name) + 1 < TENSOR_NAME);
	}
}

TEST(rows_are_well_formed)
{
	for (const struct family *const *f = families; *f; f++) {
		CHECK(family_find((*f)->architecture) == *f);
		CHECK(!(*f)->alias || family_find((*f)->alias) == *f);
		for (const struct weight_row *row = (*f)->rows; row_pieces(row); row++)
			check_row(*f, row);
	}
}

/* The walk goes through the rows of a layer together, and leaves a tied model's head out. */
TEST(order_of_the_walk)
{
	static const char *const want[] = {"embed", "0 qkv", "0 o", "1 qkv", "1 o", "norm", "head"};
	static const struct weight_row rows[] = {{.kind = WEIGHT_TABLE, .piece = {{"embed", AXIS_VOCAB}}},
						 {.per_layer = true, .piece = {{"qkv", AXIS_Q}}},
						 {.per_layer = true, .piece = {{"o", AXIS_HIDDEN}}},
						 {.kind = WEIGHT_GAIN, .piece = {{"norm", AXIS_HIDDEN}}},
						 {.kind = WEIGHT_HEAD, .piece = {{"head", AXIS_VOCAB}}},
						 {0}};
	static const struct family f = {.rows = rows};
	struct model m = {.family = &f, .cfg = {.layers = 2}};

	for (int tied = 0; tied < 2; tied++) {
		int n = 0;
		m.cfg.tied = tied;
		for (struct slot s = {0}; slot_next(&m, &s); n++) {
			char got[32];
			snprintf(got, sizeof got, "%s%s",
				 !s.row->per_layer ? ""
				 : s.layer         ? "1 "
						   : "0 ",
				 s.row->piece[0].name);
			CHECK_STR(got, want[n]);
		}
		CHECK_EQ(n, tied ? 6 : 7);
	}
}

CHECK_MAIN()
