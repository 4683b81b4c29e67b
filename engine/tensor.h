/* tensor.h - a row-major matrix in the backend's memory. A view: it never owns `data`. */
#ifndef ENGINE_TENSOR_H
#define ENGINE_TENSOR_H

#include "parallel/base.h"

struct tensor {
	void *data; /* (rows, cols), rows contiguous */
	enum dtype type;
	int rows, cols;
};

static inline struct tensor tensor_of(void *data, enum dtype type, int rows, int cols)
{
	return (struct tensor){.data = data, .type = type, .rows = rows, .cols = cols};
}

#endif
