/* Clock, memory, instruction set level, program identity. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#if defined(WS_HAVE_AMX)
#include <cpuid.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#endif
#include "hash.h"

const char *const ws_isa_names[WS_ISA_COUNT] = {"portable", "avx2", "avx512", "amx"};
/* OpenBLAS core types that use no more than the level's instructions. */
static const char *const blas_cores[WS_ISA_COUNT] = {"Nehalem", "Haswell", "SkylakeX", "SkylakeX"};

double ws_clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double ws_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

uint64_t ws_peak_memory_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

#if defined(WS_HAVE_AMX)
/* Tiles are of use where the CPU has them with products of bfloat16, the operating system saves them, and it lets this process use
 * them, which it wants to be asked for (their state makes every signal frame larger). */
static bool ask_for_tiles(void)
{
    enum { BFLOAT16 = 1 << 22, TILES = 1 << 24, STATE = 3 << 17, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, features, low, high;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &features) || (features & (BFLOAT16 | TILES)) != (BFLOAT16 | TILES))
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & STATE) == STATE && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static bool has_tiles(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_int known = UNKNOWN;
    int answer = atomic_load(&known);
    if (answer == UNKNOWN) {
        answer = ask_for_tiles() ? YES : NO; /* whoever asks too hears the same */
        atomic_store(&known, answer);
    }
    return answer == YES;
}
#elif defined(__x86_64__)
static bool has_tiles(void)
{
    return false;
}
#endif

ws_isa ws_isa_detect(void)
{
#if defined(__x86_64__)
    /* GCC's test covers the operating system's part (XGETBV) too. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return has_tiles() ? WS_ISA_AMX : WS_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return WS_ISA_AVX2;
#endif
    return WS_ISA_PORTABLE;
}

static int pinned = -1;

ws_isa ws_isa_active(void)
{
    return pinned >= 0 ? (ws_isa)pinned : ws_isa_detect();
}

ws_err ws_isa_pin(ws_isa isa)
{
    WS_CHECK(isa <= ws_isa_detect(), UNSUPPORTED, "this CPU has no %s (it has %s)", ws_isa_names[isa],
             ws_isa_names[ws_isa_detect()]);
    pinned = (int)isa;
    return WS_OK;
}

void ws_isa_reexec(ws_isa isa, char **argv)
{
#if defined(__x86_64__)
    const char *set = getenv("OPENBLAS_CORETYPE");
    if (set && strcmp(set, blas_cores[isa]) == 0)
        return;
    setenv("OPENBLAS_CORETYPE", blas_cores[isa], 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* more are never used, and spin for a while where they are started */
    execv("/proc/self/exe", argv); /* when this fails, OpenBLAS's own choice stays; doctor and records show it */
#else
    (void)argv;
    (void)isa;
#endif
}

const char *ws_version(void)
{
    return WS_VERSION;
}

const char *ws_program_hash(void)
{
    static char hex[65];
    ws_digest digest;
    if (!hex[0] && ws_sha256_file("/proc/self/exe", &digest) == WS_OK)
        ws_digest_hex(&digest, hex);
    return hex;
}
