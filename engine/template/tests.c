/* tests.c - the tests that may follow "is". */
#include "engine/template/inside.h"

#define TEST(id) static bool t_##id(struct rendering *r, struct value on, struct args *args)
#define UNUSED (void)r, (void)on, (void)args

TEST(defined)
{
	UNUSED;
	return on.kind != K_UNDEF;
}
TEST(undefined)
{
	UNUSED;
	return on.kind == K_UNDEF;
}
TEST(none)
{
	UNUSED;
	return on.kind == K_NONE;
}
TEST(boolean)
{
	UNUSED;
	return on.kind == K_BOOL;
}
TEST(true)
{
	UNUSED;
	return on.kind == K_BOOL && on.b;
}
TEST(false)
{
	UNUSED;
	return on.kind == K_BOOL && !on.b;
}
TEST(integer)
{
	UNUSED;
	return on.kind == K_INT || on.kind == K_BIG;
}
TEST(float)
{
	UNUSED;
	return on.kind == K_FLOAT;
}
TEST(number)
{
	UNUSED;
	return value_is_number(on) || on.kind == K_BIG;
}
TEST(string)
{
	UNUSED;
	return on.kind == K_STR;
}
TEST(mapping)
{
	UNUSED;
	return on.kind == K_DICT;
}
TEST(iterable)
{
	UNUSED;
	return on.kind == K_STR || on.kind == K_LIST || on.kind == K_DICT || on.kind == K_UNDEF || on.kind == K_LOOP;
}
TEST(sequence)
{
	UNUSED;
	return on.kind == K_STR || on.kind == K_DICT || on.kind == K_UNDEF ||
	       (on.kind == K_LIST && (on.l->form <= FORM_TUPLE || on.l->form == FORM_RANGE));
}
TEST(callable)
{
	UNUSED;
	return on.kind == K_UNDEF || on.kind == K_MACRO || on.kind == K_FUNC || on.kind == K_METHOD ||
	       on.kind == K_LOOP;
}
TEST(escaped)
{
	UNUSED;
	return on.kind == K_STR && on.s->markup;
}

static int64_t remainder_of(struct rendering *r, struct value a, struct value b)
{
	struct value v = value_binary(r, N_MOD, a, b);

	return v.kind == K_INT ? v.i : v.kind == K_FLOAT && v.f == 0 ? 0 : v.kind == K_FLOAT && v.f == 1 ? 1 : 2;
}
TEST(odd)
{
	UNUSED;
	return remainder_of(r, on, INT(2)) == 1;
}
TEST(even)
{
	UNUSED;
	return remainder_of(r, on, INT(2)) == 0;
}
TEST(divisibleby)
{
	return remainder_of(r, on, arg_need(r, args, 0, "num", "divisibleby")) == 0;
}

TEST(lower)
{
	UNUSED;
	return text_has_case(value_to_str(&r->job, on), false);
}
TEST(upper)
{
	UNUSED;
	return text_has_case(value_to_str(&r->job, on), true);
}

static struct value other(struct rendering *r, struct args *args, const char *of)
{
	return arg_need(r, args, 0, NULL, of);
}
TEST(eq)
{
	return value_equal(&r->job, on, other(r, args, "eq"), 0);
}
TEST(ne)
{
	return !value_equal(&r->job, on, other(r, args, "ne"), 0);
}
TEST(lt)
{
	return value_compare(&r->job, on, other(r, args, "lt"), 0) < 0;
}
TEST(le)
{
	return value_compare(&r->job, on, other(r, args, "le"), 0) <= 0;
}
TEST(gt)
{
	return value_compare(&r->job, on, other(r, args, "gt"), 0) == 1;
}
TEST(ge)
{
	int c = value_compare(&r->job, on, other(r, args, "ge"), 0);

	return c >= 0 && c != 2;
}
TEST(in)
{
	return value_contains(r, other(r, args, "in"), on);
}
TEST(sameas)
{
	struct value v = other(r, args, "sameas");

	if (v.kind != on.kind)
		return false;
	return v.kind >= K_LIST  ? v.d == on.d
	       : v.kind == K_STR ? v.s == on.s || str_equal(v.s, on.s)
				 : value_equal(&r->job, v, on, 0);
}
const struct test *test_plain_find(const struct str *name)
{
	static const struct test list[] = {
		{"defined", t_defined, 0},
		{"undefined", t_undefined, 0},
		{"none", t_none, 0},
		{"boolean", t_boolean, 0},
		{"true", t_true, 0},
		{"false", t_false, 0},
		{"integer", t_integer, 0},
		{"float", t_float, 0},
		{"number", t_number, 0},
		{"string", t_string, 0},
		{"mapping", t_mapping, 0},
		{"iterable", t_iterable, 0},
		{"sequence", t_sequence, 0},
		{"callable", t_callable, 0},
		{"escaped", t_escaped, 0},
		{"odd", t_odd, 0},
		{"even", t_even, 0},
		{"divisibleby", t_divisibleby, 1},
		{"lower", t_lower, 0},
		{"upper", t_upper, 0},
		{"eq", t_eq, 1},
		{"equalto", t_eq, 1},
		{"==", t_eq, 1},
		{"ne", t_ne, 1},
		{"!=", t_ne, 1},
		{"lt", t_lt, 1},
		{"lessthan", t_lt, 1},
		{"<", t_lt, 1},
		{"le", t_le, 1},
		{"<=", t_le, 1},
		{"gt", t_gt, 1},
		{"greaterthan", t_gt, 1},
		{">", t_gt, 1},
		{"ge", t_ge, 1},
		{">=", t_ge, 1},
		{"in", t_in, 1},
		{"sameas", t_sameas, 1},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}
