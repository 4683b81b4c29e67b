#include "engine/backend/cuda_plugin.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *named(void)
{
	const char *file = getenv("XVERSED_CUDA_LIB");

	return file && *file ? file : NULL;
}

bool plugin_worth_trying(void)
{
	void *driver;

	if (named())
		return true;
	driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (driver)
		dlclose(driver);
	return driver != NULL;
}

/* Looks beside the program, where the build puts it, then in ../lib, where an installation does. */
static void find(char *path, size_t size)
{
	static const char *const where[] = {"", "../lib/", "../lib/xversed/"};
	char self[PATH_MAX] = "", *dir;

	if (readlink("/proc/self/exe", self, sizeof self - 1) > 0) {
		dir = dirname(self);
		for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
			snprintf(path, size, "%s/%slibxverse-cuda.so", dir, where[i]);
			if (!access(path, R_OK))
				return;
		}
	}
	snprintf(path, size, "libxverse-cuda.so");
}

int plugin_open(const struct plugin **out, struct why *why)
{
	char path[PATH_MAX + 32];
	plugin_entry *entry;
	const struct plugin *p;
	void *lib, *symbol;

	*out = NULL;
	if (named())
		snprintf(path, sizeof path, "%s", named());
	else
		find(path, sizeof path);
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return fail(why, ERR_UNKNOWN, "the CUDA plug-in cannot be opened: %s", dlerror());
	symbol = dlsym(lib, PLUGIN_ENTRY);
	if (!symbol)
		return fail(why, ERR_UNKNOWN, "%s is not an xversed plug-in: it exports no %s", path, PLUGIN_ENTRY);
	memcpy(&entry, &symbol, sizeof entry);
	p = entry();
	if (p->abi != PLUGIN_ABI || strcmp(p->build, XV_VERSION))
		return fail(why, ERR_UNKNOWN, "%s was built for xversed %s (interface %d); this is %s (interface %d)",
			    path, p->build, p->abi, XV_VERSION, PLUGIN_ABI);
	*out = p;
	return 0;
}
