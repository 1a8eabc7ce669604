/*
 * peak_memory.c - reads /proc/self/status.
 * SPDX-License-Identifier: MIT-0
 */
#include "peak_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

em_u64 peak_rss_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    em_u64 bytes = 0;
    char line[256];

    if (status == NULL) {
        return 0;
    }
    while (fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            bytes = strtoull(line + 6, NULL, 10) * 1024; /* it says kB and means KiB */
            break;
        }
    }
    fclose(status);
    return bytes;
}
