/* methods.h - between the two files of methods. */
#ifndef ENGINE_TEMPLATE_METHODS_H
#define ENGINE_TEMPLATE_METHODS_H

#include "engine/template/inside.h"

const struct method *str_method_find(const struct str *name);

#endif
