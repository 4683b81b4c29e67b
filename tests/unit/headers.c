/* Every public header compiles on its own terms and together with the others. */
#include "engine/backend/backend.h"
#include "engine/sched/blocks.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/backend/kv.h"
#include "engine/models/model.h"
#include "engine/sample/sample.h"
#include "engine/sched/sched.h"
#include "engine/step.h"
#include "engine/backend/tensor.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/backend/weight.h"
#include "parallel/board.h"
#include "parallel/comm.h"
#include "base/wait.h"
#include "parallel/window.h"
#include "parallel/world.h"
#include "rpc/xverse.h"
#include "rpc/frame.h"
#include "rpc/server/server.h"
#include "tests/check.h"

TEST(wire_codes_are_the_error_list)
{
	CHECK_EQ(-ERR_BUSY, 4);
	CHECK_EQ(-ERR_INTERNAL, 16);
}

CHECK_MAIN()
