/* Every public header compiles on its own terms and together with the others. */
#include "engine/backend.h"
#include "engine/blocks.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/kv.h"
#include "engine/model.h"
#include "engine/pick.h"
#include "engine/sched.h"
#include "engine/step.h"
#include "engine/tensor.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weight.h"
#include "parallel/board.h"
#include "parallel/comm.h"
#include "parallel/wait.h"
#include "parallel/window.h"
#include "parallel/world.h"
#include "rpc/client/xverse.h"
#include "rpc/frame.h"
#include "rpc/server.h"
#include "tests/check.h"

TEST(wire_codes_are_the_error_list)
{
	CHECK_EQ(-ERR_BUSY, 4);
	CHECK_EQ(-ERR_INTERNAL, 16);
}

CHECK_MAIN()
