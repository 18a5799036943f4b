/* random_forest: trees grown on rows drawn with putting back, each cut the best among columns drawn anew (Breiman 2001). */
#include "models/forest.h"

static const ws_option fields[] = {
    WS_OPTION_INT(ws_forest_options, trees, 400, 1, 100000, "trees"),
    WS_OPTION_BOOL(ws_forest_options, bootstrap, true, "a tree sees as many rows drawn with putting back, else all"),
    WS_FOREST_OPTIONS, WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(ws_forest_options), fields, "random_forest"};

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    return ws_forest_fit_all(comm, context, training, false, learned);
}

const ws_model ws_model_random_forest = {
    .name = "random_forest",
    .help = "trees on rows drawn with putting back, cut where it parts the classes best",
    .tasks = WS_CAN_CLASSIFY,
    .raw = true,
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all,
                                       .prepare = ws_forest_prepare,
                                       .score = ws_forest_score,
                                       .arrays = ws_forest_arrays,
                                       .score_rows = WS_FOREST_SCORE_ROWS},
};
