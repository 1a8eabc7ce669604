/*
 * em_cache.h - kernel set "portable": the KV cache as rows of int8.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#include "em_cache_rows.h"

#endif /* EM_CACHE_H */
