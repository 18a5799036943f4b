/* packet_cfm and unified_cfm: conditional flow matching on the first packets of a flow, without and with its features as one
 * more token. They differ in their options only: flow_weight 0, which packet_cfm has, leaves the features out.
 *
 *   loss     w mean_features (v - u)^2 + (1 - w) mean_packets mean_columns (v - u)^2, w = flow_weight; packets' mean over those
 *            of a row, then over rows
 *   lambda   weight of a second loss, on rows as they are at t = 1: of each either the features or hide_share of the packets
 *            are hidden (with packets alone always these), and predicted from the others; half the mean square error of hidden
 *            features, half that of hidden packets
 */
#ifndef WS_MODELS_CFM_TOKENS_H
#define WS_MODELS_CFM_TOKENS_H

#include "models/cfm_transformer.h"

#define WS_CFM_TOKENS_OPTIONS                                                                                          \
    WS_OPTION_INT(ws_cfm_options, packets, 32, 1, WS_CFM_TOKENS_MOST,                                                  \
                  "first packets of a flow that are read; the store must hold as many"),                               \
        WS_OPTION_INT(ws_cfm_options, width, 128, 1, 8192, "of a token; a multiple of heads"),                         \
        WS_OPTION_INT(ws_cfm_options, blocks, 4, 0, 64, "of the network"),                                             \
        WS_OPTION_ENUM(ws_cfm_options, backbone, "transformer", "transformer|mamba",                                   \
                       "attention among all tokens, or Mamba blocks over the packets in order, the features last"),    \
        WS_OPTION_INT(ws_cfm_options, heads, 4, 1, 64, "of the attention"),                                            \
        WS_OPTION_INT(ws_cfm_options, hidden, 512, 1, 32768, "transformer: width between a block's linear layers"),    \
        WS_OPTION_INT(ws_cfm_options, time_features, 128, 4, WS_CFM_TIME_FEATURES_MOST,                                \
                      "sines and cosines of t; even"),                                                                 \
        WS_OPTION_DOUBLE(ws_cfm_options, dropout, 0, 0, 0.9, "of tokens, attention and what blocks add"),              \
        WS_OPTION_DOUBLE(ws_cfm_options, lambda, 0.3, 0, 1000, "weight of the prediction of hidden tokens; 0: none"),  \
        WS_OPTION_DOUBLE(ws_cfm_options, hide_share, 0.3, 0.001, 1, "of the packets, where packets are hidden")

extern const ws_network ws_cfm_token_network;
extern const char *const ws_packet_cfm_scores[], *const ws_unified_cfm_scores[];
void ws_cfm_token_needs(const void *options, ws_needs *needs);
void ws_cfm_token_check(const ws_model_context *context, const ws_json *document, const cJSON *object,
                        ws_problems *problems);

#endif
