#include "engine/convert/convert.h"

#include "engine/convert/inside.h"

static int convert(const struct convert_options *o, const struct checkpoint *c, const struct plan *p,
		   struct convert_result *r, struct why *why)
{
	struct folder f;
	int err = folder_open(&f, o->out, p->bytes, why);

	r->fingerprint = err ? 0 : checkpoint_fingerprint(c);
	if (!err)
		err = documents_copy(p, c, o->in, &f, why);
	if (!err)
		err = shards_write(p, c, o, &f, r->fingerprint);
	if (!err)
		err = folder_keep(&f);
	folder_close(&f);
	return err;
}

int convert_checkpoint(const struct convert_options *o, struct convert_result *result, struct why *why)
{
	struct checkpoint *c;
	struct plan p;
	int err = checkpoint_open(&c, o->in, why);

	*result = (struct convert_result){0};
	if (err)
		return err;
	err = plan_make(&p, c, o, why);
	if (!err) {
		checkpoint_prefetch(c, 0, 1);
		*result = (struct convert_result){
			.bytes = p.bytes, .files = p.files, .quantised = p.quantised, .n = checkpoint_count(c)};
		err = convert(o, c, &p, result, why);
	}
	plan_finish(&p);
	checkpoint_close(c);
	return err;
}
