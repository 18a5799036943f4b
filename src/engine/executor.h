/* The inside of an executor: for executor.c, and for pass.c, which runs its nodes. */
#ifndef WS_ENGINE_EXECUTOR_H
#define WS_ENGINE_EXECUTOR_H

#include "engine/plan.h"

/* A run of nodes with the same memory in every step: captured once, then replayed. */
typedef struct ws_pass {
    bool backward;
    size_t begin, end; /* nodes, backward from end - 1 down to begin */
    const ws_real *parameters;
    const uint16_t *rounded; /* parameters as bfloat16, or NULL */
    ws_real *gradients;
    uint64_t seed; /* of its random numbers; their step and first row lie in front of the inputs */
    bool active;
    ws_repeat repeat;
} ws_pass;

struct ws_executor {
    const ws_plan *plan;                /* borrowed */
    ws_place place;                     /* its queue is borrowed */
    const ws_place *copies;             /* whose queue inputs are copied in; borrowed */
    char *memory;                       /* plan->bytes, in the place */
    ws_node_memory *forward, *backward; /* parameters' pointers are set in each call */
    /* Host copies where the place has memory of its own: one buffer that begins as the executor's memory does, with counters and inputs;
     * offsets of each tensor and of its gradient, SIZE_MAX for none. The last 64 bytes hold the gradient of the loss with respect to
     * itself, 1. */
    char *host;
    size_t *host_offsets, *host_gradients, host_bytes;
    void *uploaded, *done; /* marks: of the inputs' copy, of the last pass; NULL without a device */
    ws_real unit;
    ws_random_source random; /* without the stream, which is the node's number */
    const uint16_t *rounded; /* borrowed: of the passes that follow */
    bool captures;
    ws_pass *passes;
    size_t pass_count, pass_capacity;
};

static inline void *ws_executor_buffer(const ws_executor *x, int32_t buffer)
{
    return buffer < 0 ? NULL : x->memory + x->plan->buffers[buffer].offset;
}
static inline size_t ws_plan_tensor_bytes(const ws_plan_tensor *tensor)
{
    return (size_t)ws_shape_count(&tensor->shape) *
           (tensor->type == WS_INPUT_INDEX ? sizeof(int32_t) : sizeof(ws_real));
}
/* The nodes [begin, end), and with the last of a direction the copies of what the host sees. */
void ws_executor_pass(ws_executor *x, ws_pass pass);
void ws_executor_forget_passes(ws_executor *x);

#endif
