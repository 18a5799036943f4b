/* Scenarios of operators that take tensors apart, put them together and weigh them (scenarios.h). */

/* As many tokens as rows allow to be odd and even. */
static int64_t tokens_of(int64_t B)
{
    return 2 + B % 4;
}

static ws_tensor hidden_tokens(ws_plan *plan, int64_t B, int64_t T, int64_t D, const char *name)
{
    return ws_view(plan, hidden(plan, B, T * D, name), 3, (int64_t[]){B, T, D});
}

static ws_tensor against_tokens(ws_plan *plan, ws_tensor y, int64_t B, int64_t T, int64_t D)
{
    return ws_mse(plan, y, ws_input(plan, "target", 3, (int64_t[]){B, T, D}));
}

static ws_tensor scale(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_scale(plan, hidden(plan, B, D, "x"), -1.75), B, D);
}

/* Of lambda -1 the gradient is the true one. */
static ws_tensor gradient_reversal_of_minus_one(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor once = ws_gradient_reversal(plan, hidden(plan, B, D, "x"), -1, WS_NO_TENSOR);
    ws_tensor ones = ws_input(plan, "ones", 1, (int64_t[]){1});
    return against_target(plan, ws_gradient_reversal(plan, once, -1, ones), B, D);
}

static ws_tensor mul(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_mul(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b")), B, D);
}

static ws_tensor mul_by_itself(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    return against_target(plan, ws_mul(plan, h, h), B, D);
}

static ws_tensor slice(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D + 5, "x");
    return ws_mse(plan, ws_slice(plan, h, 2, D), ws_slice(plan, h, 5, D));
}

static ws_tensor slice_tokens(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    return against_tokens(plan, ws_slice_tokens(plan, hidden_tokens(plan, B, T, D, "x"), 1, T - 1), B, T - 1, D);
}

static ws_tensor select_token(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    return against_target(plan, ws_select_token(plan, hidden_tokens(plan, B, T, D, "x"), T - 1), B, D);
}

static ws_tensor concat_tokens(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    ws_tensor a = hidden_tokens(plan, B, T, D, "a"), b = hidden_tokens(plan, B, 1, D, "b");
    return against_tokens(plan, ws_concat_tokens(plan, a, b), B, T + 1, D);
}

static ws_tensor dropout(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_dropout(plan, hidden(plan, B, 5 * D, "x"), 0.3), B, 5 * D);
}

static ws_tensor hide_tokens(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    ws_tensor x = hidden_tokens(plan, B, T, D, "x");
    return against_tokens(plan, ws_hide_tokens(plan, x, ws_input_index(plan, "hidden", B * T), "mask"), B, T, D);
}

static ws_tensor all_tokens_hidden(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = hidden(plan, B, D, "x");
    return against_target(plan, ws_hide_tokens(plan, x, ws_input_index(plan, "ignored", B), "mask"), B, D);
}

static ws_tensor masked_mse(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B), shape[] = {B, T, D};
    ws_tensor weights = ws_input(plan, "weights", 2, shape);
    return ws_masked_mse(plan, hidden_tokens(plan, B, T, D, "x"), ws_input(plan, "target", 3, shape), weights);
}

static ws_tensor masked_mse_of_two(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor weights = ws_input(plan, "weights", 1, &B);
    return ws_masked_mse(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b"), weights);
}

static ws_tensor masked_mse_of_nothing(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor weights = ws_input(plan, "no weights", 1, &B);
    return ws_masked_mse(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b"), weights);
}

static ws_tensor gather_rows(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B), K = 5;
    ws_tensor index = ws_input_index(plan, "below 2", B * K); /* some rows often, some never */
    return against_tokens(plan, ws_gather_rows(plan, hidden_tokens(plan, B, T, D, "x"), index), B, K, D);
}

static ws_tensor embedding(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_embedding(plan, ws_input_index(plan, "below 7", B), 8, D, "table"), B, D);
}

static ws_tensor scatter_rows(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t K = tokens_of(B), T = 4;
    ws_tensor index = ws_input_index(plan, "below 3", B * K);
    return against_tokens(plan, ws_scatter_rows(plan, hidden_tokens(plan, B, K, D, "x"), index, T, "mask"), B, T, D);
}

static ws_tensor batchnorm(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor y = ws_batchnorm(plan, hidden(plan, B, D, "x"), WS_NO_TENSOR, "norm");
    return against_target(plan, ws_activate(plan, y, WS_TANH), B, D);
}

static ws_tensor batchnorm_of_tokens(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    ws_tensor x = hidden_tokens(plan, B, T, D, "x"), lengths = ws_input_index(plan, "below 7", B);
    ws_tensor y = ws_batchnorm(plan, x, lengths, "some");
    return against_tokens(plan, ws_add(plan, y, ws_batchnorm(plan, x, WS_NO_TENSOR, "all")), B, T, D);
}

