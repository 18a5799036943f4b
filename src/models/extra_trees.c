/* extra_trees: trees grown on all rows, each cut the best of one drawn at random in each of some columns (Geurts, Ernst & Wehenkel
 * 2006). */
#include "models/forest.h"

static const ws_option fields[] = {WS_OPTION_INT(ws_forest_options, trees, 800, 1, 100000, "trees"), WS_FOREST_OPTIONS,
                                   WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(ws_forest_options), fields, "extra_trees"};

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    return ws_forest_fit_all(comm, context, training, true, learned);
}

const ws_model ws_model_extra_trees = {
    .name = "extra_trees",
    .help = "trees on all rows, cut at places drawn at random",
    .tasks = WS_CAN_CLASSIFY,
    .raw = true,
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all,
                                       .prepare = ws_forest_prepare,
                                       .score = ws_forest_score,
                                       .arrays = ws_forest_arrays,
                                       .score_rows = WS_FOREST_SCORE_ROWS},
};
