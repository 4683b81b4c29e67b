#include "rpc/cli/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "rpc/codec/codec.h"

static int read_text(struct args *a, const char *name, const char *path, struct why *why)
{
	struct why inner;
	size_t len;
	int err = file_read(path, FILE_CONFIG, &a->constraint_text, &len, &inner);

	if (err)
		return fail(why, ERR_INVALID, "--%s: %.400s", name, inner.text);
	if (strlen(a->constraint_text) != len)
		return fail(why, ERR_INVALID, "--%s: %s holds U+0000", name, path);
	return 0;
}

int constraint_set(struct args *a, const char *name, enum xv_constraint_kind kind, const char *value, struct why *why)
{
	struct xv_constraint *c = &a->sampling.constraint;
	int err = 0;

	if (c->kind != XV_FREE && (c->kind != kind || kind != XV_CHOICE))
		return fail(
			why, ERR_INVALID,
			"--%s: only one of --json-schema, --json-object, --regex, --grammar, --structural-tag and --choice may be given",
			name);
	c->kind = kind;
	c->text = value ? value : "";
	if (kind == XV_CHOICE) {
		a->choice = xgrow(a->choice, (size_t)c->n_choice + 1, sizeof *a->choice);
		a->choice[c->n_choice++] = value;
	}
	if (kind == XV_JSON_SCHEMA || kind == XV_GRAMMAR || kind == XV_STRUCTURAL_TAG) {
		err = read_text(a, name, value, why);
		c->text = a->constraint_text;
	}
	return err;
}

void constraint_finish(struct args *a)
{
	free(a->constraint_text);
	free(a->choice);
}
