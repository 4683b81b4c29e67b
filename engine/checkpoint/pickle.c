#include "engine/checkpoint/pickle.h"

#include <stdlib.h>
#include <string.h>

enum {
	MARK = -1, /* on the stack, in place of a node */
	MAX_NODES = 1 << 21,
	MAX_STACK = 1 << 20,
	MAX_MEMO = 1 << 21,
	MAX_TEXT = 1 << 20, /* bytes of one string */
};

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

struct parser {
	struct pickle p;
	const uint8_t *begin, *at, *end;
	int *stack, depth, max_depth; /* nodes or MARK */
	int *memo, n_memo, max_memo;  /* nodes, -1: none */
	struct why *why;
};

static int wrong(const struct parser *x, const char *what)
{
	return fail(x->why, ERR_FORMAT, "pickle, before byte %zu: %s", (size_t)(x->at - x->begin), what);
}

static int over(const struct parser *x, const char *what, int max)
{
	return fail(x->why, ERR_LIMIT, "pickle, before byte %zu: %s; the most is %d", (size_t)(x->at - x->begin), what,
		    max);
}

/* The next n bytes; NULL: there are fewer. */
static const uint8_t *take(struct parser *x, size_t n)
{
	const uint8_t *p = x->at;

	if (n > (size_t)(x->end - x->at)) {
		wrong(x, "it ends too early");
		return NULL;
	}
	x->at += n;
	return p;
}

static int take_number(struct parser *x, int bytes, uint64_t *n)
{
	const uint8_t *p = take(x, (size_t)bytes);

	if (!p)
		return ERR_FORMAT;
	for (*n = 0; bytes--;)
		*n = *n << 8 | p[bytes];
	return 0;
}

static int push(struct parser *x, int node)
{
	if (x->depth == MAX_STACK)
		return over(x, "too much on the stack", MAX_STACK);
	if (x->depth == x->max_depth) {
		x->max_depth = x->max_depth ? 2 * x->max_depth : 256;
		x->stack = xgrow(x->stack, (size_t)x->max_depth, sizeof *x->stack);
	}
	x->stack[x->depth++] = node;
	return 0;
}

static int pop(struct parser *x, int *node)
{
	if (!x->depth || x->stack[x->depth - 1] == MARK)
		return wrong(x, "nothing on the stack to take");
	*node = x->stack[--x->depth];
	return 0;
}

/* The node that an instruction works on, left where it is. */
static int top(const struct parser *x, int *node)
{
	if (!x->depth || x->stack[x->depth - 1] == MARK)
		return wrong(x, "nothing on the stack to work on");
	*node = x->stack[x->depth - 1];
	return 0;
}

static int new_node(struct parser *x, struct pickle_node n, int *node)
{
	struct pickle *p = &x->p;

	if (p->n_nodes == MAX_NODES)
		return over(x, "too many values", MAX_NODES);
	if (p->n_nodes == p->max_nodes) {
		p->max_nodes = p->max_nodes ? 2 * p->max_nodes : 256;
		p->node = xgrow(p->node, (size_t)p->max_nodes, sizeof *p->node);
	}
	if (n.kind >= PK_TUPLE)
		n.first = n.last = -1;
	*node = p->n_nodes;
	p->node[p->n_nodes++] = n;
	return 0;
}

static int push_new(struct parser *x, struct pickle_node n)
{
	int node = 0, err = new_node(x, n, &node);

	return err ? err : push(x, node);
}

/* Every cell was once pushed, so the length of the pickle bounds their number. */
static void add_cell(struct pickle *p, int list, int value)
{
	if (p->n_cells == p->max_cells) {
		p->max_cells = p->max_cells ? 2 * p->max_cells : 256;
		p->cell = xgrow(p->cell, (size_t)p->max_cells, sizeof *p->cell);
	}
	p->cell[p->n_cells] = (struct pickle_cell){value, -1};
	if (p->node[list].last < 0)
		p->node[list].first = p->n_cells;
	else
		p->cell[p->node[list].last].next = p->n_cells;
	p->node[list].last = p->n_cells++;
	p->node[list].n++;
}

/* Where what lies above the last mark begins. */
static int find_mark(const struct parser *x, int *first)
{
	int i = x->depth - 1;

	while (i >= 0 && x->stack[i] != MARK)
		i--;
	*first = i + 1;
	return i < 0 ? wrong(x, "no mark on the stack") : 0;
}

/* Moves the stack from `first` on to the end of a container. */
static void move_to(struct parser *x, int list, int first)
{
	for (int i = first; i < x->depth; i++)
		add_cell(&x->p, list, x->stack[i]);
	x->depth = first;
}

static int do_tuple(struct parser *x, int n)
{
	int tuple, first = x->depth - n, err = 0;

	if (n < 0)
		err = find_mark(x, &first);
	else if (first < 0)
		err = wrong(x, "nothing on the stack to take");
	for (int i = first; !err && i < x->depth; i++)
		if (x->stack[i] == MARK)
			err = wrong(x, "a mark inside a tuple");
	if (err || (err = new_node(x, (struct pickle_node){.kind = PK_TUPLE}, &tuple)))
		return err;
	move_to(x, tuple, first);
	if (n < 0)
		x->depth--;
	return push(x, tuple);
}

