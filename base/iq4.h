/* iq4.h - the 16 levels that 4-bit numbers of ggml's non-linear types stand for (kvalues_iq4nl of ggml-common.h). */
#ifndef BASE_IQ4_H
#define BASE_IQ4_H

#define IQ4_LEVELS -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113

#endif
