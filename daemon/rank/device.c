#include "daemon/rank/device.h"

#include "daemon/rank/device_cpu.h"
#include "daemon/rank/device_cuda.h"
#include "parallel/agree.h"

/* A plan is of one process, which stands for all ranks. */
static int try_cuda(struct rank *self, bool asked, struct why *why)
{
	int err = ERR_UNKNOWN;

	if (asked || device_cuda_worth_trying())
		err = device_cuda_use(self, why);
	if (self->opt->dry_run)
		return err;
	err = world_agree(self->world, err, why);
	if (!err)
		device_cuda_count_sharers(self);
	return err;
}

int device_choose(struct rank *self, struct why *why)
{
	bool asked = self->opt->device == DEVICE_CUDA || self->opt->device_memory;
	struct why reason = {"no NVIDIA driver is installed"};
	int err;

	if (self->opt->device == DEVICE_CPU)
		return device_cpu_use(self, why);
	err = try_cuda(self, asked, &reason);
	if (!err)
		return 0;
	self->device = (struct device){0};
	if (asked)
		return fail(why, err, "%s", reason.text);
	if (self->world->rank == 0 && !self->opt->dry_run)
		log_at(LOG_INFO, "computing on the CPU: %s", reason.text);
	return device_cpu_use(self, why);
}
