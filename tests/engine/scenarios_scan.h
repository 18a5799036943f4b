/* Scenarios of the operators that walk along sequences (scenarios.h). */

/* Lengths around the segments of 16 steps, few sequences, channels around the width of the vectors. */
static ws_tensor scan_of(ws_plan *plan, int64_t B, int64_t D, int64_t N, bool gate)
{
    int64_t T = D > 64 ? 19 : B, rows = D % 2 + 1, E = D > 64 ? 67 : D;
    ws_tensor y = ws_selective_scan(plan, sequence(plan, rows, T, E, "u"), sequence(plan, rows, T, E, "delta"),
                                    sequence(plan, rows, T, 2 * N, "rows"),
                                    gate ? sequence(plan, rows, T, E, "z") : WS_NO_TENSOR, "scan");
    return against_sequence(plan, y, rows, T, E);
}

static ws_tensor selective_scan(ws_plan *plan, int64_t B, int64_t D)
{
    return scan_of(plan, B, D, 4, true);
}

static ws_tensor selective_scan_of_16_states_without_gate(ws_plan *plan, int64_t B, int64_t D)
{
    return scan_of(plan, B > 33 ? 33 : B, D, 16, false);
}

static ws_tensor selective_scan_of_many_states(ws_plan *plan, int64_t B, int64_t D)
{
    return scan_of(plan, B > 17 ? 17 : B, D > 17 ? 17 : D, B % 2 ? 64 : 29, true);
}

/* Where D is large: sequences so long and channels so few that a device cuts them into pieces, the last one of three steps. */
static ws_tensor scan_in_pieces(ws_plan *plan, int64_t B, int64_t D)
{
    const int64_t T = D > 60 ? 131 : 5, rows = 1 + B % 2, E = D > 5 ? 5 : D, N = 7;
    ws_tensor y = ws_selective_scan(plan, sequence(plan, rows, T, E, "u"), sequence(plan, rows, T, E, "delta"),
                                    sequence(plan, rows, T, 2 * N, "rows"), sequence(plan, rows, T, E, "z"), "scan");
    return against_sequence(plan, y, rows, T, E);
}

/* Every input read by another consumer, and by the scan in every place it fits. */
static ws_tensor scan_with_itself(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = B > 17 ? 17 : B, N = D > 17 ? 17 : D;
    ws_tensor x = sequence(plan, 2, T, 2 * N, "x");
    ws_tensor y = ws_selective_scan(plan, x, x, x, x, "scan");
    return ws_add(plan, ws_mse(plan, y, x), ws_mse(plan, x, ws_input(plan, "target", 3, (int64_t[]){2, T, 2 * N})));
}

#define CONVOLUTION(name, build, width, activation)                                                                    \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        int64_t T = 1 + (B - 1) % 23, rows = 1 + B / 23;                                                               \
        ws_tensor y = build(plan, sequence(plan, rows, T, D, "x"), width, activation, "convolution");                  \
        return against_sequence(plan, y, rows, T, D);                                                                  \
    }
CONVOLUTION(conv1d_causal_silu, ws_conv1d_causal, 4, WS_SILU)
CONVOLUTION(conv1d_causal_tanh, ws_conv1d_causal, 3, WS_TANH)
CONVOLUTION(conv1d_depthwise_none, ws_conv1d_depthwise, 5, WS_NONE)
CONVOLUTION(conv1d_depthwise_gelu, ws_conv1d_depthwise, 2, WS_GELU)
CONVOLUTION(conv1d_depthwise_relu, ws_conv1d_depthwise, 1, WS_RELU)
CONVOLUTION(conv1d_depthwise_leaky_relu, ws_conv1d_depthwise, 7, WS_LEAKY_RELU)
CONVOLUTION(conv1d_depthwise_sigmoid, ws_conv1d_depthwise, 3, WS_SIGMOID)

/* Lengths below 0, 0 and beyond T among them (fill_inputs). */
static ws_tensor flip_sequence(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = 1 + B % 23;
    ws_tensor x = sequence(plan, B, T, D, "x");
    ws_tensor y = ws_flip_sequence(plan, x, ws_input_index(plan, "below 29", B));
    ws_tensor loss = ws_mse(plan, y, ws_flip_sequence(plan, x, WS_NO_TENSOR));
    return ws_add(plan, loss, against_sequence(plan, x, B, T, D));
}

