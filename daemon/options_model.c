/* options_model.c - the folder that MODEL stands for. */
#include <stdlib.h>

#include "daemon/options.h"
#include "engine/checkpoint/find.h"

int options_find_model(struct options *o, struct why *why)
{
	bool weights = o->load_format != LOAD_DUMMY && !o->dry_run;
	char *dir;
	int err = model_find(&dir, o->model, weights, why);

	if (err)
		return err;
	if (!o->served_name)
		o->served_name = model_find_name(o->model);
	free(o->model);
	o->model = dir;
	return 0;
}
