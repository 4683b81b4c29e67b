/* The tables of model families: what a new family could get wrong is found here, not while loading. */
#include "engine/models/rows.h"
#include "tests/check.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* No pointer of a struct that rows fill is in two rows, and those that every network has are in one. */
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
			CHECK(times(*f, true, place) <= 1);
		CHECK_EQ(times(*f, true, offsetof(struct layer, norm_att)), 1);
		CHECK_EQ(times(*f, true, offsetof(struct layer, qkv)), 1);
		CHECK_EQ(times(*f, true, offsetof(struct layer, o)), 1);
		CHECK(times(*f, true, offsetof(struct layer, gate_up)) +
			      times(*f, true, offsetof(struct layer, router)) >
		      0);
		CHECK_EQ(times(*f, true, offsetof(struct layer, gate_up)),
			 times(*f, true, offsetof(struct layer, down)));
		CHECK_EQ(times(*f, true, offsetof(struct layer, expert_gate_up)),
			 times(*f, true, offsetof(struct layer, router)));
		CHECK_EQ(times(*f, true, offsetof(struct layer, expert_down)),
			 times(*f, true, offsetof(struct layer, router)));
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

	CHECK((row->kind == WEIGHT_GAIN || row->kind == WEIGHT_BIAS) == (row->cols == AXIS_ONE));
	CHECK(row->order == QKV_THIRDS || (row->fused[0] && row->heads));
	CHECK(!row->heads || row_pieces(row) == 3);
	CHECK(!row->paired || (row_pieces(row) == 2 && row->piece[0].rows == row->piece[1].rows));
	for (int i = 0; i < row_pieces(row); i++) {
		CHECK(!is_name_taken(f, row, i) && (row->piece[i].rows != AXIS_ONE || row->kind == WEIGHT_ROUTER));
		CHECK(!strchr(row->piece[i].name, '#') == (row->stack != STACK_EXPERTS));
		CHECK((row->stack != STACK_NONE) <= (row->layers == LAYERS_ROUTED));
		row_tensor(f, row, row->piece[i].name, 1023, 4095, name);
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

/* The walk goes through the rows of a layer together, and leaves out a tied model's head and parts that the model does
 * not have, be they the last of a layer. */
TEST(order_of_the_walk)
{
	static const char *const want[] = {"embed", "0 qkv", "0 o", "0 bias", "1 qkv", "1 o", "1 bias", "norm", "head"};
	static const struct weight_row rows[] = {
		{.kind = WEIGHT_TABLE, .piece = {{"embed", AXIS_VOCAB}}},
		{.per_layer = true, .piece = {{"qkv", AXIS_Q}}},
		{.per_layer = true, .piece = {{"o", AXIS_HIDDEN}}},
		{.per_layer = true, .kind = WEIGHT_BIAS, .part = PART_O_BIAS, .piece = {{"bias", AXIS_HIDDEN}}},
		{.kind = WEIGHT_GAIN, .piece = {{"norm", AXIS_HIDDEN}}},
		{.kind = WEIGHT_HEAD, .piece = {{"head", AXIS_VOCAB}}},
		{0}};
	static const struct family f = {.rows = rows};
	struct model m = {.family = &f, .cfg = {.layers = 2}};

	for (int i = 0; i < 4; i++) {
		int n = 0, at = 0;
		m.cfg.tied = i & 1, m.cfg.parts = i & 2 ? PART_O_BIAS : PART_QKV_BIAS;
		for (struct slot s = {0}; slot_next(&m, &s); n++, at++) {
			char got[32];
			snprintf(got, sizeof got, "%s%s",
				 !s.row->per_layer ? ""
				 : s.layer         ? "1 "
						   : "0 ",
				 s.row->piece[0].name);
			at += !(i & 2) && strstr(want[at], "bias");
			CHECK_STR(got, want[at]);
		}
		CHECK_EQ(n, 9 - (i & 1) - (i & 2 ? 0 : 2));
	}
}

CHECK_MAIN()
