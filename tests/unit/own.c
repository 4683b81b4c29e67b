/* Files that we write where others may make names, too. */
#include "base/file/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

enum { STRANGER = 64242 };

static char dir[64], path[128], other[128];

/* A folder such as /tmp with a file of ours in it. */
static void setup(void)
{
	int fd;

	strcpy(dir, "/tmp/xv-own-XXXXXX");
	CHECK(mkdtemp(dir));
	CHECK_EQ(chmod(dir, 01777), 0);
	snprintf(path, sizeof path, "%s/name", dir);
	snprintf(other, sizeof other, "%s/ours", dir);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	CHECK_EQ(write(fd, "ours", 4), 4);
	close(fd);
}

static void cleanup(void)
{
	unlink(path), unlink(other);
	CHECK_EQ(rmdir(dir), 0);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? -1 : st.st_size;
}

TEST(what_a_killed_process_left_aside_goes)
{
	static const char *const stays[] = {"name",
					    "name.0123456789abcde",
					    "name.0123456789abcdef0",
					    "name.0123456789abcdeg",
					    "other.0123456789abcdef",
					    "name.0123456789abcdef.part"};
	char *aside, one[160];
	int n = (int)(sizeof stays / sizeof *stays);

	setup();
	for (int i = 0; i < n; i++) {
		snprintf(one, sizeof one, "%s/%s", dir, stays[i]);
		close(open(one, O_WRONLY | O_CREAT, 0600));
	}
	close(file_create_aside(path, 0644, &aside));
	snprintf(one, sizeof one, "%s/name.fedcba9876543210", dir);
	CHECK_EQ(symlink("ours", one), 0);
	file_remove_asides(path);
	CHECK_EQ(size_of(aside), -1);
	CHECK(size_of(one) >= 0); /* a link is none of them */
	unlink(one);
	for (int i = 0; i < n; i++) {
		snprintf(one, sizeof one, "%s/%s", dir, stays[i]);
		CHECK_EQ(unlink(one), 0);
	}
	file_remove_asides("/nonexistent/x");
	free(aside);
	cleanup();
}

TEST(places_that_take_no_files)
{
	char in[160];

	setup();
	CHECK_EQ(file_place_error(path), 0);
	CHECK_EQ(file_place_error(other), 0);
	CHECK_EQ(file_place_error(dir), EISDIR);
	snprintf(in, sizeof in, "%s/none/x", dir);
	CHECK_EQ(file_place_error(in), ENOENT);
	snprintf(in, sizeof in, "%s/x", other);
	CHECK_EQ(file_place_error(in), ENOTDIR);
	CHECK_EQ(file_place_error("name"), 0);
	cleanup();
}

TEST(a_new_file_is_new)
{
	char *first, *second;
	int a, b;

	setup();
	a = file_create_aside(path, 0644, &first);
	b = file_create_aside(path, 0600, &second);
	CHECK(a >= 0 && b >= 0 && strcmp(first, second));
	CHECK(file_trusted(b));
	fchmod(b, 0622);
	CHECK(!file_trusted(b));
	close(a), close(b), unlink(first), unlink(second), free(first), free(second);
	CHECK_EQ(file_create_aside("/nonexistent/x", 0644, &first), -1);
	CHECK_EQ(errno, ENOENT);
	cleanup();
}

TEST(what_a_link_stands_for)
{
	char *at;

	setup();
	at = file_behind(path);
	CHECK_STR(at, path);
	free(at);
	CHECK_EQ(symlink("ours", path), 0);
	for (int there = 1; there >= 0; there--) {
		at = file_behind(path);
		CHECK_STR(at, other);
		free(at);
		unlink(other);
	}
	unlink(path);
	CHECK_EQ(symlink(path, path), 0); /* a circle ends */
	at = file_behind(path);
	CHECK_STR(at, path);
	free(at);
	cleanup();
}

TEST(a_link_of_another_user_is_none)
{
	char *at;

	if (geteuid() != 0)
		SKIP("root is needed to be somebody else");
	setup();
	CHECK_EQ(symlink(other, path), 0);
	CHECK_EQ(lchown(path, STRANGER, STRANGER), 0);
	at = file_behind(path);
	CHECK_STR(at, path);
	free(at);
	cleanup();
}

TEST(lines_go_to_a_file_of_ours)
{
	int fd;

	setup();
	CHECK_EQ(file_append_check(path), 0);
	CHECK_EQ(size_of(path), -1); /* which makes nothing */
	fd = file_append(path);
	CHECK_EQ(write(fd, "one\n", 4), 4);
	CHECK_EQ(file_append_check(path), 0);
	CHECK_EQ(file_append_check(dir), EISDIR);
	CHECK_EQ(file_append_check("/nonexistent/x"), ENOENT);
	close(fd);
	fd = file_append(path);
	CHECK_EQ(write(fd, "two\n", 4), 4);
	close(fd);
	CHECK_EQ(size_of(path), 8);
	unlink(path);
	CHECK_EQ(symlink(other, path), 0);
	fd = file_append(path); /* a link of our own */
	CHECK(fd >= 0);
	close(fd);
	cleanup();
}

TEST(a_strangers_link_or_file_is_refused)
{
	int fd;

	if (geteuid())
		SKIP("only root can make another user's files");
	setup();
	CHECK_EQ(symlink(other, path), 0);
	CHECK_EQ(lchown(path, STRANGER, STRANGER), 0);
	CHECK_EQ(file_append(path), -1);
	CHECK_EQ(errno, ELOOP);
	CHECK_EQ(file_append_check(path), ELOOP);
	CHECK_EQ(size_of(other), 4);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT, 0666);
	CHECK(fd >= 0 && !fchown(fd, STRANGER, STRANGER));
	CHECK(!file_trusted(fd));
	close(fd);
	CHECK_EQ(file_append(path), -1);
	CHECK_EQ(errno, EPERM);
	CHECK_EQ(file_append_check(path), EPERM);
	cleanup();
}

TEST(a_pipe_without_a_reader_does_not_hang)
{
	setup();
	CHECK_EQ(mkfifo(path, 0600), 0);
	CHECK_EQ(file_append(path), -1);
	CHECK_EQ(errno, ENXIO);
	cleanup();
}

CHECK_MAIN()
