/* What the flow-matching models share: options, the elements of a row that flow, and the batch of a step as points on paths.
 *
 * The elements of a row are its features (flow_cfm, unified_cfm) and then its packets, one after another (packet_cfm,
 * unified_cfm); those that the row has come first, padding behind them is zero and never enters a loss, a cost or a score.
 */
#ifndef WS_MODELS_CFM_H
#define WS_MODELS_CFM_H

#include "models/cfm_coupling.h"
#include "models/cfm_path.h"
#include "models/cfm_score.h"
#include "models/models.h"

/* Every model has the options its table names; the others are 0. */
typedef struct ws_cfm_options {
    double sigma;
    int path, coupling;
    int64_t ot_group;
    int flow_scope;
    int64_t packets;
    int64_t width, blocks, time_features;
    int backbone;
    int64_t heads, hidden;
    double dropout;
    double lambda, flow_weight, hide_share;
    ws_cfm_score_options score;
} ws_cfm_options;
enum { WS_FLOW_SCOPE_FULL, WS_FLOW_SCOPE_PREFIX };
enum { WS_BACKBONE_TRANSFORMER, WS_BACKBONE_MAMBA };

#define WS_CFM_PATH_OPTIONS                                                                                            \
    WS_OPTION_DOUBLE(ws_cfm_options, sigma, 0.1, 0, 10, "radius of the tube around the paths"),                        \
        WS_OPTION_ENUM(ws_cfm_options, path, "straight", WS_CFM_PATHS, "from noise to rows"),                          \
        WS_OPTION_ENUM(ws_cfm_options, coupling, "ot", WS_CFM_COUPLINGS, "how noise and rows are paired"),             \
        WS_OPTION_INT(ws_cfm_options, ot_group, 256, 1, 4096,                                                          \
                      "rows paired together; at most the batch, and divides it")
#define WS_CFM_SCOPE_OPTION                                                                                            \
    WS_OPTION_ENUM(ws_cfm_options, flow_scope, "full", "full|prefix",                                                  \
                   "features of the whole flow, or of its first packets only")

/* Conditions between these options; for the models' check. */
void ws_cfm_check(const ws_model_context *context, const ws_json *document, const cJSON *object, ws_problems *problems);

/* ---- elements ---- */

typedef struct ws_cfm_layout {
    int64_t features, tokens, columns; /* tokens: packets a row may have, of so many columns each */
    const bool *two_valued;            /* [columns] */
} ws_cfm_layout;
static inline int64_t ws_cfm_elements(const ws_cfm_layout *layout)
{
    return layout->features + layout->tokens * layout->columns;
}
/* Tokens that a row has. */
int64_t ws_cfm_tokens(const ws_cfm_layout *layout, const ws_samples *samples, uint64_t row);
/* All elements of a row to x1[elements], zeros behind those it has; returns how many these are. */
int64_t ws_cfm_row(const ws_cfm_layout *layout, const ws_samples *samples, uint64_t row, float *x1);

/* ---- a batch ---- */

/* The plan of a batch: for each position the one whose noise goes to its row. For ws_network's four functions. */
size_t ws_cfm_plan_bytes(const ws_model_context *context);
WS_MUST ws_err ws_cfm_scratch_create(const ws_model_context *context, const ws_cfm_layout *layout, void **scratch);
void ws_cfm_scratch_destroy(void **scratch);
void ws_cfm_plan_batch(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                       void *scratch, void *plan);

/* The point of one position: time t, x and velocity [elements], zeros behind the elements that the row has. plan NULL: every
 * row keeps its own noise. */
typedef struct ws_cfm_point {
    double t;
    int64_t valid;
} ws_cfm_point;
ws_cfm_point ws_cfm_draw(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                         const void *plan, uint64_t position, ws_real *x, ws_real *velocity);

#endif
