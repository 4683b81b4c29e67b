/* pickle.c - runs the opcodes that torch.save writes. */
#include "engine/checkpoint/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint/pickle_machine.h"

enum { MAX_MEMO = 1 << 21, MAX_TEXT = 1 << 20 /* bytes of one string */ };

enum opcode {
	OP_MARK = '(',
	OP_STOP = '.',
	OP_BINFLOAT = 'G',
	OP_BININT = 'J',
	OP_BININT1 = 'K',
	OP_BININT2 = 'M',
	OP_NONE = 'N',
	OP_BINPERSID = 'Q',
	OP_REDUCE = 'R',
	OP_BINSTRING = 'T',
	OP_SHORT_BINSTRING = 'U',
	OP_BINUNICODE = 'X',
	OP_APPEND = 'a',
	OP_BUILD = 'b',
	OP_GLOBAL = 'c',
	OP_APPENDS = 'e',
	OP_BINGET = 'h',
	OP_LONG_BINGET = 'j',
	OP_BINPUT = 'q',
	OP_LONG_BINPUT = 'r',
	OP_SETITEM = 's',
	OP_TUPLE = 't',
	OP_SETITEMS = 'u',
	OP_EMPTY_DICT = '}',
	OP_EMPTY_LIST = ']',
	OP_EMPTY_TUPLE = ')',
	OP_PROTO = 0x80,
	OP_TUPLE1 = 0x85,
	OP_TUPLE2 = 0x86,
	OP_TUPLE3 = 0x87,
	OP_NEWTRUE = 0x88,
	OP_NEWFALSE = 0x89,
	OP_LONG1 = 0x8a,
	OP_SHORT_BINUNICODE = 0x8c,
	OP_STACK_GLOBAL = 0x93,
	OP_MEMOIZE = 0x94,
	OP_FRAME = 0x95,
};

static int do_tuple(struct pickle_machine *x, int n)
{
	int tuple, first = x->depth - n, err = 0;

	if (n < 0)
		err = pickle_find_mark(x, &first);
	else if (first < 0)
		err = pickle_wrong(x, "nothing on the stack to take");
	for (int i = first; !err && i < x->depth; i++)
		if (x->stack[i] == PICKLE_MARK)
			err = pickle_wrong(x, "a mark inside a tuple");
	if (err || (err = pickle_new(x, (struct pickle_node){.kind = PK_TUPLE}, &tuple)))
		return err;
	pickle_move(x, tuple, first);
	if (n < 0)
		x->depth--;
	return pickle_push(x, tuple);
}

/* Moves one value (or key and value), or all above the mark, to the list or dict below. */
static int do_add(struct pickle_machine *x, enum pickle_kind kind, int n)
{
	int first = x->depth - n, list, err = n ? 0 : pickle_find_mark(x, &first);

	if (err)
		return err;
	list = first - (n ? 1 : 2);
	if (list < 0 || x->stack[list] == PICKLE_MARK || x->p.node[x->stack[list]].kind != kind)
		return pickle_wrong(x, kind == PK_DICT ? "items are set, but not of a dict"
						       : "items are appended, but not to a list");
	for (int i = first; i < x->depth; i++)
		if (x->stack[i] == PICKLE_MARK)
			return pickle_wrong(x, "a mark among items");
	if (kind == PK_DICT && (x->depth - first) % 2)
		return pickle_wrong(x, "a key without its value");
	pickle_move(x, x->stack[list], first);
	x->depth = list + 1;
	return 0;
}

static int do_text(struct pickle_machine *x, int length_bytes)
{
	uint64_t n;
	const uint8_t *p;

	if (pickle_take_number(x, length_bytes, &n))
		return ERR_FORMAT;
	if (n > MAX_TEXT)
		return pickle_over(x, "a string is too long", MAX_TEXT);
	if (!(p = pickle_take(x, (size_t)n)))
		return ERR_FORMAT;
	return pickle_push_new(x, (struct pickle_node){.kind = PK_TEXT, .n = (uint32_t)n, .text = (const char *)p});
}

