/* fpmode.h - subnormals count as zero (FTZ and DAZ), in and out, while partial sums are combined.
 *
 * Every class of numerics runs so (pairs of bf16 products are defined that way); compute threads set it once.
 */
#ifndef BASE_FPMODE_H
#define BASE_FPMODE_H

/* Sets the mode for this thread; returns what fpmode_restore() takes back. */
static inline unsigned fpmode_flush(void)
{
#if defined(__SSE2__)
	unsigned old = __builtin_ia32_stmxcsr();

	__builtin_ia32_ldmxcsr(old | 0x8040);
	return old;
#else
	return 0;
#endif
}

static inline void fpmode_restore(unsigned old)
{
#if defined(__SSE2__)
	__builtin_ia32_ldmxcsr(old);
#else
	(void)old;
#endif
}

#endif