static ws_tensor batchnorm_of_nothing(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    ws_tensor x = hidden_tokens(plan, B, T, D, "x"), none = ws_input_index(plan, "ignored", B);
    ws_tensor y = ws_batchnorm(plan, x, none, "norm");
    return against_tokens(plan, ws_add(plan, y, x), B, T, D);
}

#define GLU(name, activation)                                                                                          \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        return against_target(plan, ws_glu(plan, hidden(plan, B, 2 * D, "x"), activation), B, D);                      \
    }
GLU(glu_sigmoid, WS_SIGMOID)
GLU(glu_gelu, WS_GELU)
GLU(glu_tanh, WS_TANH)
LINEAR(linear_sigmoid, WS_SIGMOID)
ACTIVATE(activate_sigmoid, WS_SIGMOID)

static ws_tensor mean_pool(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = hidden_tokens(plan, B, tokens_of(B), D, "x");
    ws_tensor some = ws_mean_pool(plan, x, ws_input_index(plan, "below 7", B)); /* 0, and more than there are, too */
    return ws_mse(plan, some, ws_mean_pool(plan, x, WS_NO_TENSOR));
}

static ws_tensor attention_pool(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = hidden_tokens(plan, B, tokens_of(B), D, "x");
    ws_tensor some = ws_attention_pool(plan, x, ws_input_index(plan, "below 7", B), "some");
    return ws_mse(plan, some, ws_attention_pool(plan, x, WS_NO_TENSOR, "all"));
}

static ws_tensor pools_of_nothing(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = hidden_tokens(plan, B, tokens_of(B), D, "x"), none = ws_input_index(plan, "ignored", B);
    return ws_mse(plan, ws_mean_pool(plan, x, none), ws_attention_pool(plan, x, none, "pool"));
}

static ws_tensor l2norm(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_l2norm(plan, hidden(plan, B, D + 1, "x")), B, D + 1);
}

static ws_tensor smoothed_cross_entropy(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor index = ws_input_index(plan, "below 3", B);
    return ws_cross_entropy_with(plan, hidden(plan, B, D + 2, "x"), index, 0.1, WS_NO_TENSOR);
}

static ws_tensor weighted_cross_entropy(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor index = ws_input_index(plan, "below 3", B), weights = ws_input(plan, "weights", 1, (int64_t[]){D + 2});
    ws_tensor h = hidden(plan, B, D + 2, "x");
    ws_tensor loss = ws_cross_entropy_with(plan, h, index, 0.1, weights);
    return ws_add(plan, loss, ws_cross_entropy_with(plan, h, index, 0, weights));
}

static ws_tensor bce(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_bce(plan, hidden(plan, B, D, "x"), input(plan, "weights", B, D));
}

static ws_tensor supcon(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor labels = ws_input_index(plan, "below 3", B);
    return ws_supcon(plan, ws_l2norm(plan, hidden(plan, B, D + 1, "x")), labels, 0.5, WS_NO_TENSOR, WS_NO_TENSOR);
}

static ws_tensor supcon_with_bank(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor labels = ws_input_index(plan, "below 3", B), bank_labels = ws_input_index(plan, "below 4", 9);
    ws_tensor bank = ws_input(plan, "bank", 2, (int64_t[]){9, D});
    return ws_supcon(plan, hidden(plan, B, D, "x"), labels, 4, bank, bank_labels);
}

static ws_tensor supcon_without_labels(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor labels = ws_input_index(plan, "ignored", B), bank_labels = ws_input_index(plan, "below 4", 9);
    ws_tensor bank = ws_input(plan, "bank", 2, (int64_t[]){9, D});
    return ws_supcon(plan, hidden(plan, B, D, "x"), labels, 4, bank, bank_labels);
}

/* Every operator's accumulating path: the last reader of h comes first in the backward pass. */
static ws_tensor pieces_of_a_shared_tensor(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = tokens_of(B);
    ws_tensor h = hidden_tokens(plan, B, T, D, "x"), weights = ws_input(plan, "weights", 1, (int64_t[]){B * T});
    ws_tensor y = ws_mul(plan, ws_scale(plan, h, 0.5), h);
    y = ws_mul(plan, h, ws_dropout(plan, ws_add(plan, y, ws_gradient_reversal(plan, h, -1, WS_NO_TENSOR)), 0.4));
    y = ws_add(plan, y, ws_hide_tokens(plan, h, ws_input_index(plan, "hidden", B * T), "mask"));
    y = ws_add(plan, y, ws_dropout(plan, h, 0.2));
    ws_tensor wide = ws_concat_tokens(plan, ws_slice_tokens(plan, h, 1, T - 1), h);
    ws_tensor columns = ws_slice(plan, wide, 0, D);
    ws_tensor loss = ws_masked_mse(plan, y, h, weights);
    loss = ws_add(plan, loss, ws_masked_mse(plan, h, y, weights));
    loss = ws_add(plan, loss, against_target(plan, ws_select_token(plan, h, T - 1), B, D));
    return ws_add(plan, loss, ws_mse(plan, ws_concat_tokens(plan, h, ws_slice_tokens(plan, h, 0, T - 1)), columns));
}

