/* base/file: what is no ordinary file is refused by name, at once. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file/file.h"
#include "tests/check.h"

static char dir[] = "/tmp/xv-file-XXXXXX";

static const char *at(const char *name)
{
	static char path[300];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

__attribute__((constructor)) static void enter(void)
{
	alarm(60); /* a reader that hangs ends the test */
	if (!mkdtemp(dir))
		abort();
}

__attribute__((destructor)) static void leave(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	if (system(command))
		abort();
}

static void make(const char *name, const void *data, size_t n)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
}

static void check_refused(const char *path, uint64_t most, int err, const char *part)
{
	struct why why = {""};
	char *bytes = NULL;
	size_t len;

	CHECK_EQ(file_read(path, most, &bytes, &len, &why), err);
	CHECK(!bytes);
	CHECK_HAS(why.text, path);
	CHECK_HAS(why.text, part);
}

TEST(reads_all)
{
	struct why why;
	char *bytes;
	size_t len;

	make("whole", "a\0b", 3);
	CHECK_EQ(file_read(at("whole"), 3, &bytes, &len, &why), 0);
	CHECK(len == 3 && !memcmp(bytes, "a\0b", 4));
	free(bytes);
	make("empty", "", 0);
	CHECK_EQ(file_read(at("empty"), 3, &bytes, &len, &why), 0);
	CHECK(bytes && len == 0);
	free(bytes);
}

TEST(limits)
{
	make("long", "abcd", 4);
	check_refused(at("long"), 3, ERR_LIMIT, "4 bytes; at most 3");
	CHECK(!truncate(at("long"), (off_t)1 << 40));
	check_refused(at("long"), FILE_TOKENIZER, ERR_LIMIT, "bytes; at most");
}

TEST(what_is_no_file)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(!mkfifo(at("fifo"), 0600));
	check_refused(at("fifo"), 100, ERR_IO, "a named pipe");
	CHECK(!mkdir(at("folder"), 0700));
	check_refused(at("folder"), 100, ERR_IO, "a directory");
	check_refused("/dev/zero", 100, ERR_IO, "a device");
	snprintf(addr.sun_path, sizeof addr.sun_path, "%.100s", at("socket"));
	CHECK(s >= 0 && !bind(s, (struct sockaddr *)&addr, sizeof addr));
	check_refused(at("socket"), 100, ERR_IO, "a socket");
	close(s);
	check_refused(at("absent"), 100, ERR_UNKNOWN, "No such file");
	CHECK(!symlink("absent", at("link")));
	check_refused(at("link"), 100, ERR_IO, "a symbolic link");
	CHECK(!symlink("fifo", at("link2")));
	check_refused(at("link2"), 100, ERR_IO, "a named pipe");
	CHECK(!symlink("loop", at("loop")));
	check_refused(at("loop"), 100, ERR_IO, "symbolic links");
}

TEST(no_permission)
{
	make("secret", "x", 1);
	CHECK(!chmod(at("secret"), 0));
	if (geteuid()) {
		check_refused(at("secret"), 100, ERR_IO, "no permission");
		return;
	}
	CHECK(!chmod(dir, 0711));
	CHECK(!seteuid(65534));
	check_refused(at("secret"), 100, ERR_IO, "no permission");
	CHECK(!seteuid(0));
}

/* Which part of a path is at fault, and what may have been meant. */
TEST(reasons)
{
	make("limits.conf", "x", 1);
	check_refused(at("limit.conf"), 100, ERR_UNKNOWN, "No such file or directory; did you mean limits.conf?");
	check_refused(at("none/of/it"), 100, ERR_UNKNOWN, "/none does not exist");
	check_refused(at("limits.conf/it"), 100, ERR_UNKNOWN, "/limits.conf is a file");
	CHECK_STR(file_error(at("nothing like it"), ENOENT), strerror(ENOENT));
	CHECK_STR(file_error("", ENOENT), "the name is empty");
	CHECK_STR(file_error(at("limits.conf"), ENOTDIR), "this is no folder");
	CHECK_STR(file_error(at("none"), ENOSPC), strerror(ENOSPC));
	CHECK_HAS(file_error("none/of/it", ENOENT), "; the folder none does not exist");
	CHECK(!mkdir(at("shut"), 0755));
	if (geteuid())
		return;
	CHECK(!chmod(dir, 0711));
	CHECK(!seteuid(65534));
	CHECK_HAS(file_error(at("shut/new"), EACCES), "no permission to write in the folder");
	CHECK(!seteuid(0));
	CHECK(!chmod(at("shut"), 0700));
	CHECK(!seteuid(65534));
	CHECK_HAS(file_error(at("shut/any"), EACCES), "no permission to enter the folder");
	CHECK(!seteuid(0));
}

TEST(disguises)
{
	static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
	static const char *const pages[] = {"<!DOCTYPE html><html>", "\n  <html lang=\"en\">",
					    "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"};

	make("pointer", lfs, sizeof lfs - 1);
	check_refused(at("pointer"), 1000, ERR_FORMAT, "Git LFS pointer");
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		make("page", pages[i], strlen(pages[i]));
		check_refused(at("page"), 1000, ERR_FORMAT, "a page of a web server");
	}
	CHECK(!file_disguise("{\"a\": \"<html>\"}", 14));
}

CHECK_MAIN()
