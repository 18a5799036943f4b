/* Energy that the machine has used between two moments, from the counters of its processors (RAPL, as Linux shows them under
 * /sys/class/powercap) and of its GPUs (NVML). A machine whose counters are missing or may not be read has no number, never 0.
 *
 * A counter of a processor begins anew every few minutes under load, so a thread reads them once in a while. What else the machine
 * does in that time is in the numbers too. */
#ifndef WS_CORE_ENERGY_H
#define WS_CORE_ENERGY_H

#include <stdbool.h>
#include "error.h"

typedef struct ws_energy_meter ws_energy_meter;

/* Begins to count. processors: those of the machine; gpu: one of the visible GPUs too (CUDA_VISIBLE_DEVICES), by its place among them;
 * -1: none. What is not asked for is NaN. */
WS_MUST ws_err ws_energy_start(ws_energy_meter **out, bool processors, int gpu);
/* Joules since then, NaN where they cannot be told; processors: packages, and memory where it has a counter of its own. */
void ws_energy_read(ws_energy_meter *meter, double *processors, double *gpu);
void ws_energy_stop(ws_energy_meter **meter);

/* Seconds of all cores together in which the machine did something; NaN where /proc/stat does not tell. */
double ws_machine_busy_seconds(void);

#endif
