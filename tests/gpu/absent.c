/* absent.c - what the programs of tests/gpu refer to and never call: they have neither MPI nor ranks that share a
 * device. A call says so, where a linker that ignores missing functions would leave a jump to address 0. */
#include "base/base.h"
#include "parallel/comm.h"

struct comm *comm_host_create(struct world *w, const struct comm_limits *limits)
{
	(void)w, (void)limits;
	die("this program has no communicator on the host");
}
