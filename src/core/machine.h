/* The machine and the program: clock, CPU features and instruction set level, memory, versions. */
#ifndef WS_CORE_MACHINE_H
#define WS_CORE_MACHINE_H

#include <stdint.h>
#include "error.h"

double ws_clock_seconds(void);       /* monotonic */
double ws_cpu_seconds(void);         /* user + system time of this process */
uint64_t ws_peak_memory_bytes(void); /* peak resident set of this process */

/* Instruction set levels of our kernels, chosen by CPUID feature bits (never by model number). Each has all of those before it. AMX
 * differs from AVX-512 in products of bfloat16 factors alone: everything else gives the same bits at both. */
typedef enum ws_isa { WS_ISA_PORTABLE, WS_ISA_AVX2, WS_ISA_AVX512, WS_ISA_AMX, WS_ISA_COUNT } ws_isa;
extern const char *const ws_isa_names[WS_ISA_COUNT]; /* "portable" "avx2" "avx512" "amx" */
ws_isa ws_isa_detect(void);                          /* best this CPU and operating system can run */
ws_isa ws_isa_active(void);                          /* the level in use: detected, or lowered by ws_isa_pin */
/* Lowers the level for this process. Must come before OpenBLAS is loaded with another core type, so the program
 * executes itself again with OPENBLAS_CORETYPE set when needed (see ws_isa_reexec). Error where the CPU cannot run
 * `isa`. */
WS_MUST ws_err ws_isa_pin(ws_isa isa);
/* Called first in main: makes OpenBLAS use the kernels of level `isa` (Nehalem, Haswell, SkylakeX), whatever it would
 * guess from the CPU's model number, by setting OPENBLAS_CORETYPE and executing the program again once. Returns when in
 * place. */
void ws_isa_reexec(ws_isa isa, char **argv);

const char *ws_version(void);      /* "0.1.0" */
const char *ws_program_hash(void); /* SHA-256 (hex) of the running executable; "" where it cannot be read */

#endif
