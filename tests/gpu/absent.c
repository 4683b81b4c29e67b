/* absent.c - what the programs of tests/gpu refer to and never call: they have neither MPI nor ranks that share a
 * device, and read no adapters. A call says so, where a linker that ignores missing functions would leave a jump to
 * address 0. */
#include "base/base.h"
#include "engine/lora/adapter.h"
#include "parallel/comm.h"

struct comm *comm_host_create(struct world *w, const struct comm_limits *limits)
{
	(void)w, (void)limits;
	die("this program has no communicator on the host");
}

static const char no_adapters[] = "this program reads no adapters";

int adapter_open(struct adapter **out, const char *dir, struct why *why)
{
	(void)out, (void)dir, (void)why;
	die("%s", no_adapters);
}

void adapter_close(struct adapter *a)
{
	if (a)
		die("%s", no_adapters);
}

const struct adapter_module *adapter_find(const struct adapter *a, const char *name)
{
	(void)a, (void)name;
	die("%s", no_adapters);
}

int adapter_read(const struct adapter *a, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		 int64_t cols, float *out, struct why *why)
{
	(void)a, (void)t, (void)row, (void)rows, (void)col, (void)cols, (void)out, (void)why;
	die("%s", no_adapters);
}
