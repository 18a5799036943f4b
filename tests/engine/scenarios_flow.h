/* Scenarios of normalising flows (scenarios.h). */
LINEAR(linear_leaky_relu, WS_LEAKY_RELU)
ACTIVATE(activate_leaky_relu, WS_LEAKY_RELU)

/* States of about unit size in splines on [-2, 2]: most rows lie inside, some outside. */
static ws_tensor spline_step(ws_plan *plan, ws_tensor state, int64_t B, int64_t D, int64_t kept, int64_t bins,
                             const char *name)
{
    return ws_spline_coupling(plan, state, hidden(plan, B, (D - kept) * (3 * bins - 1), name), kept, bins, 2);
}

/* So many columns: every width of the tests gives some, few of them, since each brings many parameters. */
static int64_t spline_columns(int64_t D)
{
    return 1 + D % 7;
}

static ws_tensor spline_coupling(ws_plan *plan, int64_t B, int64_t width)
{
    int64_t D = spline_columns(width);
    return against_target(plan, spline_step(plan, hidden(plan, B, D + 1, "state"), B, D, D / 2, 5, "theta"), B, D + 1);
}

static ws_tensor spline_nothing_kept(ws_plan *plan, int64_t B, int64_t width)
{
    int64_t D = spline_columns(width);
    return against_target(plan, spline_step(plan, hidden(plan, B, D + 1, "state"), B, D, 0, 2, "theta"), B, D + 1);
}

/* State and parameters both have a second reader, so that both gradients are added to. */
static ws_tensor spline_read_twice(ws_plan *plan, int64_t B, int64_t width)
{
    int64_t D = spline_columns(width);
    ws_tensor state = hidden(plan, B, D + 1, "state"), theta = hidden(plan, B, (D - D / 2) * 8, "theta");
    ws_tensor loss = against_target(plan, ws_spline_coupling(plan, state, theta, D / 2, 3, 2), B, D + 1);
    ws_tensor again = ws_spline_coupling(plan, state, theta, D / 2, 3, 1.5);
    return ws_add(plan, loss, ws_mse(plan, again, state));
}

static ws_tensor beta_likelihood_of_spline(ws_plan *plan, int64_t B, int64_t width)
{
    int64_t D = spline_columns(width);
    ws_tensor state = ws_activate(plan, hidden(plan, B, D + 1, "state"), WS_TANH);
    for (int i = 0; i < 2; i++)
        state = spline_step(plan, state, B, D, D / 2, 4, i == 0 ? "theta.0" : "theta.1");
    return ws_add(plan, ws_beta_likelihood(plan, state, 2, 13), ws_beta_likelihood(plan, state, 2.5, 3));
}

#define SCENARIOS_FLOW                                                                                                 \
    SCENARIO(linear_leaky_relu)                                                                                        \
    SCENARIO(activate_leaky_relu)                                                                                      \
    SCENARIO(spline_coupling)                                                                                          \
    SCENARIO(spline_nothing_kept)                                                                                      \
    SCENARIO(spline_read_twice)                                                                                        \
    SCENARIO(beta_likelihood_of_spline)
