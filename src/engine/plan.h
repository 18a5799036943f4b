/* The inside of a plan: tensors, nodes, parameters, and the buffers whose lifetimes decide the memory layout. For the
 * engine's own files and its tests; models use engine.h only.
 *
 * Time: node i runs forward at time i and backward at time 2n-1-i, n being the number of nodes. A buffer lives from the
 * first to the last time that touches it, both included; two buffers may share memory when their lives do not meet.
 */
#ifndef WS_ENGINE_PLAN_H
#define WS_ENGINE_PLAN_H

#include "engine/operator.h"

typedef struct ws_plan_tensor {
    const char *name; /* inputs and marked outputs; NULL else */
    ws_shape shape;
    ws_input_type type;
    int32_t producer; /* node, -1 for inputs */
    int32_t
        view_of; /* a view: the tensor whose memory it shows in another shape; -1 else. Nodes never refer to views */
    bool gradient_wanted;  /* an input whose gradient is asked for */
    bool kept;             /* marked as output: lives to the end */
    bool has_gradient;     /* its gradient is computed */
    int32_t buffer;        /* into buffers */
    int32_t gradient;      /* into buffers, -1 for none */
    int32_t last_forward;  /* last time a forward node reads it */
    int32_t last_backward; /* last time a backward node reads its value, -1 for none */
} ws_plan_tensor;

typedef struct ws_plan_parameter {
    ws_initial initial;
    bool reached; /* has a gradient */
} ws_plan_parameter;

typedef struct ws_buffer {
    size_t bytes, offset;
    int32_t first, last;
} ws_buffer;

/* What changes from pass to pass besides inputs, in front of them: the step and the first row (uint64) of the random numbers. */
enum { WS_COUNTERS_BYTES = 64 };

/* Buffers of one node, -1 for none. */
typedef struct ws_node_buffers {
    bool differentiated;
    int32_t saved[WS_MAX_SAVED], scratch_forward, scratch_backward;
} ws_node_buffers;

typedef struct ws_range {
    size_t offset, count; /* reals of the flat parameter buffer */
    bool decay, statistic;
} ws_range;

struct ws_plan {
    ws_arena *arena; /* names */
    ws_text scope;
    size_t *scope_starts; /* length of `scope` before each open scope */
    size_t scope_count, scope_capacity;

    ws_err error; /* the first builder error, with its words */
    char *error_message;

    ws_plan_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    ws_node *nodes;
    size_t node_count, node_capacity;
    ws_parameter *parameters;
    ws_plan_parameter *parameter_details;
    size_t parameter_count, parameter_capacity, detail_capacity;

    ws_precision precision; /* of products, in nodes recorded from now on */
    bool finished;
    int32_t loss; /* tensor, -1: forward only */
    int32_t
        pulled; /* tensor that pull_back starts from, -1: none; then there is no loss, and the values that the backward
                     * pass reads outlive it, since there may be several of them after one forward pass */
    ws_node_buffers *node_buffers;
    ws_buffer *buffers;
    size_t buffer_count, buffer_capacity;
    size_t bytes; /* of an executor's memory */
    size_t
        inputs; /* bytes at its begin: WS_COUNTERS_BYTES, then the inputs in their order, so that one copy moves them */
    size_t extent;   /* reals of the flat parameter buffer */
    size_t trained;  /* of them, those before the statistics */
    ws_range *steps; /* runs of equal kind, for the optimiser; statistics that backward does not reach stay out */
    size_t step_count;
    ws_range *gaps; /* what backward itself leaves unwritten in the gradients: padding and unreached parameters */
    size_t gap_count;
};

/* ws_plan_finish with the choice of giving every buffer memory of its own, to test that sharing changes nothing. */
WS_MUST ws_err ws_plan_finish_with(ws_plan *plan, ws_tensor loss, bool share_memory);
/* differentiate.c: which tensors have gradients, who accumulates. */
WS_MUST ws_err ws_plan_differentiate(ws_plan *plan, ws_tensor loss);
/* layout.c: buffers with their lives, offsets, and the parameters' places in the flat buffer. */
WS_MUST ws_err ws_plan_lay_out(ws_plan *plan, bool share_memory);

#endif
