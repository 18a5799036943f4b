/* linear_svm: a linear support vector machine a class against all others, on normalised columns: the linear model
 * (linear_model.h) with the squared hinge loss (Fan et al., LIBLINEAR, JMLR 2008)
 *
 *     sum_k max(0, 1 - y_k z_k)^2,     z = W x + b,   y_k = 1 for the row's class, -1 for the others
 */
#include "models/linear_model.h"

static const ws_option fields[] = {WS_LINEAR_OPTIONS, WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(ws_linear_options), fields, "linear_svm"};

static double loss(double *logits, int classes, int label)
{
    double sum = 0;
    for (int k = 0; k < classes; k++) {
        const double sign = k == label ? 1 : -1, short_of = 1 - sign * logits[k];
        sum += short_of > 0 ? short_of * short_of : 0;
        logits[k] = short_of > 0 ? -2 * sign * short_of : 0;
    }
    return sum;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    return ws_linear_fit_all(comm, context, training, loss, "linear_svm", learned);
}

const ws_model ws_model_linear_svm = {
    .name = "linear_svm",
    .help = "linear support vector machines, each class against all others, squared hinge loss",
    .tasks = WS_CAN_CLASSIFY,
    .deterministic = true,
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = ws_linear_score, .arrays = ws_linear_arrays},
};
