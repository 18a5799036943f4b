/* logistic: multinomial logistic regression on normalised columns: the linear model (linear_model.h) with the loss
 *
 *     -ln p[label],     p = softmax(W x + b)
 */
#include <math.h>
#include "models/linear_model.h"

static const ws_option fields[] = {WS_LINEAR_OPTIONS, WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(ws_linear_options), fields, "logistic"};

static double loss(double *logits, int classes, int label)
{
    double most = logits[0], own = logits[label], sum = 0;
    for (int k = 1; k < classes; k++)
        most = logits[k] > most ? logits[k] : most;
    for (int k = 0; k < classes; k++)
        sum += logits[k] = exp(logits[k] - most);
    for (int k = 0; k < classes; k++)
        logits[k] = logits[k] / sum - (k == label);
    return most + log(sum) - own;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    return ws_linear_fit_all(comm, context, training, loss, "logistic", learned);
}

const ws_model ws_model_logistic = {
    .name = "logistic",
    .help = "multinomial logistic regression, class-balanced, to a stated gradient tolerance",
    .tasks = WS_CAN_CLASSIFY,
    .deterministic = true,
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = ws_linear_score, .arrays = ws_linear_arrays},
};
