/*
 * peak_memory.h - how much memory this process took at most.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_PEAK_MEMORY_H
#define RUNNER_PEAK_MEMORY_H

#include "em.h"

/*
 * Peak resident set in bytes (VmHWM of /proc/self/status), mapped weights that were read included; 0 where it is not
 * known.
 */
em_u64 peak_rss_bytes(void);

#endif /* RUNNER_PEAK_MEMORY_H */
