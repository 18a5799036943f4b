/* unified_cfm: conditional flow matching on the first packets of a flow and its features together, for anomaly detection; see
 * cfm_tokens.h. */
#include "models/cfm_tokens.h"

static const ws_option fields[] = {
    WS_CFM_PATH_OPTIONS,
    WS_CFM_SCOPE_OPTION,
    WS_CFM_TOKENS_OPTIONS,
    WS_OPTION_DOUBLE(ws_cfm_options, flow_weight, 0.5, 0.001, 0.999, "share of the features in the loss"),
    WS_CFM_SCORE_OPTIONS(ws_cfm_options),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(ws_cfm_options), fields, "unified_cfm"};

const ws_model ws_model_unified_cfm = {
    .name = "unified_cfm",
    .help = "conditional flow matching on the packets and the features of a flow",
    .tasks = WS_CAN_ANOMALY,
    .scores = ws_unified_cfm_scores,
    .options = &options_table,
    .needs = ws_cfm_token_needs,
    .check = ws_cfm_token_check,
    .network = &ws_cfm_token_network,
};
