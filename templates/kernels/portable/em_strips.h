/*
 * em_strips.h - kernel set "portable": strips of values by plain loops.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_STRIPS_H
#define EM_STRIPS_H

#include "em_plain_strips.h"

#endif /* EM_STRIPS_H */
