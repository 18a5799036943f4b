/* Scenarios of dense layers, norms, pointwise operators and losses (scenarios.h). */
#define LINEAR(name, activation)                                                                                       \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        return against_target(plan, ws_linear(plan, hidden(plan, B, D, "x"), 7, activation, "y"), B, 7);               \
    }
LINEAR(linear_none, WS_NONE)
LINEAR(linear_relu, WS_RELU)
LINEAR(linear_silu, WS_SILU)
LINEAR(linear_gelu, WS_GELU)
LINEAR(linear_tanh, WS_TANH)

#define ACTIVATE(name, activation)                                                                                     \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        return against_target(plan, ws_activate(plan, hidden(plan, B, D, "x"), activation), B, D);                     \
    }
ACTIVATE(activate_none, WS_NONE)
ACTIVATE(activate_relu, WS_RELU)
ACTIVATE(activate_silu, WS_SILU)
ACTIVATE(activate_gelu, WS_GELU)
ACTIVATE(activate_tanh, WS_TANH)

static ws_tensor layernorm(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_layernorm(plan, hidden(plan, B, D, "x"), "norm"), B, D);
}

static ws_tensor add(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_add(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b")), B, D);
}

static ws_tensor add_to_itself(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    return against_target(plan, ws_add(plan, h, h), B, D);
}

static ws_tensor concat(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_concat(plan, hidden(plan, B, D, "a"), hidden(plan, B, 3, "b")), B, D + 3);
}

static ws_tensor concat_with_itself(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    return against_target(plan, ws_concat(plan, h, h), B, 2 * D);
}

static ws_tensor mse_of_two(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_mse(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b"));
}

/* Two losses on one tensor: every operator's accumulating path, with the tensor read by a second consumer. */
static ws_tensor every_consumer_twice(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    ws_tensor loss = against_target(plan, h, B, D);
    loss = ws_add(plan, loss, ws_mse(plan, ws_activate(plan, h, WS_NONE), ws_activate(plan, h, WS_SILU)));
    loss = ws_add(plan, loss, ws_mse(plan, ws_linear(plan, h, D, WS_TANH, "l"), h));
    loss = ws_add(plan, loss, ws_mse(plan, h, ws_layernorm(plan, h, "n")));
    loss = ws_add(plan, loss, ws_cross_entropy(plan, h, ws_input_index(plan, "class", B)));
    ws_tensor sum = ws_add(plan, h, ws_activate(plan, h, WS_TANH));
    loss = ws_add(plan, loss, ws_mse(plan, sum, ws_add(plan, ws_activate(plan, h, WS_RELU), h)));
    ws_tensor wide = ws_concat(plan, h, ws_activate(plan, h, WS_GELU));
    return ws_add(plan, loss, ws_mse(plan, wide, ws_concat(plan, h, h)));
}

static ws_tensor cross_entropy(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_cross_entropy(plan, hidden(plan, B, D, "x"), ws_input_index(plan, "class", B));
}

static ws_tensor all_rows_ignored(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_cross_entropy(plan, hidden(plan, B, D, "x"), ws_input_index(plan, "ignored", B));
}

static ws_tensor residual_mlp(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = input(plan, "x", B, 9), t = input(plan, "t", B, 4);
    ws_tensor condition = ws_linear(plan, ws_linear(plan, t, D, WS_SILU, "time.0"), D, WS_NONE, "time.1");
    ws_tensor h = ws_add(plan, ws_linear(plan, x, D, WS_NONE, "in"), condition);
    for (int i = 0; i < 3; i++) {
        ws_scope_begin(plan, "block.%d", i);
        ws_tensor n = ws_concat(plan, ws_layernorm(plan, h, "norm"), condition);
        h = ws_add(plan, h, ws_linear(plan, ws_linear(plan, n, 2 * D, WS_GELU, "up"), D, WS_NONE, "down"));
        ws_scope_end(plan);
    }
    return against_target(plan, ws_linear(plan, ws_layernorm(plan, h, "norm"), 9, WS_NONE, "out"), B, 9);
}

static ws_tensor three_dimensions(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = ws_input(plan, "x", 3, (int64_t[]){B, 2, 4});
    ws_tensor y = ws_layernorm(plan, ws_linear(plan, x, D, WS_SILU, "in"), "norm");
    return ws_mse(plan, ws_linear(plan, y, 3, WS_NONE, "out"), ws_input(plan, "u", 3, (int64_t[]){B, 2, 3}));
}

static ws_tensor projection_and_views(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor flat = ws_view(plan, hidden(plan, B, 6 * D, "x"), 2, (int64_t[]){2 * B, 3 * D});
    ws_tensor y = ws_project(plan, ws_view(plan, flat, 3, (int64_t[]){B, 6, D}), D, "y");
    ws_tensor sum = ws_add(plan, ws_view(plan, y, 2, (int64_t[]){2 * B, 3 * D}), flat);
    return against_target(plan, sum, 2 * B, 3 * D);
}

#define SCENARIOS_BASIC                                                                                                \
    SCENARIO(linear_none)                                                                                              \
    SCENARIO(linear_relu)                                                                                              \
    SCENARIO(linear_silu)                                                                                              \
    SCENARIO(linear_gelu)                                                                                              \
    SCENARIO(linear_tanh)                                                                                              \
    SCENARIO(activate_none)                                                                                            \
    SCENARIO(activate_relu)                                                                                            \
    SCENARIO(activate_silu)                                                                                            \
    SCENARIO(activate_gelu)                                                                                            \
    SCENARIO(activate_tanh)                                                                                            \
    SCENARIO(layernorm)                                                                                                \
    SCENARIO(add)                                                                                                      \
    SCENARIO(add_to_itself)                                                                                            \
    SCENARIO(concat)                                                                                                   \
    SCENARIO(concat_with_itself)                                                                                       \
    SCENARIO(mse_of_two)                                                                                               \
    SCENARIO(cross_entropy)                                                                                            \
    SCENARIO(residual_mlp)                                                                                             \
    SCENARIO(every_consumer_twice)                                                                                     \
    SCENARIO(all_rows_ignored)                                                                                         \
    SCENARIO(three_dimensions)                                                                                         \
    SCENARIO(projection_and_views)
