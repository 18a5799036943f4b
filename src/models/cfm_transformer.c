/* The network of packet_cfm and unified_cfm; see cfm_transformer.h. */
#include "models/cfm_transformer.h"
#include "models/mamba_block.h"
#include "models/time_features.h"

/* Shifts, scales and gates [rows, columns], which begin at 0: a block then passes on what it gets. */
static ws_tensor modulation(ws_plan *plan, ws_tensor condition, int64_t columns)
{
    ws_tensor m = ws_linear(plan, condition, columns, WS_NONE, "modulation");
    ws_plan_initial(plan, "modulation.weight", 0, 0, false);
    return m;
}

static ws_tensor dropout(ws_plan *plan, ws_tensor x, double rate)
{
    return rate > 0 ? ws_dropout(plan, x, rate) : x;
}

/* ---- tokens ---- */

static ws_tensor embed(ws_plan *plan, const ws_cfm_options *options, const ws_cfm_layout *layout, int64_t rows,
                       ws_tensor x)
{
    const int64_t width = options->width, packets = layout->tokens * layout->columns;
    const int64_t sequence = ws_cfm_sequence(layout);
    ws_tensor of_packets = layout->features > 0 ? ws_slice(plan, x, layout->features, packets) : x;
    ws_tensor tokens = ws_linear(plan, ws_view(plan, of_packets, 3, (int64_t[]){rows, layout->tokens, layout->columns}),
                                 width, WS_NONE, "packet");
    if (layout->features > 0) {
        ws_tensor features = ws_linear(plan, ws_slice(plan, x, 0, layout->features), width, WS_NONE, "features");
        tokens = ws_concat_tokens(plan, ws_view(plan, features, 3, (int64_t[]){rows, 1, width}), tokens);
    }
    tokens = ws_hide_tokens(plan, tokens, ws_input_index(plan, "hidden", rows * sequence), "hidden");
    if (layout->features > 0) {
        ws_tensor type = ws_input(plan, "type", 3, (int64_t[]){rows, sequence, 2}); /* one of the two is 1 */
        tokens = ws_add(plan, tokens, ws_project(plan, type, width, "type"));
        ws_plan_initial(plan, "type.weight", 0, 0.02, true);
    }
    return dropout(plan, ws_add_position(plan, tokens, "position"), options->dropout);
}

/* ---- blocks ---- */

static ws_tensor transformer_block(ws_plan *plan, const ws_cfm_options *options, ws_tensor x, ws_tensor condition,
                                   ws_tensor ranges)
{
    const int64_t width = options->width;
    const ws_attention_options attention = {.heads = options->heads, .dropout = options->dropout};
    ws_tensor m = modulation(plan, condition, 6 * width);
    ws_tensor packed = ws_linear(plan, ws_modulated_norm(plan, x, m, 0, width), 3 * width, WS_NONE, "qkv");
    ws_tensor seen = ws_linear(plan, ws_attention(plan, packed, ranges, &attention), width, WS_NONE, "out");
    x = ws_gated_add(plan, x, dropout(plan, seen, options->dropout), m, 2 * width);
    ws_tensor inner =
        ws_linear(plan, ws_modulated_norm(plan, x, m, 3 * width, 4 * width), options->hidden, WS_GELU, "linear1");
    ws_tensor outer = ws_linear(plan, inner, width, WS_NONE, "linear2");
    return ws_gated_add(plan, x, dropout(plan, outer, options->dropout), m, 5 * width);
}

static ws_tensor condition_on_time(ws_plan *plan, const ws_cfm_options *options, int64_t rows)
{
    ws_tensor time = ws_input(plan, "time", 2, (int64_t[]){rows, options->time_features});
    ws_tensor inner = ws_linear(plan, time, options->width, WS_SILU, "time1");
    return ws_linear(plan, inner, options->width, WS_SILU, "time2");
}

static ws_tensor transformer(ws_plan *plan, const ws_cfm_options *options, int64_t rows, int64_t sequence, ws_tensor x,
                             ws_tensor condition)
{
    ws_tensor ranges = ws_input_index(plan, "ranges", rows * sequence * 4);
    for (int64_t block = 0; block < options->blocks; block++) {
        ws_scope_begin(plan, "block.%lld", (long long)block);
        x = transformer_block(plan, options, x, condition, ranges);
        ws_scope_end(plan);
    }
    return x;
}

/* The features' token between the first place and that behind the row's last packet; padding stays where it is. Reversing all tokens
 * of the row and then the packets alone puts it last, the same the other way round puts it first again. */
static ws_tensor move_features(ws_plan *plan, ws_tensor x, ws_tensor row_tokens, ws_tensor row_packets, bool to_end)
{
    x = ws_flip_sequence(plan, x, to_end ? row_tokens : row_packets);
    return ws_flip_sequence(plan, x, to_end ? row_packets : row_tokens);
}

