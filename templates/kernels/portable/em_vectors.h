/*
 * em_vectors.h - kernel set "portable": vectors between matrices, value by value.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_VECTORS_H
#define EM_VECTORS_H

#include "em_vectors_by_value.h"

#endif /* EM_VECTORS_H */
