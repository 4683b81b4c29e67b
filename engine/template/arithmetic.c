/* arithmetic.c - + - * / // % ** with Python's meaning. Integers have 64 bits here; beyond them is an error rather than
 * another number. */
#include <math.h>
#include <stdio.h>
#include "engine/template/inside.h"

static void __attribute__((noreturn)) no_operator(struct rendering *r, const char *op, struct value a, struct value b)
{
	if (a.kind == K_UNDEF || b.kind == K_UNDEF)
		bad(&r->job, "%s", a.kind == K_UNDEF ? a.what : b.what);
	bad(&r->job, "unsupported operand types for %s: '%s' and '%s'", op, value_kind_name(a), value_kind_name(b));
}

static struct value add(struct rendering *r, struct value a, struct value b)
{
	if (a.kind == K_STR && b.kind == K_STR) {
		bool markup = a.s->markup || b.s->markup;
		struct str *s = markup ? str_join(&r->job, str_escape(&r->job, a.s), str_escape(&r->job, b.s))
				       : str_join(&r->job, a.s, b.s);
		s->markup = markup;
		return STR(s);
	}
	if (a.kind == K_LIST && b.kind == K_LIST && a.l->form == b.l->form && a.l->form <= FORM_TUPLE) {
		struct list *l = list_make(&r->job, a.l->n + b.l->n, a.l->form);

		spend(&r->job, l->max / 8);
		for (uint32_t i = 0; i < a.l->n; i++)
			list_add(&r->job, l, a.l->at[i]);
		for (uint32_t i = 0; i < b.l->n; i++)
			list_add(&r->job, l, b.l->at[i]);
		return LIST(l);
	}
	no_operator(r, "+", a, b);
}

static struct value repeat(struct rendering *r, struct value on, int64_t n)
{
	if (n < 0)
		n = 0;
	if (on.kind == K_STR) {
		struct tpl_text t = {.job = &r->job};

		for (int64_t i = 0; on.s->len && i < n; i++) {
			spend(&r->job, i % 16 == 0);
			tpl_text_add_str(&t, on.s);
		}
		struct str *s = tpl_text_str(&t);
		s->markup = on.s->markup;
		return STR(s);
	}
	struct list *l = list_make(&r->job, 0, on.l->form);
	for (int64_t i = 0; on.l->n && i < n; i++) {
		spend(&r->job, 1 + on.l->n / 8);
		for (uint32_t k = 0; k < on.l->n; k++)
			list_add(&r->job, l, on.l->at[k]);
	}
	return LIST(l);
}

static bool repeats(struct value v)
{
	return v.kind == K_STR || (v.kind == K_LIST && v.l->form <= FORM_TUPLE);
}

static int64_t power(struct rendering *r, int64_t a, int64_t n)
{
	int64_t out = 1;

	for (;; n >>= 1) {
		if ((n & 1) && __builtin_mul_overflow(out, a, &out))
			bad(&r->job, "an integer out of range");
		if (n < 2)
			return out;
		if (__builtin_mul_overflow(a, a, &a))
			bad(&r->job, "an integer out of range");
	}
}

static struct value integers(struct rendering *r, enum op op, int64_t a, int64_t b)
{
	int64_t out = 0;
	bool over = false;

	if ((op == N_DIV || op == N_FLOORDIV || op == N_MOD) && !b)
		bad(&r->job, "division by zero");
	if ((op == N_FLOORDIV || op == N_MOD) && b == -1)
		return op == N_MOD ? INT(0) : integers(r, N_MUL, a, -1);
	switch (op) {
	case N_ADD:
		over = __builtin_add_overflow(a, b, &out);
		break;
	case N_SUB:
		over = __builtin_sub_overflow(a, b, &out);
		break;
	case N_MUL:
		over = __builtin_mul_overflow(a, b, &out);
		break;
	case N_DIV:
		return FLOAT((double)a / (double)b);
	case N_FLOORDIV:
		out = a / b - (a % b && (a < 0) != (b < 0));
		break;
	case N_MOD:
		out = a % b;
		out += out && (out < 0) != (b < 0) ? b : 0;
		break;
	default:
		if (b < 0)
			return a ? FLOAT(pow((double)a, (double)b)) : (bad(&r->job, "0 to a negative power"), NONE);
		out = power(r, a, b);
	}
	if (over)
		bad(&r->job, "an integer out of range");
	return INT(out);
}

static double modulo(double a, double b)
{
	double m = fmod(a, b);

	return m && (m < 0) != (b < 0) ? m + b : m ? m : copysign(0, b);
}

static struct value floats(struct rendering *r, enum op op, double a, double b)
{
	if ((op == N_DIV || op == N_FLOORDIV || op == N_MOD) && !b)
		bad(&r->job, "division by zero");
	switch (op) {
	case N_ADD:
		return FLOAT(a + b);
	case N_SUB:
		return FLOAT(a - b);
	case N_MUL:
		return FLOAT(a * b);
	case N_DIV:
		return FLOAT(a / b);
	case N_FLOORDIV:
		return FLOAT(floor((a - modulo(a, b)) / b + 0.5));
	case N_MOD:
		return FLOAT(modulo(a, b));
	default:
		if ((!a && b < 0) || (a < 0 && b != floor(b)))
			bad(&r->job, "the power is not a real number");
		return FLOAT(pow(a, b));
	}
}

struct value value_binary(struct rendering *r, enum op op, struct value a, struct value b)
{
	static const char *const names[] = {"+", "-", "*", "/", "//", "%", "**"};

	if (value_is_number(a) && value_is_number(b)) {
		if (a.kind == K_FLOAT || b.kind == K_FLOAT)
			return floats(r, op, value_number(a), value_number(b));
		return integers(r, op, value_integer(&r->job, a), value_integer(&r->job, b));
	}
	if (op == N_ADD)
		return add(r, a, b);
	if (op == N_MUL && repeats(a) && (b.kind == K_INT || b.kind == K_BOOL))
		return repeat(r, a, value_integer(&r->job, b));
	if (op == N_MUL && repeats(b) && (a.kind == K_INT || a.kind == K_BOOL))
		return repeat(r, b, value_integer(&r->job, a));
	if (op == N_MOD && a.kind == K_STR)
		return STR(text_format(r, a.s, b));
	no_operator(r, names[op - N_ADD], a, b);
}
