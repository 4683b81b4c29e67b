/* The journal of long runs: cut at every byte, damaged, killed, without room, with two writers. */
#include "rpc/cli/journal.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mix.h"
#include "tests/check.h"

enum { ITEMS = 24 };
static struct why why;
static char path[64], final_path[80];
static const char head[] = "{\"model\":\"m\",\"shots\":5}";

static void place(void)
{
	/* in memory where there is such a folder: some thousand syncs */
	snprintf(path, sizeof path, "%s/xv-journal-%d", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(final_path, sizeof final_path, "%s.final", path);
	unlink(path);
	unlink(final_path);
}

static struct journal *open_it(bool resume)
{
	struct journal_options how = {.path = path, .head = head, .resume = resume, .sync_ms = -1};
	struct journal *j;

	if (journal_open(&j, &how, &why))
		CHECK_FAIL("%s", why.text);
	return j;
}

/* Of different lengths, some with text that looks like the journal's own. */
static int result(uint64_t item, char out[256])
{
	static const char *const texts[] = {"", "\\n", "{\\\"n\\\":3,\\\"sum\\\":\\\"0\\\",\\\"line\\\":}",
					    "\xe4\xbd\xa0"};

	return snprintf(out, 256, "{\"id\":\"q%d\",\"text\":\"%s\",\"x\":[%d,null]}", (int)item, texts[item % 4],
			(int)(item * item));
}

static void put(struct journal *j, uint64_t item)
{
	char line[256];
	int n = result(item, line);

	if (journal_put(j, item, line, (size_t)n, &why))
		CHECK_FAIL("%s", why.text);
}

static size_t slurp(const char *name, char **out)
{
	FILE *f = fopen(name, "r");
	size_t n;

	CHECK(f);
	*out = xalloc(1 << 20, 1);
	n = fread(*out, 1, (1 << 20) - 1, f);
	fclose(f);
	return n;
}

static void spit(const char *name, const char *bytes, size_t n)
{
	FILE *f = fopen(name, "w");

	CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
}

static void check_final(struct journal *j, uint64_t items)
{
	char *text, *at, line[260];

	CHECK_EQ(journal_final(j, final_path, &why), 0);
	slurp(final_path, &text);
	at = text;
	for (uint64_t i = 0; i < items; i++) {
		int n = result(i, line);
		strcpy(line + n, "\n");
		CHECK(!strncmp(at, line, (size_t)n + 1));
		at += n + 1;
	}
	CHECK(!*at);
	free(text);
	unlink(final_path);
}

/* Items in an order that is not theirs. */
static void fill(struct journal *j)
{
	for (uint64_t i = 0; i < ITEMS; i++)
		if (!journal_has(j, i * 7 % ITEMS))
			put(j, i * 7 % ITEMS);
}

TEST(results_come_back_in_order)
{
	struct journal *j;
	char *line, want[256];
	size_t n;

	place();
	j = open_it(false);
	fill(j);
	CHECK_EQ(journal_count(j), ITEMS);
	CHECK_EQ(journal_get(j, 9, &line, &n, &why), 0);
	CHECK_EQ(n, result(9, want));
	CHECK_STR(line, want);
	free(line);
	CHECK_EQ(journal_get(j, ITEMS, &line, &n, &why), ERR_UNKNOWN);
	check_final(j, ITEMS);
	journal_remove(j);
	CHECK(access(path, F_OK));
}

TEST(a_file_cut_at_any_byte_goes_on)
{
	struct journal *j;
	char *whole;
	size_t n;

	place();
	j = open_it(false);
	fill(j);
	journal_close(j);
	n = slurp(path, &whole);
	for (size_t cut = 0; cut <= n; cut++) {
		int lines = 0;
		for (size_t i = 0; i < cut; i++)
			lines += whole[i] == '\n';
		spit(path, whole, cut);
		j = open_it(true);
		CHECK_EQ(journal_count(j), lines ? lines - 1 : 0);
		fill(j);
		check_final(j, ITEMS);
		journal_close(j);
		j = open_it(true);
		CHECK_EQ(journal_count(j), ITEMS);
		journal_close(j);
	}
	free(whole);
}

static int open_with(const char *other_head, bool resume)
{
	struct journal_options how = {.path = path, .head = other_head, .resume = resume};
	struct journal *j;
	int err = journal_open(&j, &how, &why);

	journal_close(j);
	return err;
}

TEST(damage_is_named)
{
	struct journal *j;
	char *whole;
	size_t n, line = 0;

	place();
	j = open_it(false);
	fill(j);
	journal_close(j);
	n = slurp(path, &whole);
	for (size_t i = 0; i < n; i++) {
		char text[32], was = whole[i];
		/* in the last line, or in the end that joins another to it: what a kill may leave */
		bool last = i + 1 == n || !memchr(whole + i + (was == '\n'), '\n', n - i - 1 - (was == '\n'));
		whole[i] = was == 'z' ? 'y' : 'z';
		spit(path, whole, n);
		snprintf(text, sizeof text, "line %zu", line + 1);
		if (!last) {
			CHECK(open_with(head, true) < 0); /* the head: of another run, or no journal */
			if (line && was != '\n')
				CHECK_HAS(why.text, text);
		}
		whole[i] = was;
		line += was == '\n';
	}
	free(whole);
}

TEST(another_run_is_refused)
{
	struct journal *j;

	place();
	j = open_it(false);
	put(j, 0);
	journal_close(j);
	CHECK_EQ(open_with("{\"model\":\"m\",\"shots\":4}", true), ERR_MISMATCH);
	CHECK_HAS(why.text, "shots, which was 5");
	CHECK_EQ(open_with(head, false), ERR_INVALID);
	CHECK_HAS(why.text, "--resume");
	CHECK_EQ(open_with("{\n}", true), ERR_INVALID);
	spit(path, "a text\nof others\n", 17);
	CHECK_EQ(open_with(head, true), ERR_FORMAT);
}

TEST(each_item_once)
{
	struct journal *j;

	place();
	j = open_it(false);
	put(j, 3);
	CHECK_EQ(journal_put(j, 3, "{}", 2, &why), ERR_INVALID);
	CHECK_HAS(why.text, "item 3 has a result already");
	CHECK_EQ(journal_put(j, 4, "{\n}", 3, &why), ERR_INVALID);
	CHECK_EQ(journal_put(j, 4, "{", 1, &why), ERR_INVALID);
	CHECK_EQ(journal_put(j, UINT64_MAX, "{}", 2, &why), ERR_INVALID);
	CHECK_EQ(journal_count(j), 1);
	CHECK(!journal_has(j, 4));
	journal_remove(j);
}

TEST(one_writer)
{
	struct journal *j;
	pid_t child;
	int status;

	place();
	j = open_it(false);
	CHECK_EQ(open_with(head, true), ERR_BUSY);
	child = fork();
	if (!child)
		_exit(open_with(head, true) == ERR_BUSY ? 0 : 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	journal_close(j);
	CHECK_EQ(open_with(head, true), 0);
}

TEST(a_full_disk_keeps_what_was_there)
{
	struct rlimit limit, old;
	struct journal *j;
	uint64_t n = 0;
	char line[256];

	place();
	j = open_it(false);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){1000, old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
	while (!journal_put(j, n, line, (size_t)result(n, line), &why))
		n++;
	CHECK_HAS(why.text, "make room");
	CHECK_EQ(journal_put(j, n, line, (size_t)result(n, line), &why), ERR_LIMIT);
	CHECK(journal_final(j, final_path, &why) == 0); /* shorter than the journal */
	limit.rlim_cur = 100;
	setrlimit(RLIMIT_FSIZE, &limit);
	CHECK_EQ(journal_final(j, final_path, &why), ERR_LIMIT);
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK(n > 4 && n < ITEMS && journal_count(j) == n);
	journal_close(j);
	j = open_it(true);
	CHECK_EQ(journal_count(j), n);
	fill(j);
	check_final(j, ITEMS);
	journal_remove(j);
}

/* The parent kills the writer at random moments until one gets to the end; on a busy machine the first one may, and
 * then all begins anew. */
TEST(killed_at_random_moments)
{
	enum { MANY = 4000 };
	uint64_t random = 1;
	struct journal *j;
	int kills = 0, whole = 0, most = check_full ? 300 : 30;

	place();
	for (;;) {
		pid_t child = fork();
		int status;
		if (!child) {
			j = open_it(true);
			for (uint64_t i = 0; i < MANY; i++)
				if (!journal_has(j, i * 7 % MANY))
					put(j, i * 7 % MANY);
			_exit(0);
		}
		if (kills < most) {
			usleep((useconds_t)(mix_next(&random) % 3000));
			kill(child, SIGKILL);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		if (!status && (kills || ++whole == 100))
			break;
		if (!status)
			place();
		else
			CHECK(WIFSIGNALED(status));
		kills += status != 0;
	}
	j = open_it(true);
	CHECK_EQ(journal_count(j), MANY);
	check_final(j, MANY);
	journal_remove(j);
	CHECK(kills > 0);
}

CHECK_MAIN()
