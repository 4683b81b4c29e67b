/* methods.h - private to the files of methods. */
#ifndef ENGINE_TEMPLATE_METHODS_H
#define ENGINE_TEMPLATE_METHODS_H

#include "engine/template/inside.h"

const struct method *str_method_find(const struct str *name);
const struct method *str_method_more_find(const struct str *name);
const struct method *format_method_find(const struct str *name);

/* Returns argument i as a position among n, counted from the end if negative; `none` if it is not given. */
int64_t bound_arg(struct rendering *r, struct args *args, int i, int64_t none, int64_t n);

#endif
