/* What an operator is: one `const ws_operator ws_operator_<name>` in op_<name>.c. For those who write operators.
 *
 * infer checks the inputs, sets the output's shape, adds parameters and asks for saved and scratch memory; forward and
 * backward fill the argument struct of kernels/arguments.h and call the kernel of the place they run in, so one
 * definition serves CPU and CUDA.
 *
 * To add an operator (op_add.c is the shortest example, op_linear.c has all there is):
 *   1. its line in ops.def;
 *   2. its argument struct in kernels/arguments.h, ws_<name>_arguments;
 *   3. op_<name>.c here: infer, arguments with WS_OPERATOR_PASSES, flops, and the ws_operator that names them;
 *   4. the kernels ws_<name>_forward and ws_<name>_backward in kernels/cpu and kernels/cuda;
 *   5. its builder: declared in engine.h, defined at the end of op_<name>.c with ws_plan_record;
 *   6. a scenario in tests/engine/scenarios_<group>.h (gradients are checked, CUDA is compared with the CPU), a naive loop in
 *      tests/engine/test_kernels_<group>.c.
 * Until 2 to 4 are there the program does not link, until 6 the tests fail.
 */
#ifndef WS_ENGINE_OPERATOR_H
#define WS_ENGINE_OPERATOR_H

#include "engine/engine.h"
#include "engine/place.h"

enum { WS_MAX_INPUTS = 6, WS_MAX_PARAMETERS = 8, WS_MAX_SAVED = 4, WS_MAX_NUMBERS = 6 };

/* What flows into an input: reals, which have a gradient, or class indices, which say explicitly that they have none.
 */
typedef enum ws_input_type { WS_INPUT_REAL, WS_INPUT_INDEX } ws_input_type;

typedef enum ws_operator_id {
#define OP(name) WS_OP_##name,
#include "engine/ops.def"
#undef OP
    WS_OP_COUNT
} ws_operator_id;

typedef struct ws_shape {
    int dimensions;
    int64_t size[WS_MAX_DIMENSIONS];
} ws_shape;

/* One recorded call. Numbers are indices into the plan's tensors and parameters, -1 for none. */
typedef struct ws_node {
    ws_operator_id op;
    const char *name;
    ws_activation activation;      /* linear, activate */
    ws_precision precision;        /* of products; the plan's */
    int64_t width;                 /* linear: columns of the output */
    int64_t whole[WS_MAX_NUMBERS]; /* what else a builder was told; each op_<name>.c names its own */
    double number[WS_MAX_NUMBERS];
    ws_shape in[WS_MAX_INPUTS], out;
    int32_t inputs[WS_MAX_INPUTS], output;
    int32_t parameters[WS_MAX_PARAMETERS];
    /* set by infer */
    size_t saved[WS_MAX_SAVED];               /* reals written by forward and read by backward */
    size_t scratch_forward, scratch_backward; /* reals */
    bool backward_reads_input[WS_MAX_INPUTS], backward_reads_output;
    /* set by differentiation */
    bool accumulate[WS_MAX_INPUTS]; /* the input's gradient already holds another consumer's part */
} ws_node;

/* The memory of one node in one executor. Pointers of the other pass, and gradients that are not wanted, are NULL. */
typedef struct ws_node_memory {
    const void *inputs[WS_MAX_INPUTS];
    ws_real *output;
    const ws_real *parameters[WS_MAX_PARAMETERS];
    const uint16_t *rounded[WS_MAX_PARAMETERS]; /* as bfloat16; NULL: there is no such copy */
    ws_real *parameter_gradients[WS_MAX_PARAMETERS];
    ws_real *output_gradient;
    ws_real *input_gradients[WS_MAX_INPUTS];
    ws_real *saved[WS_MAX_SAVED]; /* NULL in a plan without backward */
    ws_real *scratch;
    ws_random_source random; /* of this node */
} ws_node_memory;

typedef struct ws_operator {
    const char *name, *help;
    int inputs, optional; /* of the inputs, so many at the end may be WS_NO_TENSOR */
    ws_input_type input_types[WS_MAX_INPUTS];
    bool constant[WS_MAX_INPUTS]; /* reals through which no gradient goes: weights of a loss, banks of known values */
    ws_err (*infer)(ws_plan *plan, ws_node *node);
    void (*forward)(const ws_node *node, const ws_node_memory *memory, const ws_place *place);
    void (*backward)(const ws_node *node, const ws_node_memory *memory, const ws_place *place);
    /* Floating-point operations; `gradients` counts the inputs whose gradient is wanted in the backward pass. */
    double (*flops_forward)(const ws_node *node);
    double (*flops_backward)(const ws_node *node, int gradients);
} ws_operator;

/* forward and backward of op_<name>.c: what its function `arguments` fills, given to the kernels of the place. */
#define WS_OPERATOR_PASSES(name)                                                                                       \
    static void forward(const ws_node *node, const ws_node_memory *memory, const ws_place *place)                      \
    {                                                                                                                  \
        ws_##name##_arguments a = arguments(node, memory);                                                             \
        place->kernels->name##_forward(&a, place->queue);                                                              \
    }                                                                                                                  \
    static void backward(const ws_node *node, const ws_node_memory *memory, const ws_place *place)                     \
    {                                                                                                                  \
        ws_##name##_arguments a = arguments(node, memory);                                                             \
        place->kernels->name##_backward(&a, place->queue);                                                             \
    }

#define OP(name) extern const ws_operator ws_operator_##name;
#include "engine/ops.def"
#undef OP
extern const ws_operator *const ws_operator_table[WS_OP_COUNT];

/* ---- for infer ---- */
/* Initial values: constant + scale * d, d being uniform in (-1, 1) or normal; or of(u, element, shape) with u uniform in (0, 1)
 * where a formula is given. */
typedef struct ws_initial {
    double constant, scale;
    bool normal;
    double (*of)(double uniform, size_t element, const ws_shape *shape);
} ws_initial;
/* Adds parameter NODE.suffix. */
WS_MUST ws_err ws_node_add_parameter(ws_plan *plan, ws_node *node, int slot, const char *suffix, ws_shape shape,
                                     ws_initial initial, bool decay);
/* Adds NODE.suffix, a statistic that begins as `constant` everywhere. backward writes to its place in the gradients what it is to
 * move to. */
WS_MUST ws_err ws_node_add_statistic(ws_plan *plan, ws_node *node, int slot, const char *suffix, ws_shape shape,
                                     double constant);
/* ---- for builders ---- */
/* Appends the node (its op and numbers are set) with the inputs of its operator, WS_NO_TENSOR for those left out. name NULL: one
 * is made up. WS_NO_TENSOR after an error, which the plan keeps. */
ws_tensor ws_plan_record(ws_plan *plan, ws_node node, const char *name, const ws_tensor inputs[WS_MAX_INPUTS]);

int64_t ws_shape_count(const ws_shape *shape);
int64_t ws_shape_rows(const ws_shape *shape);  /* product of all but the last dimension */
int64_t ws_shape_width(const ws_shape *shape); /* last dimension */
bool ws_shape_equal(const ws_shape *a, const ws_shape *b);
const char *ws_shape_text(const ws_shape *shape, char out[96]); /* "[8, 20]" */

#endif
