/* files.c - lists the files below a folder and reads them, from archives by libzip. */
#include "rpc/cli/eval/files.h"

#include <dirent.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <zip.h>

#include "base/file/file.h"
#include "rpc/cli/cli.h"

enum { DEEPEST = 10, MOST_FILES = 200000, MOST_FOLDERS = 100000 };
static const uint64_t MOST_BYTES = 256u << 20;

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcasecmp(name + n - m, end);
}

/* Archives and compressed files that are not read; a zip inside of a zip is one, too. */
static bool is_packed(const char *name)
{
	static const char *const ends[] = {".tar", ".gz", ".tgz", ".xz",  ".bz2",
					   ".zst", ".7z", ".rar", ".zip", ".parquet"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

/* What the systems that pack archives leave beside the files. */
static bool is_litter(const char *name)
{
	return name[0] == '.' || !strcmp(name, "__MACOSX");
}

static struct eval_file *add(struct eval_files *f)
{
	f->file = xgrow(f->file, (size_t)f->n + 1, sizeof *f->file);
	f->file[f->n] = (struct eval_file){0};
	return &f->file[f->n++];
}

static bool litter_within(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (is_litter(part) || !strncmp(part, "__MACOSX/", 9))
			return true;
	}
	return false;
}

static int zip_fail(const char *path, int code, struct why *why)
{
	zip_error_t e;

	zip_error_init_with_code(&e, code);
	fail(why, ERR_FORMAT, "%s: cannot be read as a zip archive: %s", path, zip_error_strerror(&e));
	zip_error_fini(&e);
	return ERR_FORMAT;
}

static int open_zip(zip_t **out, const char *path, struct why *why)
{
	char head[64];
	FILE *file = fopen(path, "rbe");
	size_t n = file ? fread(head, 1, sizeof head, file) : 0;
	const char *disguise = n ? file_disguise(head, n) : NULL;
	int code;

	if (file)
		fclose(file);
	if (disguise)
		return fail(why, ERR_FORMAT, "%s: %s instead of a zip archive; download it again", path, disguise);
	*out = zip_open(path, ZIP_RDONLY, &code);
	if (!*out && code == ZIP_ER_NOZIP && n >= 4 && !memcmp(head, "PK\3\4", 4))
		return fail(why, ERR_FORMAT, "%s: the end of the archive is missing; download it again", path);
	return *out ? 0 : zip_fail(path, code, why);
}

static int too_many(const struct eval_files *f, struct why *why)
{
	return fail(why, ERR_LIMIT, "%s: more than %d files or %d folders; name the benchmarks' own folder", f->root,
		    MOST_FILES, MOST_FOLDERS);
}

/* Some programs write names as Windows has them. */
static void add_entry(struct eval_files *f, const char *path, const char *within, const char *name, uint64_t entry)
{
	char *plain = xstrdup(name);
	struct eval_file *file;

	for (char *c = plain; *c; c++)
		*c = *c == '\\' ? '/' : *c;
	f->has_packed |= is_packed(plain);
	if (*plain && plain[strlen(plain) - 1] != '/' && !litter_within(plain)) {
		file = add(f);
		file->name = xprintf("%s:%s", path, name);
		file->path = xprintf("%s/%s", within, plain);
		file->archive = xstrdup(path);
		file->entry = entry;
	}
	free(plain);
}

/* `within`: the archive's path relative to the root; "" where it is the root. */
static int list_zip(struct eval_files *f, const char *path, const char *within, struct why *why)
{
	zip_t *z;
	int err = open_zip(&z, path, why);

	if (err)
		return err;
	for (zip_int64_t i = 0; !err && i < zip_get_num_entries(z, 0); i++) {
		const char *name = zip_get_name(z, (zip_uint64_t)i, 0);

		if (f->n >= MOST_FILES)
			err = too_many(f, why);
		else if (name)
			add_entry(f, path, within, name, (uint64_t)i);
	}
	zip_discard(z);
	return err;
}

/* A folder that is being listed, and those that it lies in. */
struct place {
	const struct place *above;
	dev_t device;
	ino_t number;
	int depth;
};

static int list_folder(struct eval_files *f, const char *within, const struct place *above, struct why *why);

static int list_one(struct eval_files *f, const char *within, const char *name, const struct place *at, struct why *why)
{
	char *path = xprintf("%s/%s", within, name), *full = xprintf("%s%s", f->root, path);
	struct stat s;
	int err = 0;

	if (stat(full, &s))
		err = 0; /* a link to nothing */
	else if (S_ISDIR(s.st_mode))
		err = list_folder(f, path, at, why);
	else if (S_ISREG(s.st_mode) && ends_with(name, ".zip"))
		err = list_zip(f, full, path, why);
	else if (S_ISREG(s.st_mode)) {
		struct eval_file *file = add(f);
		*file = (struct eval_file){.name = xstrdup(full), .path = xstrdup(path)};
		f->has_packed |= is_packed(name);
	}
	free(path);
	free(full);
	return err;
}

static int list_entries(struct eval_files *f, DIR *d, const char *within, const struct place *at, struct why *why)
{
	struct dirent *e;
	int err = 0;

	while (!err && (e = readdir(d))) {
		if (f->n >= MOST_FILES)
			err = too_many(f, why);
		else if (!is_litter(e->d_name))
			err = list_one(f, within, e->d_name, at, why);
	}
	return err;
}

/* A link to a folder that the link lies in adds nothing. */
static bool is_within_itself(const struct place *at)
{
	for (const struct place *p = at->above; p; p = p->above)
		if (p->device == at->device && p->number == at->number)
			return true;
	return false;
}

static int list_folder(struct eval_files *f, const char *within, const struct place *above, struct why *why)
{
	char *full = xprintf("%s%s", f->root, within);
	struct place at = {.above = above, .depth = above ? above->depth + 1 : 0};
	struct stat s;
	DIR *d = NULL;
	int err = 0;

	if (!stat(full, &s)) {
		at.device = s.st_dev;
		at.number = s.st_ino;
	}
	if (f->n_folders++ > MOST_FOLDERS)
		err = too_many(f, why);
	else if (at.depth < DEEPEST && !is_within_itself(&at)) {
		d = opendir(full);
		if (!d && errno == EACCES && above) /* another's: what it holds is missing, if it is needed */
			cli_say("xverse: eval: %s is left out: %s\n", full, strerror(errno));
		else
			err = d ? list_entries(f, d, within, &at, why)
				: fail(why, ERR_IO, "%s: %s", full, file_error(full, errno));
	}
	if (d)
		closedir(d);
	free(full);
	return err;
}

static int by_place(const void *a, const void *b)
{
	const struct eval_file *x = a, *y = b;

	if (!x->archive != !y->archive)
		return x->archive ? -1 : 1;
	if (strcmp(x->path, y->path))
		return strcmp(x->path, y->path);
	return x->entry < y->entry ? -1 : x->entry > y->entry; /* of two of one name in an archive the first */
}

int eval_files_open(struct eval_files *f, const char *path, struct why *why)
{
	struct stat s;
	size_t n = strlen(path);
	int err;

	*f = (struct eval_files){.root = xstrdup(path)};
	while (n > 1 && f->root[n - 1] == '/')
		f->root[--n] = 0;
	if (stat(path, &s))
		err = fail(why, ERR_UNKNOWN, "--data: %s: %s; it is the folder, or the zip, of the published files",
			   path, file_error(path, errno));
	else if (S_ISDIR(s.st_mode))
		err = list_folder(f, "", NULL, why);
	else if (S_ISREG(s.st_mode) && ends_with(path, ".zip"))
		err = list_zip(f, path, "", why);
	else
		err = fail(why, ERR_INVALID, "--data: %s: neither a folder nor a .zip", path);
	if (f->n)
		qsort(f->file, (size_t)f->n, sizeof *f->file, by_place);
	return err;
}

void eval_files_close(struct eval_files *f)
{
	for (int i = 0; i < f->n; i++) {
		free(f->file[i].name);
		free(f->file[i].path);
		free(f->file[i].archive);
	}
	free(f->file);
	free(f->root);
	*f = (struct eval_files){0};
}

bool eval_file_is(const struct eval_file *f, const char *end)
{
	size_t n = strlen(f->path), m = strlen(end);

	return n > m && f->path[n - m - 1] == '/' && !strcmp(f->path + n - m, end);
}

bool eval_file_below(const struct eval_file *f, const char *word)
{
	const char *name = strrchr(f->path, '/');
	size_t m = strlen(word);

	for (const char *p = f->path; p + m <= name; p++)
		if (!strncasecmp(p, word, m))
			return true;
	return false;
}

static void fail_entry(const struct eval_file *f, zip_error_t *e, struct why *why)
{
	const char *text = zip_error_strerror(e);

	if (zip_error_code_zip(e) == ZIP_ER_OK)
		text = "it has other bytes than the archive says; download the archive again";
	else if (zip_error_code_zip(e) == ZIP_ER_NOPASSWD)
		text = "it is encrypted; unpack the archive yourself";
	fail(why, ERR_FORMAT, "%s: %s", f->name, text);
}

static int read_entry(const struct eval_file *f, zip_t *z, char **bytes, size_t *len, struct why *why)
{
	zip_stat_t s;
	zip_file_t *in = NULL;
	zip_int64_t got = -1;

	if (zip_stat_index(z, f->entry, 0, &s) || !(s.valid & ZIP_STAT_SIZE))
		return fail(why, ERR_FORMAT, "%s: %s", f->name, zip_strerror(z));
	if (s.size > MOST_BYTES)
		return fail(why, ERR_LIMIT, "%s: more than %llu bytes", f->name, (unsigned long long)MOST_BYTES);
	in = zip_fopen_index(z, f->entry, 0);
	*bytes = xalloc(s.size + 1, 1);
	*len = s.size;
	if (in)
		got = zip_fread(in, *bytes, s.size);
	if (got >= 0 && (uint64_t)got == s.size && !zip_fread(in, &(char){0}, 1)) { /* the sum is checked at the end */
		if (!zip_fclose(in))
			return 0;
		in = NULL;
	}
	fail_entry(f, in ? zip_file_get_error(in) : zip_get_error(z), why);
	if (in)
		zip_fclose(in);
	free(*bytes);
	*bytes = NULL;
	return ERR_FORMAT;
}

/* The archive that was read last stays open, since a benchmark reads a hundred entries of one. */
static zip_t *kept;
static char *kept_path;

static void close_kept(void)
{
	if (kept)
		zip_discard(kept);
	free(kept_path);
	kept = NULL;
	kept_path = NULL;
}

int eval_file_read(const struct eval_file *f, char **bytes, size_t *len, struct why *why)
{
	int err;

	*bytes = NULL;
	if (!f->archive)
		return file_read(f->name, MOST_BYTES, bytes, len, why);
	if (!kept_path || strcmp(kept_path, f->archive)) {
		close_kept();
		err = open_zip(&kept, f->archive, why);
		if (err)
			return err;
		kept_path = xstrdup(f->archive);
		atexit(close_kept);
	}
	return read_entry(f, kept, bytes, len, why);
}

void eval_sha256(const char *bytes, size_t len, char hex[65])
{
	struct sha256_ctx c;
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_init(&c);
	sha256_update(&c, len, (const uint8_t *)bytes);
	sha256_digest(&c, sizeof digest, digest);
	for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
