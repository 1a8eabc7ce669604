/*
 * em_vectors.h - kernel set "neon": vectors between matrices, strip by strip.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_VECTORS_H
#define EM_VECTORS_H

#include "em_vectors_by_strip.h"

#endif /* EM_VECTORS_H */
