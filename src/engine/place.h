/* place: where an executor runs: the CPU at the active instruction set level, or one CUDA device with its queue.
 *
 * Parameters, gradients and moments given to an executor must be memory of its place; on the CPU that is any memory.
 * The functions of engine.h without a place work on the CPU.
 */
#ifndef WS_ENGINE_PLACE_H
#define WS_ENGINE_PLACE_H

#include "arguments.h"
#include "device.h"
#include "engine/engine.h"

typedef enum ws_backend { WS_CPU, WS_CUDA } ws_backend;

/* All kernels of one instruction set level, or of CUDA. */
typedef struct ws_kernels {
#define OP(name)                                                                                                       \
    void (*name##_forward)(const ws_##name##_arguments *arguments, void *queue);                                       \
    void (*name##_backward)(const ws_##name##_arguments *arguments, void *queue);
#include "engine/ops.def"
#undef OP
#define WS_PLAIN(name) void (*name)(const ws_##name##_arguments *arguments, void *queue);
    WS_PLAIN_KERNELS(WS_PLAIN)
#undef WS_PLAIN
} ws_kernels;

typedef struct ws_place {
    ws_backend backend;
    const ws_device *device;
    const ws_kernels *kernels;
    void *queue;
} ws_place;

/* WS_E_UNSUPPORTED for WS_CUDA in a build without it. index: of the device among those of its kind, 0 on the CPU. */
WS_MUST ws_err ws_place_open(ws_place *out, ws_backend backend, int index);
void ws_place_close(ws_place *place);
/* Kernels of one level; NULL where this build has none (avx levels on other processors). */
const ws_kernels *ws_kernels_of(ws_isa isa);
const ws_kernels *ws_kernels_of_cuda(void); /* NULL in a build without CUDA */
/* The CPU at the active instruction set level, with BLAS set to one thread. Nothing to close. */
ws_place ws_place_cpu(void);

/* count reals, zeroed. */
WS_MUST ws_err ws_place_allocate(const ws_place *place, ws_real **out, size_t count);
void ws_place_release(const ws_place *place, ws_real **memory);
void ws_place_upload(const ws_place *place, ws_real *device, const ws_real *host, size_t count);
/* Waits; host holds the values afterwards. */
WS_MUST ws_err ws_place_download(const ws_place *place, ws_real *host, const ws_real *device, size_t count);
WS_MUST ws_err ws_place_wait(const ws_place *place);

/* An executor in a place; the place must outlive it. Inputs and outputs are host memory: forward copies them. */
WS_MUST ws_err ws_executor_create_at(ws_executor **out, const ws_plan *plan, const ws_place *place);
/* Waits for the executor's work; reports a device's fault. Outputs and loss are valid afterwards. */
WS_MUST ws_err ws_executor_wait(ws_executor *executor);

void ws_adamw_step_at(const ws_place *place, const ws_plan *plan, const ws_adamw *options, double learning_rate,
                      double scale, uint64_t step, ws_real *parameters, const ws_real *gradients, ws_real *first_moment,
                      ws_real *second_moment);
WS_MUST ws_err ws_gradient_norm_at(const ws_place *place, const ws_real *gradients, size_t extent, double *out);
void ws_ema_step_at(const ws_place *place, double decay, ws_real *average, const ws_real *parameters, size_t extent);
void ws_accumulate_at(const ws_place *place, ws_real *sum, const ws_real *value, size_t count);

#endif
