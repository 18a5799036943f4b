/* Scenarios of attention, norms and gates steered by a condition, and positions (scenarios.h). */

/* Rows, tokens and the width of a head, of the shapes the tests go through: few rows, as each has several tokens. */
static int64_t few(int64_t B)
{
    return B > 20 ? B % 9 + 1 : B;
}
static int64_t tokens(int64_t B, int64_t D)
{
    return 1 + (B * 3 + D) % 11;
}
static int64_t head_width(int64_t D)
{
    return D % 40;
}

static ws_tensor sequence(ws_plan *plan, int64_t B, int64_t T, int64_t width, const char *name)
{
    return ws_view(plan, hidden(plan, B * T, width, name), 3, (int64_t[]){B, T, width});
}

static ws_tensor against_sequence(ws_plan *plan, ws_tensor y, int64_t B, int64_t T, int64_t D)
{
    return ws_mse(plan, y, ws_input(plan, "target", 3, (int64_t[]){B, T, D}));
}

#define ATTENTION(name, ranges_name, double_width, ...)                                                                \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        int64_t T = tokens(B, D), width = 2 * (double_width ? 2 * head_width(D) : head_width(D));                      \
        const char *index = ranges_name;                                                                               \
        B = few(B);                                                                                                    \
        ws_attention_options options = {.heads = 2, __VA_ARGS__};                                                      \
        ws_tensor ranges = index ? ws_input_index(plan, index, 4 * B * T) : WS_NO_TENSOR;                              \
        ws_tensor y = ws_attention(plan, sequence(plan, B, T, 3 * width, "x"), ranges, &options);                      \
        return against_sequence(plan, y, B, T, width);                                                                 \
    }
ATTENTION(attention_full, NULL, false, .causal = false)
ATTENTION(attention_causal, NULL, false, .causal = true)
ATTENTION(attention_ranges, "ranges", false, .causal = false)
ATTENTION(attention_nothing_seen, "ignored", false, .causal = false)
ATTENTION(attention_rotary, NULL, true, .rope_base = 10000, .rope_period = 3)
ATTENTION(attention_dropout, NULL, false, .dropout = 0.3)
ATTENTION(attention_everything, "ranges", true, .causal = true, .rope_base = 100, .dropout = 0.1)

/* Where D is large: sequences of several tiles, in heads of each of the widths that a device has kernels for. */
#define ATTENTION_IN_TILES(name, wide, ...)                                                                            \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        const int64_t T = D > 60 ? 35 : 1 + B % 3, width = D > 60 ? 2 * wide : 4;                                      \
        ws_attention_options options = {.heads = 2, __VA_ARGS__};                                                      \
        ws_tensor ranges = ws_input_index(plan, "ranges", 4 * T);                                                      \
        ws_tensor y = ws_attention(plan, sequence(plan, 1, T, 3 * width, "x"), ranges, &options);                      \
        return against_sequence(plan, y, 1, T, width);                                                                 \
    }
ATTENTION_IN_TILES(attention_in_tiles, 6, .rope_base = 100, .dropout = 0.1)
ATTENTION_IN_TILES(attention_in_tiles_causal, 34, .causal = true, .rope_base = 100)
ATTENTION_IN_TILES(attention_in_tiles_wide, 70, .causal = false)

/* A block of a transformer steered by a condition; the projections, the condition and x have several readers. */
static ws_tensor conditioned_block(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens(B, D), width = 2 * head_width(D) + 4;
    B = few(B);
    ws_tensor condition = hidden(plan, B, 6 * width, "condition");
    ws_tensor x = ws_add_position(plan, sequence(plan, B, T, width, "x"), "position");
    ws_tensor inner = ws_modulated_norm(plan, x, condition, 0, width);
    ws_tensor qkv = ws_linear(plan, inner, 3 * width, WS_NONE, "qkv");
    ws_tensor y = ws_attention(plan, qkv, WS_NO_TENSOR, &(ws_attention_options){.heads = 2});
    ws_tensor z = ws_attention(plan, qkv, WS_NO_TENSOR, &(ws_attention_options){.heads = 1, .causal = true});
    x = ws_gated_add(plan, x, ws_add(plan, y, z), condition, 2 * width);
    inner = ws_modulated_norm(plan, x, condition, 3 * width, 4 * width);
    x = ws_gated_add(plan, x, ws_linear(plan, inner, width, WS_GELU, "out"), condition, 5 * width);
    x = ws_add_position(plan, x, "again");
    return against_sequence(plan, ws_gated_add(plan, x, x, condition, width), B, T, width);
}

static ws_tensor rmsnorm(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = hidden(plan, B, D + 1, "x");
    ws_tensor y = ws_add(plan, ws_rmsnorm(plan, x, "one"), ws_rmsnorm(plan, x, "two"));
    return against_target(plan, y, B, D + 1);
}

/* Both ways of a product, and one of a tensor with itself. */
static ws_tensor bmm(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens(B, D), width = head_width(D);
    B = few(B);
    ws_tensor a = sequence(plan, B, T, width, "a"), b = sequence(plan, B, 3, width, "b");
    ws_tensor y = ws_bmm(plan, ws_bmm(plan, a, b, true), b, false);
    return against_sequence(plan, ws_bmm(plan, ws_bmm(plan, y, y, true), a, false), B, T, width);
}

/* The double-precision build does not round; on a device the rounding differs where a sum's last bit does. */
static ws_tensor linear_bf16(ws_plan *plan, int64_t B, int64_t D)
{
    ws_plan_set_precision(plan, WS_BF16);
    ws_tensor h = ws_linear(plan, hidden(plan, B, D, "x"), 9, WS_SILU, "h");
    ws_tensor y = ws_add(plan, ws_linear(plan, h, 7, WS_NONE, "y"), ws_project(plan, h, 7, "z"));
    return against_target(plan, y, B, 7);
}

static ws_tensor bmm_bf16(ws_plan *plan, int64_t B, int64_t D)
{
    ws_plan_set_precision(plan, WS_BF16);
    return bmm(plan, B, D);
}

#define SCENARIOS_SEQUENCE                                                                                             \
    SCENARIO(attention_full)                                                                                           \
    SCENARIO(attention_causal)                                                                                         \
    SCENARIO(attention_ranges)                                                                                         \
    SCENARIO(attention_nothing_seen)                                                                                   \
    SCENARIO(attention_rotary)                                                                                         \
    SCENARIO(attention_dropout)                                                                                        \
    SCENARIO(attention_everything)                                                                                     \
    SCENARIO(attention_in_tiles)                                                                                       \
    SCENARIO(attention_in_tiles_causal)                                                                                \
    SCENARIO(attention_in_tiles_wide)                                                                                  \
    SCENARIO(conditioned_block)                                                                                        \
    SCENARIO(rmsnorm)                                                                                                  \
    SCENARIO(bmm)                                                                                                      \
    SCENARIO(linear_bf16)                                                                                              \
    SCENARIO(bmm_bf16)
