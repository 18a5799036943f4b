/* The benchmark of a whole training step of a plan on one core: forward, backward, norm of the gradient, AdamW, average of the
 * parameters; against the multiply-add peak and against its matrix products alone. */
#include <stdlib.h>

#include "cpu/gemm.h"
#include "engine/plan.h"
#include "engine/timing.h"

typedef struct step {
    const ws_plan *plan;
    ws_executor *executor; /* inputs are filled */
    ws_real *parameters, *gradients, *first, *second, *average;
    ws_real *wide, *narrow; /* any tensor of a matrix product */
} step;

static void whole_step(void *data)
{
    step *s = data;
    size_t extent = ws_plan_parameter_extent(s->plan);
    ws_adamw adamw = {0.9, 0.99, 1e-8, 1e-4};
    ws_executor_forward(s->executor, s->parameters);
    ws_executor_backward(s->executor, s->parameters, s->gradients);
    double norm = ws_gradient_norm(s->gradients, ws_plan_trained_extent(s->plan));
    ws_adamw_step(s->plan, &adamw, 1e-6, norm > 1 ? 1 / norm : 1, 1, s->parameters, s->gradients, s->first, s->second);
    ws_statistics_step(s->plan, 1, s->parameters, s->gradients);
    ws_ema_step(0.999, s->average, s->parameters, extent);
}

static void multiply(const step *s, const ws_node *node)
{
    blasint B = (blasint)ws_shape_rows(&node->in[0]), K = (blasint)ws_shape_width(&node->in[0]);
    blasint N = (blasint)node->width;
    size_t offset = s->plan->parameters[node->parameters[0]].offset;
    const ws_real *weight = s->parameters + offset;
    ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, B, N, K, 1, s->narrow, K, weight, K, 0, s->wide, N);
    ws_cblas_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, N, K, B, 1, s->narrow, N, s->wide, K, 0,
                  s->gradients + offset, K);
    if (s->plan->tensors[node->inputs[0]].has_gradient)
        ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, B, K, N, 1, s->narrow, N, weight, K, 0, s->wide, K);
}

/* The matrix products of the step's dense layers and nothing else. */
static void products_alone(void *data)
{
    const step *s = data;
    for (size_t i = 0; i < s->plan->node_count; i++)
        if (s->plan->nodes[i].op == WS_OP_linear)
            multiply(s, &s->plan->nodes[i]);
}

/* Reals of the largest input or output of a dense layer. */
static size_t widest(const ws_plan *plan)
{
    size_t most = 1;
    for (size_t i = 0; i < plan->node_count; i++) {
        size_t in = (size_t)ws_shape_count(&plan->nodes[i].in[0]), out = (size_t)ws_shape_count(&plan->nodes[i].out);
        if (plan->nodes[i].op == WS_OP_linear)
            most = in > most ? in : out > most ? out : most;
    }
    return most;
}

static ws_err make_room(step *s)
{
    size_t extent = ws_plan_parameter_extent(s->plan), most = widest(s->plan);
    WS_TRY(WS_NEW_ARRAY(s->parameters, extent));
    WS_TRY(WS_NEW_ARRAY(s->gradients, extent));
    WS_TRY(WS_NEW_ARRAY(s->first, extent));
    WS_TRY(WS_NEW_ARRAY(s->second, extent));
    WS_TRY(WS_NEW_ARRAY(s->average, extent));
    WS_TRY(WS_NEW_ARRAY(s->wide, most));
    WS_TRY(WS_NEW_ARRAY(s->narrow, most));
    ws_plan_initialise(s->plan, 1, s->parameters);
    for (size_t i = 0; i < most; i++)
        s->narrow[i] = s->wide[i] = (ws_real)(i % 97) / 97;
    return WS_OK;
}

ws_err ws_bench_step(ws_bench_report *report, const char *name, const ws_plan *plan, ws_executor *executor,
                     double *seconds)
{
    step s = {.plan = plan, .executor = executor};
    ws_err error;
    char *title = NULL;
    WS_TRY_GOTO(done, make_room(&s));
    ws_timed alone = {.work = products_alone, .data = &s};
    *seconds = ws_time_of(whole_step, &s, &alone);
    ws_time_round(&ws_peak);
    ws_bench_line(report, name, ws_plan_flops(plan, true) / *seconds / 1e9, "GFLOP/s", ws_peak_rate(),
                  "multiply-add peak");
    title = ws_format("%s, rate", name);
    WS_CHECK_GOTO(done, title, MEMORY, "no memory for a name");
    ws_bench_line_with_target(report, title, 1 / *seconds, "steps/s", 1 / alone.seconds, "its matrix products alone",
                              0.6);
done:
    free(title);
    free(s.parameters);
    free(s.gradients);
    free(s.first);
    free(s.second);
    free(s.average);
    free(s.wide);
    free(s.narrow);
    return error;
}
