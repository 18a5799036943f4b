/* The Mamba block: projections, a short causal convolution, the selective scan with its gate (Gu & Dao 2023). The
 * published in_proj and x_proj are two projections each here, so that no operator takes columns of another's output. */
#include <math.h>
#include "models/mamba_block.h"

static int64_t or_usual(int64_t value, int64_t usual)
{
    return value > 0 ? value : usual;
}

/* NetMamba+'s generic initialiser, which also sets the bias of the steps to 0. */
static void begin_as_fuse3(ws_plan *plan, int64_t window)
{
    static const char *const projections[] = {"in_proj", "gate_proj", "dt_down", "x_proj", "dt_proj", "out_proj"};
    for (size_t i = 0; i < sizeof projections / sizeof *projections; i++) {
        ws_scope_begin(plan, "%s", projections[i]);
        ws_plan_initial(plan, "weight", 0, 0.02, true);
        ws_scope_end(plan);
    }
    ws_plan_initial(plan, "conv1d.weight", 0, 1 / sqrt((double)window), true);
    ws_plan_initial(plan, "conv1d.bias", 0, 0, false);
    ws_plan_initial(plan, "scan.dt_bias", 0, 0, false);
}

ws_tensor ws_mamba_mixer(ws_plan *plan, ws_tensor x, int64_t width, const ws_mamba_options *options, const char *name)
{
    int64_t states = or_usual(options->states, 16), window = or_usual(options->window, 4);
    int64_t inner = width * or_usual(options->expand, 2), rank = or_usual(options->rank, (width + 15) / 16);
    ws_scope_begin(plan, "%s", name);
    ws_tensor z = ws_project(plan, x, inner, "gate_proj");
    ws_tensor u = ws_conv1d_causal(plan, ws_project(plan, x, inner, "in_proj"), window, WS_SILU, "conv1d");
    ws_tensor delta = ws_project(plan, ws_project(plan, u, rank, "dt_down"), inner, "dt_proj");
    ws_tensor rows = ws_project(plan, u, 2 * states, "x_proj");
    ws_tensor y = ws_project(plan, ws_selective_scan(plan, u, delta, rows, z, "scan"), width, "out_proj");
    if (options->initial == WS_MAMBA_FUSE3)
        begin_as_fuse3(plan, window);
    else
        ws_plan_initial(plan, "out_proj.weight", 0, 1 / sqrt((double)(inner * or_usual(options->layers, 1))), false);
    ws_scope_end(plan);
    return y;
}

ws_tensor ws_mamba_block(ws_plan *plan, ws_tensor x, int64_t width, const ws_mamba_options *options, const char *name)
{
    ws_scope_begin(plan, "%s", name);
    ws_tensor normed = ws_rmsnorm(plan, x, "norm");
    ws_scope_end(plan);
    return ws_add(plan, x, ws_mamba_mixer(plan, normed, width, options, name));
}