static int do_int(struct pickle_machine *x, int bytes)
{
	uint64_t n;

	if (pickle_take_number(x, bytes, &n))
		return ERR_FORMAT;
	return pickle_push_new(x, (struct pickle_node){.kind = PK_INT, .i = bytes == 4 ? (int32_t)n : (int64_t)n});
}

/* Reads a little-endian two's complement number of any length. */
static int do_long(struct pickle_machine *x)
{
	uint64_t n = 0, bytes;

	if (pickle_take_number(x, 1, &bytes))
		return ERR_FORMAT;
	if (bytes > 8)
		return pickle_wrong(x, "an integer of more than 64 bits");
	if (pickle_take_number(x, (int)bytes, &n))
		return ERR_FORMAT;
	if (bytes && bytes < 8 && n >> (8 * bytes - 1))
		n |= UINT64_MAX << 8 * bytes;
	return pickle_push_new(x, (struct pickle_node){.kind = PK_INT, .i = (int64_t)n});
}

static int do_float(struct pickle_machine *x)
{
	struct pickle_node n = {.kind = PK_FLOAT};
	uint64_t bits;

	if (pickle_take_number(x, 8, &bits))
		return ERR_FORMAT;
	bits = __builtin_bswap64(bits);
	memcpy(&n.f, &bits, 8);
	return pickle_push_new(x, n);
}

static int push_name(struct pickle_machine *x, const char *module, size_t m, const char *name, size_t n)
{
	struct pickle_node node = {.kind = PK_NAME};

	if (pickle_find_name(module, m, name, n, &node))
		return pickle_push_new(x, node);
	/* Puts only printable characters into the message. */
	for (size_t i = 0; i < m + n; i++) {
		uint8_t c = (uint8_t)(i < m ? module[i] : name[i - m]);
		if (c < 0x20 || c > 0x7e)
			return pickle_wrong(x, "it uses a name that is not plain text");
	}
	return fail(
		x->why, ERR_UNSUPPORTED,
		"pickle, before byte %zu: it uses %.*s.%.*s; only tensors in dicts are read, other Python objects are not",
		(size_t)(x->at - x->begin), m < 80 ? (int)m : 80, module, n < 80 ? (int)n : 80, name);
}

static int take_line(struct pickle_machine *x, const char **text, size_t *n)
{
	const uint8_t *end = memchr(x->at, '\n', (size_t)(x->end - x->at));

	if (!end)
		return pickle_wrong(x, "it ends inside a name");
	*text = (const char *)x->at;
	*n = (size_t)(end - x->at);
	x->at = end + 1;
	return 0;
}

static int do_global(struct pickle_machine *x)
{
	const char *module = NULL, *name = NULL;
	size_t m = 0, n = 0;
	int err;

	if ((err = take_line(x, &module, &m)) || (err = take_line(x, &name, &n)))
		return err;
	return push_name(x, module, m, name, n);
}

static int do_stack_global(struct pickle_machine *x)
{
	int name = 0, module = 0, err;
	const struct pickle_node *a, *b;

	if ((err = pickle_pop(x, &name)) || (err = pickle_pop(x, &module)))
		return err;
	a = &x->p.node[module];
	b = &x->p.node[name];
	if (a->kind != PK_TEXT || b->kind != PK_TEXT)
		return pickle_wrong(x, "a name that is not a string");
	return push_name(x, a->text, a->n, b->text, b->n);
}

