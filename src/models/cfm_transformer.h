/* The network of packet_cfm and unified_cfm: tokens of a row to a velocity for each of its elements, and to a prediction of
 * the tokens that are hidden from it.
 *
 *   token      linear of the features (one token, the first) or of a packet's columns; hidden tokens: one learned vector;
 *              plus a learned vector of its type and one of its position
 *   condition  sines and cosines of t -> linear SiLU -> linear SiLU
 *   blocks     attention and linear GELU linear, each behind a layer norm whose shift, scale and gate come from the condition
 *              and begin at 0 (Peebles & Xie 2023), over the tokens that the row has
 *   backbone   mamba: instead of these blocks, Mamba's mixer behind the same norm, with shift, scale and gate; it sees what lies
 *              before a token only, so the features' token is put behind the row's last packet for it
 *   heads      norm with shift and scale, then linear: velocity and prediction, for features and packets
 *
 * 1,269,434 parameters for 20 features, 32 packets of 9 columns and the default options.
 */
#ifndef WS_MODELS_CFM_TRANSFORMER_H
#define WS_MODELS_CFM_TRANSFORMER_H

#include "models/cfm.h"

enum { WS_CFM_TOKENS_MOST = 1024, WS_CFM_TIME_FEATURES_MOST = 512 };

/* Those of features are WS_NO_TENSOR where the layout has none; predictions where lambda is 0. */
typedef struct ws_cfm_heads {
    ws_tensor velocity_features, velocity_packets;     /* [rows, features], [rows, tokens, columns] */
    ws_tensor prediction_features, prediction_packets; /* the same, of the tokens as they are at t = 1 */
} ws_cfm_heads;

/* Records the network for `rows` rows. x[rows, elements] */
ws_cfm_heads ws_cfm_transformer(ws_plan *plan, const ws_cfm_options *options, const ws_cfm_layout *layout, int64_t rows,
                                ws_tensor x);

/* Inputs besides x. length: packets of the row. */
void ws_cfm_transformer_row(const ws_cfm_layout *layout, ws_executor *executor, int64_t row, int64_t length);
/* rates[time_features / 2], from ws_time_rates */
void ws_cfm_transformer_time(const ws_cfm_options *options, const double *rates, ws_executor *executor, int64_t row,
                             double t);
/* Tokens of a row that are hidden, [tokens], the features' first where there is one. */
int32_t *ws_cfm_transformer_hidden(const ws_cfm_layout *layout, ws_executor *executor, int64_t row);

static inline int64_t ws_cfm_sequence(const ws_cfm_layout *layout)
{
    return layout->tokens + (layout->features > 0);
}

#endif