/* One value (or key and value), or all above the mark, to the list or dict below. */
static int do_add(struct parser *x, enum pickle_kind kind, int n)
{
	int first = x->depth - n, list, err = n ? 0 : find_mark(x, &first);

	if (err)
		return err;
	list = first - (n ? 1 : 2);
	if (list < 0 || x->stack[list] == MARK || x->p.node[x->stack[list]].kind != kind)
		return wrong(x, kind == PK_DICT ? "items are set, but not of a dict"
						: "items are appended, but not to a list");
	for (int i = first; i < x->depth; i++)
		if (x->stack[i] == MARK)
			return wrong(x, "a mark among items");
	if (kind == PK_DICT && (x->depth - first) % 2)
		return wrong(x, "a key without its value");
	move_to(x, x->stack[list], first);
	x->depth = list + 1;
	return 0;
}

static int do_text(struct parser *x, int length_bytes)
{
	uint64_t n;
	const uint8_t *p;

	if (take_number(x, length_bytes, &n))
		return ERR_FORMAT;
	if (n > MAX_TEXT)
		return over(x, "a string is too long", MAX_TEXT);
	if (!(p = take(x, (size_t)n)))
		return ERR_FORMAT;
	return push_new(x, (struct pickle_node){.kind = PK_TEXT, .n = (uint32_t)n, .text = (const char *)p});
}

static int do_int(struct parser *x, int bytes)
{
	uint64_t n;

	if (take_number(x, bytes, &n))
		return ERR_FORMAT;
	return push_new(x, (struct pickle_node){.kind = PK_INT, .i = bytes == 4 ? (int32_t)n : (int64_t)n});
}

/* Two's complement, little-endian, as many bytes as needed. */
static int do_long(struct parser *x)
{
	uint64_t n = 0, bytes;

	if (take_number(x, 1, &bytes))
		return ERR_FORMAT;
	if (bytes > 8)
		return wrong(x, "an integer of more than 64 bits");
	if (take_number(x, (int)bytes, &n))
		return ERR_FORMAT;
	if (bytes && bytes < 8 && n >> (8 * bytes - 1))
		n |= UINT64_MAX << 8 * bytes;
	return push_new(x, (struct pickle_node){.kind = PK_INT, .i = (int64_t)n});
}

static int do_float(struct parser *x)
{
	struct pickle_node n = {.kind = PK_FLOAT};
	uint64_t bits;

	if (take_number(x, 8, &bits))
		return ERR_FORMAT;
	bits = __builtin_bswap64(bits);
	memcpy(&n.f, &bits, 8);
	return push_new(x, n);
}

static int push_name(struct parser *x, const char *module, size_t m, const char *name, size_t n)
{
	struct pickle_node node = {.kind = PK_NAME};

	if (pickle_find_name(module, m, name, n, &node))
		return push_new(x, node);
	/* Only what can be printed reaches the message. */
	for (size_t i = 0; i < m + n; i++) {
		uint8_t c = (uint8_t)(i < m ? module[i] : name[i - m]);
		if (c < 0x20 || c > 0x7e)
			return wrong(x, "it uses a name that is not plain text");
	}
	return fail(
		x->why, ERR_UNSUPPORTED,
		"pickle, before byte %zu: it uses %.*s.%.*s; only tensors in dicts are read, other Python objects are not",
		(size_t)(x->at - x->begin), m < 80 ? (int)m : 80, module, n < 80 ? (int)n : 80, name);
}

static int take_line(struct parser *x, const char **text, size_t *n)
{
	const uint8_t *end = memchr(x->at, '\n', (size_t)(x->end - x->at));

	if (!end)
		return wrong(x, "it ends inside a name");
	*text = (const char *)x->at;
	*n = (size_t)(end - x->at);
	x->at = end + 1;
	return 0;
}

static int do_global(struct parser *x)
{
	const char *module = NULL, *name = NULL;
	size_t m = 0, n = 0;
	int err;

	if ((err = take_line(x, &module, &m)) || (err = take_line(x, &name, &n)))
		return err;
	return push_name(x, module, m, name, n);
}

static int do_stack_global(struct parser *x)
{
	int name = 0, module = 0, err;
	const struct pickle_node *a, *b;

	if ((err = pop(x, &name)) || (err = pop(x, &module)))
		return err;
	a = &x->p.node[module];
	b = &x->p.node[name];
	if (a->kind != PK_TEXT || b->kind != PK_TEXT)
		return wrong(x, "a name that is no string");
	return push_name(x, a->text, a->n, b->text, b->n);
}

