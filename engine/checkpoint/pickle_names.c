/* pickle_names.c - the names that a pickle may use. Other names are never looked up anywhere. */
#include "engine/checkpoint/pickle_names.h"

#include <string.h>

static const struct {
	const char *module, *name;
	enum pickle_name as;
} known[] = {
	{"collections", "OrderedDict", PN_ORDERED_DICT},
	{"torch._utils", "_rebuild_tensor", PN_REBUILD_TENSOR},
	{"torch._utils", "_rebuild_tensor_v2", PN_REBUILD_TENSOR_V2},
	{"torch._utils", "_rebuild_tensor_v3", PN_REBUILD_TENSOR_V3},
	{"torch._utils", "_rebuild_parameter", PN_PARAMETER},
	{"torch.nn.parameter", "Parameter", PN_PARAMETER},
	{"torch", "Size", PN_SIZE},
	{"torch", "FloatStorage", PN_STORAGE},
	{"torch", "HalfStorage", PN_STORAGE},
	{"torch", "BFloat16Storage", PN_STORAGE},
	{"torch", "DoubleStorage", PN_STORAGE},
	{"torch", "LongStorage", PN_STORAGE},
	{"torch", "IntStorage", PN_STORAGE},
	{"torch", "ShortStorage", PN_STORAGE},
	{"torch", "CharStorage", PN_STORAGE},
	{"torch", "ByteStorage", PN_STORAGE},
	{"torch", "BoolStorage", PN_STORAGE},
	{"torch", "ComplexFloatStorage", PN_STORAGE},
	{"torch", "ComplexDoubleStorage", PN_STORAGE},
	{"torch.storage", "UntypedStorage", PN_STORAGE},
	{"torch", "uint16", PN_DTYPE},
	{"torch", "uint32", PN_DTYPE},
	{"torch", "uint64", PN_DTYPE},
	{"torch", "float8_e4m3fn", PN_DTYPE},
	{"torch", "float8_e5m2", PN_DTYPE},
	{"torch", "float8_e4m3fnuz", PN_DTYPE},
	{"torch", "float8_e5m2fnuz", PN_DTYPE},
	{"torch", "float32", PN_DTYPE},
	{"torch", "float16", PN_DTYPE},
	{"torch", "bfloat16", PN_DTYPE},
	{"torch", "float64", PN_DTYPE},
	{"torch", "int64", PN_DTYPE},
	{"torch", "int32", PN_DTYPE},
	{"torch", "int16", PN_DTYPE},
	{"torch", "int8", PN_DTYPE},
	{"torch", "uint8", PN_DTYPE},
	{"torch", "bool", PN_DTYPE},
	{"torch", "complex64", PN_DTYPE},
	{"torch", "complex128", PN_DTYPE},
};

static bool text_is(const char *text, size_t n, const char *want)
{
	return strlen(want) == n && !memcmp(text, want, n);
}

bool pickle_find_name(const char *module, size_t m, const char *name, size_t n, struct pickle_node *node)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!text_is(module, m, known[i].module) || !text_is(name, n, known[i].name))
			continue;
		node->name = known[i].as;
		node->text = known[i].name;
		return true;
	}
	return false;
}

bool pickle_is_text(const struct pickle_node *n, const char *text)
{
	return n && n->kind == PK_TEXT && text_is(n->text, n->n, text);
}
