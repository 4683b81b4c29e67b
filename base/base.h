/* base.h - what nearly every file needs. New code may include the single headers instead. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/effort.h"
#include "base/error.h"
#include "base/exit.h"
#include "base/log.h"
#include "base/mapped.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/range.h"
#include "base/stdio.h"

#endif