static int do_call(struct pickle_machine *x)
{
	struct pickle_node made = {.kind = PK_CALL}, arg;
	int args = 0, name = 0, err;

	if ((err = pickle_pop(x, &args)) || (err = pickle_pop(x, &name)))
		return err;
	if (x->p.node[name].kind != PK_NAME || x->p.node[args].kind != PK_TUPLE)
		return pickle_wrong(x, "a call of something that cannot be called");
	arg = x->p.node[args];
	made.name = x->p.node[name].name;
	switch (made.name) {
	case PN_ORDERED_DICT:
		if (arg.n)
			return pickle_wrong(x, "an OrderedDict made from arguments");
		return pickle_push_new(x, (struct pickle_node){.kind = PK_DICT});
	case PN_SIZE: /* its argument is a tuple of a tuple */
		if (arg.n != 1)
			return pickle_wrong(x, "a torch.Size of several arguments");
		return pickle_push(x, x->p.cell[arg.first].value);
	case PN_STORAGE:
	case PN_DTYPE:
		return pickle_wrong(x, "a call of something that cannot be called");
	default:
		if ((err = pickle_new(x, made, &name)))
			return err;
	}
	/* The node shares the arguments' cells: a tuple never changes. */
	x->p.node[name].first = arg.first;
	x->p.node[name].last = arg.last;
	x->p.node[name].n = arg.n;
	return pickle_push(x, name);
}

static int do_storage(struct pickle_machine *x)
{
	int id = 0, node = 0, err = pickle_pop(x, &id);

	if (err)
		return err;
	if (x->p.node[id].kind != PK_TUPLE)
		return pickle_wrong(x, "a storage that is not described by a tuple");
	if ((err = pickle_new(x, (struct pickle_node){.kind = PK_STORAGE}, &node)))
		return err;
	x->p.node[node].first = x->p.node[id].first;
	x->p.node[node].last = x->p.node[id].last;
	x->p.node[node].n = x->p.node[id].n;
	return pickle_push(x, node);
}

/* Drops the state of an object (a state dict's _metadata, a parameter's hooks): it does not belong to the model. */
static int do_build(struct pickle_machine *x)
{
	int state, object, err = pickle_pop(x, &state);

	return err ? err : pickle_top(x, &object);
}

static int do_put(struct pickle_machine *x, int bytes)
{
	uint64_t i = (uint64_t)x->n_memo;
	int node = 0, err = 0;

	if (bytes)
		err = pickle_take_number(x, bytes, &i);
	if (err || (err = pickle_top(x, &node)))
		return err;
	if (i >= MAX_MEMO)
		return pickle_over(x, "a memo number is too large", MAX_MEMO);
	if ((int)i >= x->max_memo) {
		x->max_memo = max_int(256, 2 * (int)i);
		x->memo = xgrow(x->memo, (size_t)x->max_memo, sizeof *x->memo);
	}
	for (; x->n_memo <= (int)i; x->n_memo++)
		x->memo[x->n_memo] = -1;
	x->memo[i] = node;
	return 0;
}

static int do_get(struct pickle_machine *x, int bytes)
{
	uint64_t i;

	if (pickle_take_number(x, bytes, &i))
		return ERR_FORMAT;
	if (i >= (uint64_t)x->n_memo || x->memo[i] < 0)
		return pickle_wrong(x, "a memo number that was never set");
	return pickle_push(x, x->memo[i]);
}

static int do_proto(struct pickle_machine *x)
{
	uint64_t version;

	if (pickle_take_number(x, 1, &version))
		return ERR_FORMAT;
	return version > 5 ? pickle_wrong(x, "a pickle protocol after 5") : 0;
}

static int do_frame(struct pickle_machine *x)
{
	uint64_t length;

	return pickle_take_number(x, 8, &length);
}

