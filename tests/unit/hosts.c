/* Lists and files of hosts, and what batch systems say of theirs. */
#include "launch/hosts.h"

#include <unistd.h>

#include "tests/check.h"

static struct why why;

/* "a:4,b:4", or the error's text. */
static const char *listed(struct hosts *h, int err)
{
	static char out[4096];
	char *list = hosts_list(h);

	snprintf(out, sizeof out, "%s", err ? why.text : list);
	free(list);
	hosts_finish(h);
	return out;
}

static const char *parsed(const char *text)
{
	struct hosts h = {0};

	return listed(&h, hosts_parse(&h, text, &why));
}

static const char *file_of(const char *text)
{
	static char path[] = "/tmp/xv-hosts-XXXXXX";
	int fd;

	strcpy(path + sizeof path - 7, "XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd);
	return path;
}

static const char *read_back(const char *text)
{
	struct hosts h = {0};
	const char *path = file_of(text), *out;

	out = listed(&h, hosts_read(&h, path, HOSTS_SLOTTED, &why));
	unlink(path);
	return out;
}

static const char *const variables[] = {
	"SLURM_STEP_NODELIST",  "SLURM_JOB_NODELIST", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE",
	"SLURM_TASKS_PER_NODE", "SLURM_GPUS_ON_NODE", "PBS_NODEFILE", "LSB_DJOB_HOSTFILE",
	"OAR_NODEFILE",         "PE_HOSTFILE"};

/* NAME, VALUE, ..., NULL */
static const char *in_job(const char *const *set)
{
	struct hosts h = {0};

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	for (; *set; set += 2)
		setenv(set[0], set[1], 1);
	return listed(&h, hosts_of_job(&h, &why));
}
#define JOB(...) in_job((const char *const[]){__VA_ARGS__, NULL})

TEST(list)
{
	CHECK_STR(parsed("a"), "a:1");
	CHECK_STR(parsed("a:4,b:4"), "a:4,b:4");
	CHECK_STR(parsed("a:4,b,a:2,A"), "a:7,b:1");
	CHECK_STR(parsed("10.0.0.1:2,n-2.example.org:3"), "10.0.0.1:2,n-2.example.org:3");
	CHECK_HAS(parsed(""), "names no host");
	CHECK_HAS(parsed("a,,b"), "\"\" is no host's name");
	CHECK_HAS(parsed("a,"), "is no host's name");
	CHECK_HAS(parsed("a:0"), "within 1 to 4096");
	CHECK_HAS(parsed("a:-1"), "within 1 to 4096");
	CHECK_HAS(parsed("a:99999999999999999999"), "within 1 to 4096");
	CHECK_HAS(parsed("a:4096,a:1"), "on one");
	CHECK_HAS(parsed("a:4x"), "within");
	CHECK_HAS(parsed("-oProxyCommand=x:4"), "is no host's name");
	CHECK_HAS(parsed("a b:4"), "is no host's name");
	CHECK_HAS(parsed("$(id)"), "is no host's name");
}

TEST(file)
{
	CHECK_STR(read_back("# ours\na slots=4\n\n  b  slots=4 max_slots=9 # and this\nc\n"), "a:4,b:4,c:1");
	CHECK_STR(read_back("a:4\nb:2"), "a:4,b:2");
	CHECK_STR(read_back("a\nb\na\nb\na\n"), "a:3,b:2");
	CHECK_HAS(read_back("a\nb slot=3\n"), "line 2: \"slot=3\" is not understood");
	CHECK_HAS(read_back("a slots=x\n"), "line 1: host a");
	CHECK_HAS(read_back("\n# nothing\n"), "names no host");
	CHECK_HAS(read_back("a;b\n"), "line 1: \"a;b\" is no host's name");
	struct hosts h = {0};
	CHECK_EQ(hosts_read(&h, "/nonexistent", HOSTS_SLOTTED, &why), ERR_IO);
}

TEST(slurm)
{
	CHECK_STR(JOB("SLURM_JOB_NODELIST", "n1"), "n1:1");
	CHECK_STR(JOB("SLURM_JOB_NODELIST", "n[1-3]", "SLURM_TASKS_PER_NODE", "8(x3)"), "n1:1,n2:1,n3:1");
	CHECK_STR(JOB("SLURM_JOB_NODELIST", "n[1-3]", "SLURM_TASKS_PER_NODE", "2(x2),1", "SLURM_NTASKS", "5"),
		  "n1:2,n2:2,n3:1");
	CHECK_STR(JOB("SLURM_JOB_NODELIST", "a,b[08-10,12]-ib,c", "SLURM_GPUS_ON_NODE", "4"),
		  "a:4,b08-ib:4,b09-ib:4,b10-ib:4,b12-ib:4,c:4");
	CHECK_STR(JOB("SLURM_JOB_NODELIST", "n[1-3]", "SLURM_STEP_NODELIST", "n2"), "n2:1");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[3-1]"), "SLURM_JOB_NODELIST: \"3-1\" is no range");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[1-99999]"), "is no range");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[1-2]m[1-2]"), "brackets that are not understood");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[1-2"), "brackets that are not understood");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[]"), "is no range");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[1-3]", "SLURM_TASKS_PER_NODE", "2(x2)", "SLURM_NTASKS", "4"),
		  "of 3 nodes");
	CHECK_HAS(JOB("SLURM_JOB_NODELIST", "n[1-3]", "SLURM_TASKS_PER_NODE", "0(x3)", "SLURM_NTASKS", "4"),
		  "of 3 nodes");
}

