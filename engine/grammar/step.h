/* step.h - where a byte leads, without a call where it was looked up before. */
#ifndef ENGINE_GRAMMAR_STEP_H
#define ENGINE_GRAMMAR_STEP_H

#include "engine/grammar/inside.h"

static inline int32_t pool_to(struct pool *p, int32_t state, uint8_t byte)
{
	const struct state *s = &p->state[state];
	int32_t to = s->row < 0 ? STATE_UNKNOWN : p->row[s->row + s->grammar->class_of[byte]];

	return to == STATE_UNKNOWN ? pool_step(p, state, byte) : to;
}

#endif