static int push_value(struct pickle_machine *x, uint8_t op)
{
	switch (op) {
	case OP_NONE:
		return pickle_push_new(x, (struct pickle_node){.kind = PK_NONE});
	case OP_NEWTRUE:
		return pickle_push_new(x, (struct pickle_node){.kind = PK_BOOL, .i = 1});
	case OP_NEWFALSE:
		return pickle_push_new(x, (struct pickle_node){.kind = PK_BOOL});
	case OP_BININT:
		return do_int(x, 4);
	case OP_BININT1:
		return do_int(x, 1);
	case OP_BININT2:
		return do_int(x, 2);
	case OP_LONG1:
		return do_long(x);
	case OP_BINFLOAT:
		return do_float(x);
	case OP_BINUNICODE:
	case OP_BINSTRING:
		return do_text(x, 4);
	case OP_SHORT_BINUNICODE:
	case OP_SHORT_BINSTRING:
		return do_text(x, 1);
	case OP_GLOBAL:
		return do_global(x);
	case OP_STACK_GLOBAL:
		return do_stack_global(x);
	case OP_EMPTY_DICT:
		return pickle_push_new(x, (struct pickle_node){.kind = PK_DICT});
	case OP_EMPTY_LIST:
		return pickle_push_new(x, (struct pickle_node){.kind = PK_LIST});
	case OP_EMPTY_TUPLE:
		return do_tuple(x, 0);
	default:
		return fail(x->why, ERR_UNSUPPORTED,
			    "pickle, before byte %zu: opcode 0x%02x is not one that torch.save writes",
			    (size_t)(x->at - x->begin), op);
	}
}

static int run(struct pickle_machine *x, uint8_t op)
{
	switch (op) {
	case OP_PROTO:
		return do_proto(x);
	case OP_FRAME:
		return do_frame(x);
	case OP_MARK:
		return pickle_push(x, PICKLE_MARK);
	case OP_TUPLE:
		return do_tuple(x, -1);
	case OP_TUPLE1:
		return do_tuple(x, 1);
	case OP_TUPLE2:
		return do_tuple(x, 2);
	case OP_TUPLE3:
		return do_tuple(x, 3);
	case OP_APPEND:
		return do_add(x, PK_LIST, 1);
	case OP_APPENDS:
		return do_add(x, PK_LIST, 0);
	case OP_SETITEM:
		return do_add(x, PK_DICT, 2);
	case OP_SETITEMS:
		return do_add(x, PK_DICT, 0);
	case OP_BINPUT:
		return do_put(x, 1);
	case OP_LONG_BINPUT:
		return do_put(x, 4);
	case OP_MEMOIZE:
		return do_put(x, 0);
	case OP_BINGET:
		return do_get(x, 1);
	case OP_LONG_BINGET:
		return do_get(x, 4);
	case OP_REDUCE:
		return do_call(x);
	case OP_BUILD:
		return do_build(x);
	case OP_BINPERSID:
		return do_storage(x);
	default:
		return push_value(x, op);
	}
}

int pickle_parse(struct pickle *p, const void *data, size_t size, struct why *why)
{
	struct pickle_machine x = {.begin = data, .at = data, .end = (const uint8_t *)data + size, .why = why};
	const uint8_t *op = NULL;
	int err = 0;

	if (size > PICKLE_MAX)
		return fail(why, ERR_LIMIT, "a pickle of %zu bytes; the most is %d", size, PICKLE_MAX);
	while (!err && (op = pickle_take(&x, 1)) && *op != OP_STOP)
		err = run(&x, *op);
	if (!err && !op)
		err = ERR_FORMAT;
	if (!err)
		err = pickle_pop(&x, &x.p.root);
	if (!err && x.depth)
		err = pickle_wrong(&x, "something is left on the stack");
	free(x.stack);
	free(x.memo);
	*p = x.p;
	if (err)
		pickle_finish(p);
	return err;
}

void pickle_finish(struct pickle *p)
{
	free(p->node);
	free(p->cell);
	*p = (struct pickle){0};
}

const struct pickle_node *pickle_at(const struct pickle *p, const struct pickle_node *list, uint32_t i)
{
	int cell = list->kind >= PK_TUPLE && i < list->n ? list->first : -1;

	while (cell >= 0 && i--)
		cell = p->cell[cell].next;
	return cell < 0 ? NULL : &p->node[p->cell[cell].value];
}
