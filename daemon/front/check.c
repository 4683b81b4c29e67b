/* check.c - for a dry run: what front_open() and the files of a start would refuse, without making or opening any. */
#include "daemon/front/inside.h"

#include <stdlib.h>

#include "base/text.h"
#include "daemon/rank/files.h"
#include "engine/chat/chat.h"
#include "engine/models/config.h"
#include "rpc/place.h"
#include "rpc/server/listen.h"

struct refusals {
	struct text *out;
	int first; /* ERR_* */
};

static void add(struct refusals *r, int err, const struct why *why)
{
	if (!err)
		return;
	text_fmt(r->out, "%s\n", why->text);
	r->first = r->first ? r->first : err;
}

/* A model that is not downloaded yet has no tokenizer. A config that cannot be read is refused by the plan. */
static void check_words(struct refusals *r, const struct options *o)
{
	static struct model_config config;
	struct why why = {""};
	struct front_model model = {0};
	struct front *f;

	if (!tokenizer_exists(o->tokenizer ? o->tokenizer : o->model) ||
	    model_config_read_over(&config, o->model, o->hf_overrides, &why))
		return;
	model.vocab = config.vocab;
	f = xalloc(1, sizeof *f);
	*f = (struct front){.opt = o, .model = &model};
	add(r, front_open_words(f, &why), &why);
	chat_close(f->chat);
	tokenizer_close(f->tokenizer);
	free(f);
}

static void check_defaults(struct refusals *r, const struct options *o)
{
	struct front *f = xalloc(1, sizeof *f);
	struct why why = {""};

	f->opt = o;
	add(r, front_read_defaults(f, &why), &why);
	free(f);
}

static void check_limits(struct refusals *r, const struct options *o)
{
	struct limits limits = {0};
	struct why why = {""};

	add(r, o->limits ? limits_read(&limits, o->limits, &why) : 0, &why);
	limits_finish(&limits);
}

int front_check(const struct options *o, struct text *out)
{
	struct refusals r = {.out = out};
	struct why why = {""};
	gid_t group;
	uid_t gateway;

	add(&r, options_check_names(o, &why), &why);
	check_words(&r, o);
	check_defaults(&r, o);
	check_limits(&r, o);
	add(&r, options_find_group(o, &group, &why), &why);
	add(&r, options_find_gateway(o, &gateway, &why), &why);
	add(&r, o->uds ? rpc_listen_check(o->uds, &why) : rpc_place_check(&why), &why);
	add(&r, log_file_check(o->log_file, &why), &why);
	add(&r, pid_file_check(o->pid_file, &why), &why);
	return r.first;
}