TEST(other_schedulers)
{
	char pbs[64];

	CHECK_STR(JOB("HOSTS_NOTHING", ""), "");
	snprintf(pbs, sizeof pbs, "%s", file_of("node1\nnode1\nnode2\nnode2\n"));
	CHECK_STR(JOB("PBS_NODEFILE", pbs), "node1:2,node2:2");
	CHECK_STR(JOB("LSB_DJOB_HOSTFILE", pbs), "node1:2,node2:2");
	CHECK_STR(JOB("OAR_NODEFILE", pbs), "node1:1,node2:1");
	unlink(pbs);
	snprintf(pbs, sizeof pbs, "%s", file_of("node1 4 all.q@node1 UNDEFINED\nnode2 2 all.q@node2 0,1:0,2\n"));
	CHECK_STR(JOB("PE_HOSTFILE", pbs), "node1:1,node2:1");
	unlink(pbs);
	snprintf(pbs, sizeof pbs, "%s", file_of("node1 4 all.q\nnode;2 4 all.q\n"));
	CHECK_HAS(JOB("PE_HOSTFILE", pbs), "line 2: \"node;2\" is no host's name");
	unlink(pbs);
	CHECK_HAS(JOB("PBS_NODEFILE", pbs), "PBS_NODEFILE: /tmp/xv-hosts");
}

TEST(placement)
{
	struct hosts h = {0};
	char own[HOSTS_NAME] = "", *list;

	gethostname(own, sizeof own - 1);
	CHECK(hosts_is_here(own) && hosts_is_here("localhost") && hosts_is_here("127.0.0.1"));
	CHECK(!hosts_is_here("xv-no-such-host") && !hosts_is_here("192.0.2.1"));
	CHECK_EQ(hosts_parse(&h, "xv-a:2,xv-b:2,localhost:3", &why), 0);
	CHECK_EQ(hosts_here(&h), 2);
	hosts_first(&h, 2);
	CHECK_EQ(hosts_slots(&h), 7);
	hosts_take(&h, 4);
	list = hosts_list(&h);
	CHECK_STR(list, "localhost:3,xv-a:1");
	free(list);
	hosts_spread(&h, 5);
	list = hosts_names(&h);
	CHECK_STR(list, "localhost,xv-a");
	CHECK_EQ(h.at[0].slots * 10 + h.at[1].slots, 32);
	hosts_spread(&h, 1);
	CHECK_EQ(h.n * 10 + h.at[0].slots, 11);
	free(list);
	hosts_finish(&h);
}

CHECK_MAIN()
