/* rope.h - cos and sin of rotary positions, with the same bits on every machine: of libm it uses fma alone, which is
 * exact. Frequencies and angles are f32, as transformers computes them (modeling_rope_utils: default, linear, llama3,
 * yarn, dynamic, longrope).
 */
#ifndef ENGINE_MODELS_ROPE_H
#define ENGINE_MODELS_ROPE_H

#include "engine/models/config.h"

/* inv_freq (n_rot / 2), n_rot = model_n_rot(c). positions: those that the tables will have, which fix the base of
 * dynamic scaling and the factors of longrope. */
void rope_frequencies(const struct model_config *c, int positions, float *inv_freq);
/* cos, sin (positions, n_rot / 2) */
void rope_tables(const struct model_config *c, int positions, float *cos, float *sin);

/* Double precision, error below 1e-15 for |x| < 1e7. */
void rope_sincos(double x, double *sin, double *cos);
/* base > 0; relative error below 1e-14 for results up to 1e6. */
double rope_pow(double base, double exponent);
double rope_log(double x); /* x > 0; relative error below 1e-15 except near x = 1 */

#endif