static int do_call(struct parser *x)
{
	struct pickle_node made = {.kind = PK_CALL}, arg;
	int args = 0, name = 0, err;

	if ((err = pop(x, &args)) || (err = pop(x, &name)))
		return err;
	if (x->p.node[name].kind != PK_NAME || x->p.node[args].kind != PK_TUPLE)
		return wrong(x, "a call of something that cannot be called");
	arg = x->p.node[args];
	made.name = x->p.node[name].name;
	switch (made.name) {
	case PN_ORDERED_DICT:
		if (arg.n)
			return wrong(x, "an OrderedDict made from arguments");
		return push_new(x, (struct pickle_node){.kind = PK_DICT});
	case PN_SIZE: /* a tuple of a tuple */
		if (arg.n != 1)
			return wrong(x, "a torch.Size of several arguments");
		return push(x, x->p.cell[arg.first].value);
	case PN_STORAGE:
	case PN_DTYPE:
		return wrong(x, "a call of something that cannot be called");
	default:
		if ((err = new_node(x, made, &name)))
			return err;
	}
	/* The arguments' cells are shared: a tuple never changes. */
	x->p.node[name].first = arg.first;
	x->p.node[name].last = arg.last;
	x->p.node[name].n = arg.n;
	return push(x, name);
}

static int do_storage(struct parser *x)
{
	int id = 0, node = 0, err = pop(x, &id);

	if (err)
		return err;
	if (x->p.node[id].kind != PK_TUPLE)
		return wrong(x, "a storage that is not described by a tuple");
	if ((err = new_node(x, (struct pickle_node){.kind = PK_STORAGE}, &node)))
		return err;
	x->p.node[node].first = x->p.node[id].first;
	x->p.node[node].last = x->p.node[id].last;
	x->p.node[node].n = x->p.node[id].n;
	return push(x, node);
}

/* The state of an object (a state dict's _metadata, a parameter's hooks): nothing of the model. */
static int do_build(struct parser *x)
{
	int state, object, err = pop(x, &state);

	return err ? err : top(x, &object);
}

static int do_put(struct parser *x, int bytes)
{
	uint64_t i = (uint64_t)x->n_memo;
	int node = 0, err = 0;

	if (bytes)
		err = take_number(x, bytes, &i);
	if (err || (err = top(x, &node)))
		return err;
	if (i >= MAX_MEMO)
		return over(x, "a memo number is too large", MAX_MEMO);
	if ((int)i >= x->max_memo) {
		x->max_memo = max_int(256, 2 * (int)i);
		x->memo = xgrow(x->memo, (size_t)x->max_memo, sizeof *x->memo);
	}
	for (; x->n_memo <= (int)i; x->n_memo++)
		x->memo[x->n_memo] = -1;
	x->memo[i] = node;
	return 0;
}

static int do_get(struct parser *x, int bytes)
{
	uint64_t i;

	if (take_number(x, bytes, &i))
		return ERR_FORMAT;
	if (i >= (uint64_t)x->n_memo || x->memo[i] < 0)
		return wrong(x, "a memo number that was never set");
	return push(x, x->memo[i]);
}

static int do_proto(struct parser *x)
{
	uint64_t version;

	if (take_number(x, 1, &version))
		return ERR_FORMAT;
	return version > 5 ? wrong(x, "a pickle protocol after 5") : 0;
}

static int do_frame(struct parser *x)
{
	uint64_t length;

	return take_number(x, 8, &length);
}

static int push_value(struct parser *x, uint8_t op)
{
	switch (op) {
	case OP_NONE:
		return push_new(x, (struct pickle_node){.kind = PK_NONE});
	case OP_NEWTRUE:
		return push_new(x, (struct pickle_node){.kind = PK_BOOL, .i = 1});
	case OP_NEWFALSE:
		return push_new(x, (struct pickle_node){.kind = PK_BOOL});
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
		return push_new(x, (struct pickle_node){.kind = PK_DICT});
	case OP_EMPTY_LIST:
		return push_new(x, (struct pickle_node){.kind = PK_LIST});
	case OP_EMPTY_TUPLE:
		return do_tuple(x, 0);
	default:
		return fail(x->why, ERR_UNSUPPORTED,
			    "pickle, before byte %zu: opcode 0x%02x is not one that torch.save writes",
			    (size_t)(x->at - x->begin), op);
	}
}

static int run(struct parser *x, uint8_t op)
{
	switch (op) {
	case OP_PROTO:
		return do_proto(x);
	case OP_FRAME:
		return do_frame(x);
	case OP_MARK:
		return push(x, MARK);
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
	struct parser x = {.begin = data, .at = data, .end = (const uint8_t *)data + size, .why = why};
	const uint8_t *op = NULL;
	int err = 0;

	if (size > PICKLE_MAX)
		return fail(why, ERR_LIMIT, "a pickle of %zu bytes; the most is %d", size, PICKLE_MAX);
	while (!err && (op = take(&x, 1)) && *op != OP_STOP)
		err = run(&x, *op);
	if (!err && !op)
		err = ERR_FORMAT;
	if (!err)
		err = pop(&x, &x.p.root);
	if (!err && x.depth)
		err = wrong(&x, "something is left on the stack");
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
