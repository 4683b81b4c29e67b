/* lora.c - `xverse lora`: load, unload and list adapters of the running server. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "rpc/cli/cli.h"

static int list(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	struct why why;
	int err = cli_ask(c, &r, &reply, &why);

	if (err)
		return cli_give_up(err, &why);
	if (a->json) {
		json_print(json_pack("{s:o,s:I,s:I}", "adapters", json_of_adapters(&reply.status), "max_loras",
				     (json_int_t)reply.status.max_loras, "max_lora_rank",
				     (json_int_t)reply.status.max_lora_rank));
		return 0;
	}
	for (int i = 0; i < reply.status.n_adapter; i++)
		print_adapter(&reply.status.adapter[i], 17);
	if (!reply.status.max_loras && !reply.status.n_adapter)
		cli_say("no adapter, and no slot for one: start the server with --lora NAME=DIR or --max-loras N\n");
	else
		cli_say("%d adapter%s; %u slot%s for ranks up to %u\n", reply.status.n_adapter,
			reply.status.n_adapter == 1 ? "" : "s", reply.status.max_loras,
			reply.status.max_loras == 1 ? "" : "s", reply.status.max_lora_rank);
	return 0;
}

/* NAME=DIR, or the folder alone, whose own name is taken then. */
static int name_and_dir(const char *given, char *name, size_t size, char dir[PATH_MAX], struct why *why)
{
	const char *equals = strchr(given, '='), *path = equals ? equals + 1 : given, *slash;
	size_t n;

	if (!realpath(path, dir))
		return fail(why, ERR_INVALID, "%.200s: %s (xverse lora load NAME=DIR)", path, file_error(path, errno));
	slash = strrchr(dir, '/');
	n = equals ? (size_t)(equals - given) : strlen(slash + 1);
	if (n >= size)
		return fail(why, ERR_INVALID, "the name has %zu bytes, the limit is %zu", n, size - 1);
	snprintf(name, size, "%.*s", (int)n, equals ? given : slash + 1);
	return 0;
}

static int send(struct args *a, struct xv_client *c, struct xv_request *r, const char *done)
{
	struct xv_reply reply;
	struct why why;
	int err = cli_ask(c, r, &reply, &why);

	if (err)
		return cli_give_up(err, &why);
	if (a->json)
		json_print(json_of_adapter(&reply.adapter));
	else
		cli_print("%s: %s, fingerprint %s\n", reply.adapter.name, done, reply.adapter.fingerprint);
	return 0;
}

int run_lora(struct args *a, struct xv_client *c)
{
	const char *what = a->n_words > 0 ? a->word[0] : "ls", *which = a->n_words > 1 ? a->word[1] : NULL;
	bool load = !strcmp(what, "load"), unload = !strcmp(what, "unload");
	struct xv_request r = {.kind = load ? XV_LORA_LOAD : XV_LORA_UNLOAD};
	char name[256], dir[PATH_MAX] = "";
	struct why why;
	int err = 0;

	if (!strcmp(what, "ls") && !which)
		return list(a, c);
	if ((!load && !unload) || !which)
		err = fail(&why, ERR_INVALID, "xverse lora load NAME=DIR, xverse lora unload NAME, or xverse lora ls");
	else if (load)
		err = name_and_dir(which, name, sizeof name, dir, &why);
	if (err)
		return cli_give_up(err, &why);
	r.lora.name = load ? name : which;
	r.lora.dir = dir;
	return send(a, c, &r, load ? "loaded" : "unloaded");
}
