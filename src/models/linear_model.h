/* linear_model: what linear classifiers share: one weight vector and bias a class, fitted to the unique optimum of
 *
 *     minimise  sum_i s_i loss(W x_i + b, label_i) / S  +  |W|^2 / (2 C S),     S = sum_i s_i
 * with s_i = rows / (classes * rows of the class) when balanced, else 1; the bias is not penalised. L-BFGS in double until
 * the largest component of the gradient is below the tolerance. Rows are cut into the gradient shards, whose sums run over
 * the fixed tree, so the result has the same bits for any number of ranks and threads.
 */
#ifndef WS_MODELS_LINEAR_MODEL_H
#define WS_MODELS_LINEAR_MODEL_H

#include "models/lbfgs.h"
#include "models/models.h"

enum { WS_LINEAR_BALANCED, WS_LINEAR_UNWEIGHTED };

typedef struct ws_linear_options {
    double inverse_regularisation;
    int class_weight;
    double gradient_tolerance;
    int64_t maximum_iterations, history;
} ws_linear_options;
/* The rows of an option table whose struct is ws_linear_options, all but the end. */
#define WS_LINEAR_OPTIONS                                                                                              \
    WS_OPTION_DOUBLE(ws_linear_options, inverse_regularisation, 1, 1e-12, 1e12,                                        \
                     "C: the larger, the less the weights shrink"),                                                    \
        WS_OPTION_ENUM(ws_linear_options, class_weight, "balanced", "balanced|none",                                   \
                       "balanced: every class counts the same"),                                                       \
        WS_OPTION_DOUBLE(ws_linear_options, gradient_tolerance, 1e-6, 1e-12, 1,                                        \
                         "largest gradient component at the end"),                                                     \
        WS_OPTION_INT(ws_linear_options, maximum_iterations, 2000, 1, 1000000, "iterations of L-BFGS at most"),        \
        WS_OPTION_INT(ws_linear_options, history, 10, 1, 100, "pairs that L-BFGS remembers")

/* The loss of a row; logits[classes] become its derivatives by them. Convex, with a continuous derivative. */
typedef double (*ws_linear_loss)(double *logits, int classes, int label);

/* Collective, as fit_all of a classical model whose options are ws_linear_options: learns "weight" [classes][columns] and "bias"
 * [classes]. The bias of a class without training rows is put out of reach (-1e30), so it is never predicted. */
WS_MUST ws_err ws_linear_fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                                 ws_linear_loss loss, const char *name, ws_arrays *learned);
extern const ws_learned_array ws_linear_arrays[];
WS_MUST ws_err ws_linear_score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows,
                               const float *values, float *out);

#endif