/* Lengths below 0, 0 and beyond T among them (fill_inputs); the sequence is read by another consumer too. */
static ws_tensor gru_of(ws_plan *plan, int64_t B, int64_t D, bool both, bool lengths)
{
    int64_t rows = B % 5 + 1, T = 1 + B % 6, H = 1 + D % 23, directions = both ? 2 : 1;
    ws_tensor x = sequence(plan, rows, T, D, "x");
    ws_tensor index = lengths ? ws_input_index(plan, "below 9", rows) : WS_NO_TENSOR;
    ws_tensor y = ws_gru(plan, x, index, H, both, "gru");
    return ws_add(plan, against_sequence(plan, y, rows, T, directions * H),
                  ws_mse(plan, x, ws_activate(plan, x, WS_TANH)));
}

static ws_tensor gru(ws_plan *plan, int64_t B, int64_t D)
{
    return gru_of(plan, B, D, false, true);
}

static ws_tensor gru_of_both_directions(ws_plan *plan, int64_t B, int64_t D)
{
    return gru_of(plan, B, D, true, true);
}

static ws_tensor gru_of_full_lengths(ws_plan *plan, int64_t B, int64_t D)
{
    return gru_of(plan, B, D, true, false);
}

/* Windows that overlap, that leave steps out, and that lie in the padding alone. */
static ws_tensor windows_of(ws_plan *plan, int64_t B, int64_t D, int64_t width, int64_t stride, int64_t padding)
{
    int64_t rows = B % 3 + 1, T = width + B % 11, out = (T + 2 * padding - width) / stride + 1;
    ws_tensor x = sequence(plan, rows, T, D, "x");
    ws_tensor loss = against_sequence(plan, ws_conv1d(plan, x, 3, width, stride, padding, WS_TANH, "y"), rows, out, 3);
    return ws_add(plan, loss, ws_mse(plan, x, ws_activate(plan, x, WS_SILU)));
}

static ws_tensor conv1d_overlapping(ws_plan *plan, int64_t B, int64_t D)
{
    return windows_of(plan, B, D, 4, 3, 2);
}

static ws_tensor conv1d_with_gaps(ws_plan *plan, int64_t B, int64_t D)
{
    return windows_of(plan, B, D, 2, 5, 4);
}

static ws_tensor maxpool1d(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t rows = B % 3 + 1, T = 3 + B % 11, out = (T - 3) / 2 + 1;
    ws_tensor x = sequence(plan, rows, T, D, "x");
    ws_tensor loss = against_sequence(plan, ws_maxpool1d(plan, x, 3, 2), rows, out, D);
    return ws_add(plan, loss, ws_mse(plan, x, ws_activate(plan, x, WS_SILU)));
}

#define SCENARIOS_SCAN                                                                                                 \
    SCENARIO(selective_scan)                                                                                           \
    SCENARIO(selective_scan_of_16_states_without_gate)                                                                 \
    SCENARIO(selective_scan_of_many_states)                                                                            \
    SCENARIO(scan_in_pieces)                                                                                           \
    SCENARIO(scan_with_itself)                                                                                         \
    SCENARIO(conv1d_causal_silu)                                                                                       \
    SCENARIO(conv1d_causal_tanh)                                                                                       \
    SCENARIO(conv1d_depthwise_none)                                                                                    \
    SCENARIO(conv1d_depthwise_gelu)                                                                                    \
    SCENARIO(conv1d_depthwise_relu)                                                                                    \
    SCENARIO(conv1d_depthwise_leaky_relu)                                                                              \
    SCENARIO(conv1d_depthwise_sigmoid)                                                                                 \
    SCENARIO(flip_sequence)                                                                                            \
    SCENARIO(gru)                                                                                                      \
    SCENARIO(gru_of_both_directions)                                                                                   \
    SCENARIO(gru_of_full_lengths)                                                                                      \
    SCENARIO(conv1d_overlapping)                                                                                       \
    SCENARIO(conv1d_with_gaps)                                                                                         \
    SCENARIO(maxpool1d)