static ws_tensor rows_and_pools_of_a_shared_tensor(ws_plan *plan, int64_t B, int64_t D)
{
    int64_t T = 4, W = 2 * D;
    ws_tensor h = hidden_tokens(plan, B, T, W, "x"), index = ws_input_index(plan, "below 3", B * T);
    ws_tensor lengths = ws_input_index(plan, "below 6", B), flat = ws_view(plan, h, 2, (int64_t[]){B, T * W});
    ws_tensor y = ws_gather_rows(plan, h, index);
    y = ws_add(plan, y, ws_scatter_rows(plan, h, index, T, "mask"));
    y = ws_add(plan, y, ws_add(plan, ws_l2norm(plan, h), ws_batchnorm(plan, h, lengths, "norm")));
    ws_tensor pooled = ws_add(plan, ws_mean_pool(plan, h, lengths), ws_attention_pool(plan, h, lengths, "pool"));
    ws_tensor gated = ws_add(plan, ws_glu(plan, h, WS_SILU), ws_glu(plan, h, WS_SIGMOID));
    ws_tensor loss = ws_add(plan, ws_mse(plan, y, h), against_target(plan, pooled, B, W));
    loss = ws_add(plan, loss, ws_mse(plan, gated, ws_slice(plan, h, 0, D)));
    loss = ws_add(plan, loss, ws_bce(plan, flat, input(plan, "weights", B, T * W)));
    loss = ws_add(plan, loss, ws_cross_entropy_with(plan, flat, lengths, 0.2, WS_NO_TENSOR));
    loss = ws_add(plan, loss, ws_supcon(plan, flat, lengths, 40, WS_NO_TENSOR, WS_NO_TENSOR));
    return ws_add(plan, loss, ws_mse(plan, flat, input(plan, "last", B, T * W)));
}

#define SCENARIOS_PIECES                                                                                               \
    SCENARIO(scale)                                                                                                    \
    SCENARIO(gradient_reversal_of_minus_one)                                                                           \
    SCENARIO(mul)                                                                                                      \
    SCENARIO(mul_by_itself)                                                                                            \
    SCENARIO(slice)                                                                                                    \
    SCENARIO(slice_tokens)                                                                                             \
    SCENARIO(select_token)                                                                                             \
    SCENARIO(concat_tokens)                                                                                            \
    SCENARIO(dropout)                                                                                                  \
    SCENARIO(hide_tokens)                                                                                              \
    SCENARIO(all_tokens_hidden)                                                                                        \
    SCENARIO(masked_mse)                                                                                               \
    SCENARIO(masked_mse_of_two)                                                                                        \
    SCENARIO(masked_mse_of_nothing)                                                                                    \
    SCENARIO(pieces_of_a_shared_tensor)                                                                                \
    SCENARIO(gather_rows)                                                                                              \
    SCENARIO(embedding)                                                                                                \
    SCENARIO(scatter_rows)                                                                                             \
    SCENARIO(batchnorm)                                                                                                \
    SCENARIO(batchnorm_of_tokens)                                                                                      \
    SCENARIO(batchnorm_of_nothing)                                                                                     \
    SCENARIO(glu_sigmoid)                                                                                              \
    SCENARIO(glu_gelu)                                                                                                 \
    SCENARIO(glu_tanh)                                                                                                 \
    SCENARIO(linear_sigmoid)                                                                                           \
    SCENARIO(activate_sigmoid)                                                                                         \
    SCENARIO(mean_pool)                                                                                                \
    SCENARIO(attention_pool)                                                                                           \
    SCENARIO(pools_of_nothing)                                                                                         \
    SCENARIO(l2norm)                                                                                                   \
    SCENARIO(smoothed_cross_entropy)                                                                                   \
    SCENARIO(weighted_cross_entropy)                                                                                   \
    SCENARIO(bce)                                                                                                      \
    SCENARIO(supcon)                                                                                                   \
    SCENARIO(supcon_with_bank)                                                                                         \
    SCENARIO(supcon_without_labels)                                                                                    \
    SCENARIO(rows_and_pools_of_a_shared_tensor)