static ws_tensor mamba(ws_plan *plan, const ws_cfm_options *options, int64_t rows, bool features, ws_tensor x,
                       ws_tensor condition)
{
    const int64_t width = options->width;
    const ws_mamba_options mixer = {.layers = options->blocks};
    ws_tensor tokens = WS_NO_TENSOR, packets = WS_NO_TENSOR;
    if (features && options->blocks > 0) {
        tokens = ws_input_index(plan, "row_tokens", rows);
        packets = ws_input_index(plan, "row_packets", rows);
        x = move_features(plan, x, tokens, packets, true);
    }
    for (int64_t block = 0; block < options->blocks; block++) {
        ws_scope_begin(plan, "block.%lld", (long long)block);
        ws_tensor m = modulation(plan, condition, 3 * width);
        ws_tensor y = ws_mamba_mixer(plan, ws_modulated_norm(plan, x, m, 0, width), width, &mixer, "mixer");
        x = ws_gated_add(plan, x, dropout(plan, y, options->dropout), m, 2 * width);
        ws_scope_end(plan);
    }
    return features && options->blocks > 0 ? move_features(plan, x, tokens, packets, false) : x;
}

/* ---- heads ---- */

static ws_tensor head(ws_plan *plan, ws_tensor x, int64_t columns, const char *name)
{
    return ws_linear(plan, x, columns, WS_NONE, name);
}

ws_cfm_heads ws_cfm_transformer(ws_plan *plan, const ws_cfm_options *options, const ws_cfm_layout *layout, int64_t rows,
                                ws_tensor x)
{
    const int64_t sequence = ws_cfm_sequence(layout), width = options->width;
    ws_cfm_heads heads = {WS_NO_TENSOR, WS_NO_TENSOR, WS_NO_TENSOR, WS_NO_TENSOR};
    ws_tensor tokens = embed(plan, options, layout, rows, x), condition = condition_on_time(plan, options, rows);
    if (options->backbone == WS_BACKBONE_MAMBA)
        tokens = mamba(plan, options, rows, layout->features > 0, tokens, condition);
    else
        tokens = transformer(plan, options, rows, sequence, tokens, condition);
    ws_tensor m = modulation(plan, condition, 2 * width);
    tokens = ws_modulated_norm(plan, tokens, m, 0, width);
    ws_tensor packets = tokens;
    if (layout->features > 0) {
        ws_tensor features = ws_select_token(plan, tokens, 0);
        packets = ws_slice_tokens(plan, tokens, 1, layout->tokens);
        heads.velocity_features = head(plan, features, layout->features, "velocity_features");
        if (options->lambda > 0)
            heads.prediction_features = head(plan, features, layout->features, "prediction_features");
    }
    heads.velocity_packets = head(plan, packets, layout->columns, "velocity_packet");
    if (options->lambda > 0)
        heads.prediction_packets = head(plan, packets, layout->columns, "prediction_packet");
    return heads;
}

/* ---- inputs ---- */

void ws_cfm_transformer_row(const ws_cfm_layout *layout, ws_executor *executor, int64_t row, int64_t length)
{
    const int64_t sequence = ws_cfm_sequence(layout);
    const int32_t present = (int32_t)(length + (layout->features > 0));
    int32_t *ranges = ws_executor_input_index(executor, "ranges"); /* of the attention */
    ranges = ranges ? ranges + row * sequence * 4 : NULL;
    for (int64_t token = 0; ranges && token < sequence; token++, ranges += 4) {
        ranges[0] = 0;
        ranges[1] = present;
        ranges[2] = ranges[3] = 0;
    }
    int32_t *tokens = ws_executor_input_index(executor, "row_tokens"); /* of Mamba with features */
    if (tokens) {
        tokens[row] = present;
        ws_executor_input_index(executor, "row_packets")[row] = (int32_t)length;
    }
    if (layout->features > 0) {
        ws_real *type = ws_executor_input(executor, "type") + row * sequence * 2;
        for (int64_t token = 0; token < sequence; token++) {
            type[2 * token] = token == 0;
            type[2 * token + 1] = token > 0;
        }
    }
}

void ws_cfm_transformer_time(const ws_cfm_options *options, const double *rates, ws_executor *executor, int64_t row,
                             double t)
{
    ws_time_features(t, rates, options->time_features,
                     ws_executor_input(executor, "time") + row * options->time_features);
}

int32_t *ws_cfm_transformer_hidden(const ws_cfm_layout *layout, ws_executor *executor, int64_t row)
{
    return ws_executor_input_index(executor, "hidden") + row * ws_cfm_sequence(layout);
}
