/* The data files of `xverse eval`: tables, JSON, lines, Python's literals, and archives of them. The first byte
 * chooses. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/files.h"
#include "rpc/cli/eval/rows.h"
#include "tests/fuzz/fuzz.h"

/* Folders that are left out are named on standard error. */
void cli_say(const char *fmt, ...)
{
	(void)fmt;
}

static const char *const keys[] = {"question", "A", "options", "answer"};

static void look_at(struct eval_rows *t)
{
	int n = t->n;

	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
			size_t len;
			const char *text = eval_row_text(&t->row[i], keys[k], &len);
			const struct json *list = eval_row_list(t, &t->row[i], keys[k]);
			MUST(!text || text[len] == 0);
			for (size_t j = 0; list && j < json_size(list); j++)
				MUST(json_at(list, j));
		}
	MUST(t->n == n);
}

static void read_rows(const char *name, const char *bytes, size_t len, const char *columns, bool python)
{
	struct eval_rows t;
	struct why why = {""};
	int err = eval_rows_read(&t, name, bytes, len, columns, python, &why);

	if (err) {
		fuzz_refused(err, &why);
		MUST(!strncmp(why.text, name, strlen(name)));
	} else {
		look_at(&t);
	}
	eval_rows_free(&t);
}

static void read_zip(const uint8_t *data, size_t size)
{
	static char path[64];
	struct eval_files f;
	struct why why = {""};
	int fd, err;

	if (!*path)
		snprintf(path, sizeof path, "/dev/shm/xv-fuzz-%ld.zip", (long)getpid());
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size && !close(fd));
	err = eval_files_open(&f, path, &why);
	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < f.n && i < 8; i++) {
		char *bytes = NULL;
		size_t len = 0;
		int bad = eval_file_read(&f.file[i], &bytes, &len, &why);
		MUST(bad ? why.text[0] : bytes[len] == 0);
		if (!bad)
			read_rows(f.file[i].name, bytes, len, NULL, true);
		free(bytes);
	}
	eval_files_close(&f);
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes;

	fuzz_quiet();
	if (!size)
		return 0;
	bytes = malloc(size);
	MUST(bytes);
	memcpy(bytes, data + 1, size - 1);
	bytes[size - 1] = 0;
	switch (*data % 6) {
	case 0:
		read_rows("a.csv", bytes, size - 1, NULL, false);
		break;
	case 1:
		read_rows("a.csv", bytes, size - 1, "question,A,answer", false);
		break;
	case 2:
		read_rows("a.json", bytes, size - 1, NULL, false);
		break;
	case 3:
		read_rows("a.jsonl", bytes, size - 1, NULL, false);
		break;
	case 4:
		read_rows("a.jsonl", bytes, size - 1, NULL, true);
		break;
	default:
		read_zip(data + 1, size - 1);
	}
	free(bytes);
	return 0;
}
