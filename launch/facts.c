#include "launch/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/json/json.h"
#include "base/text.h"
#include "daemon/rank/memory.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/models/config.h"
#include "parallel/world.h"

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* Of a file's bytes; 0: it cannot be read. */
static uint64_t hash_file(const char *path)
{
	uint64_t words[4096], h = 1;
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return 0;
	memset(words, 0, sizeof words);
	while ((n = fread(words, 1, sizeof words, f)) > 0) {
		memset((char *)words + n, 0, sizeof words - n);
		for (size_t i = 0; i < (n + 7) / 8; i++)
			h = mix(h, words[i]);
	}
	fclose(f);
	return h ? h : 1;
}

char *facts_plugin(const char *program)
{
	static const char *const where[] = {"", "../lib/", "../lib/xversed/"};
	const char *named = getenv("XVERSED_CUDA_LIB"), *slash = strrchr(program, '/');
	int folder = slash ? (int)(slash + 1 - program) : 0;

	if (named)
		return xstrdup(named);
	for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
		char *path = xprintf("%.*s%slibxverse-cuda.so", folder, program, where[i]);
		if (!access(path, R_OK))
			return path;
		free(path);
	}
	return NULL;
}

static uint64_t hash_plugin(const char *program)
{
	char *path = facts_plugin(program);
	uint64_t h = path ? hash_file(path) : 0;

	free(path);
	return h;
}

static int hash_files(struct facts *f, const struct options *o, struct why *why)
{
	static struct model_config config;
	struct checkpoint *files;
	int err = model_config_read_over(&config, o->model, o->hf_overrides, why);

	if (err || o->load_format == LOAD_DUMMY)
		return err;
	err = checkpoint_open(&files, o->model, why);
	if (err)
		return err;
	f->model = mix(checkpoint_fingerprint(files), model_config_hash(&config));
	checkpoint_close(files);
	return 0;
}

static int hash_model(struct facts *f, const struct options *o, struct why *why)
{
	struct options own = *o;
	int err;

	own.model = xstrdup(o->model);
	own.served_name = o->served_name ? xstrdup(o->served_name) : NULL;
	err = options_find_model(&own, why);
	if (!err)
		err = hash_files(f, &own, why);
	free(own.model);
	free(own.served_name);
	return err;
}

/* "Open MPI v4.1.4, package: ..." */
static void take_mpi(struct facts *f)
{
	char text[256] = "", *at;

	world_library(text, sizeof text);
	at = strpbrk(text, "0123456789");
	snprintf(f->mpi, sizeof f->mpi, "%.*s", at ? (int)strspn(at, "0123456789.") : 0, at ? at : "");
}

void facts_take(struct facts *f, const struct options *o, const char *program)
{
	struct statvfs shm;
	struct rlimit files;
	struct timespec now;
	struct why why = {""};

	*f = (struct facts){.build = hash_file(program), .plugin = hash_plugin(program), .shared = -1, .files = -1};
	gethostname(f->host, sizeof f->host - 1);
	if (o->model && hash_model(f, o, &why))
		snprintf(f->model_error, sizeof f->model_error, "%.299s", why.text[0] ? why.text : "it cannot be read");
	take_mpi(f);
	if (!statvfs("/dev/shm", &shm))
		f->shared = (int64_t)shm.f_bavail * (int64_t)shm.f_frsize;
	if (!getrlimit(RLIMIT_NOFILE, &files))
		f->files = files.rlim_cur == RLIM_INFINITY ? INT64_MAX : (int64_t)files.rlim_cur;
	f->memory = (int64_t)memory_limit();
	clock_gettime(CLOCK_REALTIME, &now);
	f->clock_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void facts_print(const struct facts *f)
{
	struct text t = {0};

	text_str(&t, FACTS_MARK "{\"host\":");
	text_json_str(&t, f->host);
	text_str(&t, ",\"mpi\":");
	text_json_str(&t, f->mpi);
	text_str(&t, ",\"model_error\":");
	text_json_str(&t, f->model_error);
	text_str(&t, ",\"plan_error\":");
	text_json_str(&t, f->plan_error);
	text_fmt(&t, ",\"build\":\"%016" PRIx64 "\",\"plugin\":\"%016" PRIx64 "\",\"model\":\"%016" PRIx64 "\"",
		 f->build, f->plugin, f->model);
	text_fmt(&t, ",\"clock_ms\":%" PRId64 ",\"shared\":%" PRId64 ",\"files\":%" PRId64 ",\"memory\":%" PRId64 "}",
		 f->clock_ms, f->shared, f->files, f->memory);
	printf("%s\n", t.data);
	fflush(stdout);
	text_finish(&t);
}

static void read_text(const struct json *o, const char *name, char *out, size_t size)
{
	const char *s = json_str(json_get(o, name));

	snprintf(out, size, "%s", s ? s : "");
}

static uint64_t read_hash(const struct json *o, const char *name)
{
	const char *s = json_str(json_get(o, name));

	return s ? strtoull(s, NULL, 16) : 0;
}

static int64_t read_number(const struct json *o, const char *name)
{
	int64_t v = -1;

	return json_int(json_get(o, name), &v) ? v : -1;
}

int facts_read(struct facts *f, const char *line, struct why *why)
{
	const char *text = strstr(line, FACTS_MARK);
	struct json_error e;
	struct json_doc *doc;
	const struct json *o;

	*f = (struct facts){0};
	if (!text)
		return ERR_FORMAT;
	text += strlen(FACTS_MARK);
	doc = json_read(text, strlen(text), &json_of_files, &e);
	o = json_root(doc);
	read_text(o, "host", f->host, sizeof f->host);
	read_text(o, "mpi", f->mpi, sizeof f->mpi);
	read_text(o, "model_error", f->model_error, sizeof f->model_error);
	read_text(o, "plan_error", f->plan_error, sizeof f->plan_error);
	f->build = read_hash(o, "build");
	f->plugin = read_hash(o, "plugin");
	f->model = read_hash(o, "model");
	f->clock_ms = read_number(o, "clock_ms");
	f->shared = read_number(o, "shared");
	f->files = read_number(o, "files");
	f->memory = read_number(o, "memory");
	json_close(doc);
	return f->host[0] ? 0 : fail(why, ERR_FORMAT, "a host answered with \"%.80s\"", line);
}
