/* engine: a model is recorded once as a plan of coarse operators, differentiated, laid out in memory, and replayed for
 * every gradient shard of every step. Notes: engine_and_style 1.10; layout row-major, channel last.
 *
 *     ws_plan *plan;  ws_plan_create(&plan);
 *     ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){B, 20});
 *     ws_tensor v = ws_linear(plan, ws_linear(plan, x, 256, WS_SILU, "in"), 20, WS_NONE, "out");
 *     ws_tensor loss = ws_mse(plan, v, ws_input(plan, "u", 2, (int64_t[]){B, 20}));
 *     ws_plan_output(plan, v, "velocity");
 *     WS_TRY(ws_plan_finish(plan, loss));          // or WS_NO_TENSOR: forward only
 *     ws_executor *x; ws_executor_create(&x, plan);
 *     fill ws_executor_input(x, "x");
 *     ws_executor_forward(x, parameters);
 *     ws_executor_backward(x, parameters, gradients);
 *
 * Builder errors are sticky: the first mismatch is remembered with the node's name and both shapes, later calls do
 * nothing, ws_plan_finish reports it. No malloc in a step. An executor is used by one thread at a time; several may
 * share a plan. ws_real is float; the gradient tests compile kernels and engine a second time with -DWS_REAL_DOUBLE.
 */
#ifndef WS_ENGINE_H
#define WS_ENGINE_H

#include "core/core.h"
#include "../kernels/real.h" /* ws_real; WS_NONE, WS_RELU, WS_SILU, WS_GELU, WS_TANH, WS_LEAKY_RELU (0.01), WS_SIGMOID */

enum { WS_MAX_DIMENSIONS = 4 };
typedef struct ws_tensor {
    int32_t id; /* -1: none or after a builder error */
} ws_tensor;
#define WS_NO_TENSOR ((ws_tensor){-1})

typedef struct ws_plan ws_plan;
WS_MUST ws_err ws_plan_create(ws_plan **out);
void ws_plan_destroy(ws_plan **plan);
/* Of the products of linear and bmm recorded from now on. WS_BF16: both factors are rounded to bfloat16, forward and backward; they
 * are summed in single precision (in AMX tiles where the machine has them), and parameters, gradients and everything between the
 * products stay single precision too, as do the products inside attention and gru, which are small. */
void ws_plan_set_precision(ws_plan *plan, ws_precision precision);

/* ---- builders: one per operator of ops.def; names give parameters their names ("block.0.linear1.weight") ---- */
ws_tensor ws_input(ws_plan *plan, const char *name, int dimensions, const int64_t *shape);
ws_tensor ws_input_index(ws_plan *plan, const char *name, int64_t count); /* int32 class indices [count] */
/* y[B,N] = act(x[B,K] W[N,K]^T + b[N]); parameters NAME.weight (uniform +-1/sqrt(K)) and NAME.bias */
ws_tensor ws_linear(ws_plan *plan, ws_tensor x, int64_t width, ws_activation activation, const char *name);
ws_tensor ws_project(ws_plan *plan, ws_tensor x, int64_t width, const char *name); /* y = x W^T: no bias */
ws_tensor ws_layernorm(ws_plan *plan, ws_tensor x,
                       const char *name); /* over the last dimension, eps 1e-5, NAME.weight, NAME.bias */
/* Every column to mean 0 and variance 1 over the rows of the shard (Ioffe & Szegedy 2015), eps 1e-5, NAME.weight, NAME.bias; in calm
 * passes (ws_executor_set_calm) by the running averages NAME.running_mean and NAME.running_var, which are statistics. lengths:
 * WS_NO_TENSOR, or an index input of B numbers; then of x [B,T,D] the first lengths[b] tokens count, the others give zeros. Where fewer
 * than two rows count, the running averages are taken and stay. Statistics are of a shard, since they must not depend on ranks. A bias
 * right before it changes nothing (ws_project has none). */
ws_tensor ws_batchnorm(ws_plan *plan, ws_tensor x, ws_tensor lengths, const char *name);
ws_tensor ws_add(ws_plan *plan, ws_tensor a, ws_tensor b); /* same shape */
ws_tensor ws_activate(ws_plan *plan, ws_tensor x, ws_activation activation);
ws_tensor ws_concat(ws_plan *plan, ws_tensor a, ws_tensor b);                 /* along the last dimension */
ws_tensor ws_concat_tokens(ws_plan *plan, ws_tensor a, ws_tensor b);          /* [B,T1,D], [B,T2,D] -> [B,T1+T2,D] */
ws_tensor ws_slice(ws_plan *plan, ws_tensor x, int64_t begin, int64_t width); /* columns of the last dimension */
ws_tensor ws_slice_tokens(ws_plan *plan, ws_tensor x, int64_t begin, int64_t count); /* [B,T,D] -> [B,count,D] */
ws_tensor ws_select_token(ws_plan *plan, ws_tensor x, int64_t token);                /* [B,T,D] -> [B,D] */
ws_tensor ws_scale(ws_plan *plan, ws_tensor x, double factor);
/* x as it is; the gradient that comes back is multiplied by -lambda (Ganin & Lempitsky 2015). lambda_input: a real input [1] that
 * multiplies lambda in every step, or WS_NO_TENSOR. */
ws_tensor ws_gradient_reversal(ws_plan *plan, ws_tensor x, double lambda, ws_tensor lambda_input);
ws_tensor ws_mul(ws_plan *plan, ws_tensor a, ws_tensor b); /* same shape, element by element */
/* Each element 0 with the probability `rate`, else divided by 1 - rate (Srivastava et al. 2014); x as it is without random numbers
 * (ws_executor_set_random). The first dimension of x must be the rows of the batch, so that each draws numbers of its own. */
ws_tensor ws_dropout(ws_plan *plan, ws_tensor x, double rate);
/* Where hidden [B*T] is not 0 the token of x [B,T,D] becomes the learned vector NAME.weight [D] (normal, 0.02). */
ws_tensor ws_hide_tokens(ws_plan *plan, ws_tensor x, ws_tensor hidden, const char *name);
ws_tensor ws_rmsnorm(ws_plan *plan, ws_tensor x, const char *name); /* over the last dimension, eps 1e-5, NAME.weight */
/* A product for each of the first dimension: [B,M,K] times [B,K,N], or times [B,N,K] transposed, gives [B,M,N]. */
ws_tensor ws_bmm(ws_plan *plan, ws_tensor a, ws_tensor b, bool transposed);
/* ---- sequences: x is [B rows, T tokens, D width] ---- */
/* Softmax attention over the packed projections q|k|v [B,T,3D] of a linear; gives [B,T,D]. ranges: WS_NO_TENSOR, or an index input
 * of B*T*4: row (b,t) sees keys [lo0,hi0) and [lo1,hi1) (padding, windows, blocks); one that sees nothing gives zeros. */
typedef struct ws_attention_options {
    int64_t heads;
    bool causal;         /* token t sees no later ones */
    double rope_base;    /* 0: no rotary positions; 10000 is customary */
    int64_t rope_period; /* 0: the position of token t is t; else t modulo this */
    double dropout;      /* of probabilities, in passes after ws_executor_set_random */
} ws_attention_options;
ws_tensor ws_attention(ws_plan *plan, ws_tensor qkv, ws_tensor ranges, const ws_attention_options *options);
/* Layer norm times 1 + condition[b, scale..scale+D] plus condition[b, shift..shift+D]; condition is [B, columns]. */
ws_tensor ws_modulated_norm(ws_plan *plan, ws_tensor x, ws_tensor condition, int64_t shift, int64_t scale);
/* x + condition[b, gate..gate+D] * update */
ws_tensor ws_gated_add(ws_plan *plan, ws_tensor x, ws_tensor update, ws_tensor condition, int64_t gate);
ws_tensor ws_add_position(ws_plan *plan, ws_tensor x, const char *name); /* + NAME.weight [T,D], normal 0.02 */
/* y[b,k] = x[b,index[b,k]] of x [B,T,D] and index [B*K]: [B,K,D]. An index below 0 gives zeros. */
ws_tensor ws_gather_rows(ws_plan *plan, ws_tensor x, ws_tensor index);
/* The rows `index` of the learned table NAME.weight [rows,D] (normal, 0.02): [indices,D]. An index below 0 gives zeros. */
ws_tensor ws_embedding(ws_plan *plan, ws_tensor index, int64_t rows, int64_t D, const char *name);
/* The other way round: y[b,index[b,k]] = x[b,k] of x [B,K,D] and index [B*K]; of equal indices the last k counts, one below 0 goes
 * nowhere. Tokens of y [B,T,D] that nothing goes to are the learned vector NAME.weight [D] (normal, 0.02). */
ws_tensor ws_scatter_rows(ws_plan *plan, ws_tensor x, ws_tensor index, int64_t T, const char *name);
/* Gated linear unit: the left half of x [..,2D] times act(right half). WS_SIGMOID: Dauphin et al. 2017; WS_GELU: GeGLU. */
ws_tensor ws_glu(ws_plan *plan, ws_tensor x, ws_activation activation);
/* Means of tokens, [B,T,D] -> [B,D], over the first lengths[b] of them, or all without lengths; zeros where there are none.
 * attention_pool: weighted by the softmax of a learned score, NAME.weight [D] and NAME.bias. */
ws_tensor ws_mean_pool(ws_plan *plan, ws_tensor x, ws_tensor lengths);
ws_tensor ws_attention_pool(ws_plan *plan, ws_tensor x, ws_tensor lengths, const char *name);
ws_tensor ws_l2norm(ws_plan *plan, ws_tensor x); /* rows divided by their length, or by 1e-12 where that is more */
/* Losses: a scalar [1], mean over rows. */
/* sum over rows of weight * mean of (prediction - target)^2, over the sum of the weights; 0 where that is not above 0. weight: one
 * real a row, of which no gradient is taken; rows of weight 0 are not looked at, whatever they hold. */
ws_tensor ws_masked_mse(ws_plan *plan, ws_tensor prediction, ws_tensor target, ws_tensor weight);
ws_tensor ws_mse(ws_plan *plan, ws_tensor prediction, ws_tensor target);
ws_tensor ws_cross_entropy(ws_plan *plan, ws_tensor logits, ws_tensor index); /* index -1: row ignored */
/* The same with label smoothing (Szegedy et al. 2016) and class weights, a real input [C] of which no gradient is taken, or
 * WS_NO_TENSOR: the mean over rows is weighted by the weight of each row's class. */
ws_tensor ws_cross_entropy_with(ws_plan *plan, ws_tensor logits, ws_tensor index, double smoothing,
                                ws_tensor class_weights);
/* Binary cross entropy over all elements; target: reals from 0 to 1, of which no gradient is taken. */
ws_tensor ws_bce(ws_plan *plan, ws_tensor logits, ws_tensor target);
/* Supervised contrastive loss (Khosla et al. 2020) of embeddings [R,D], which should have length 1 (ws_l2norm): rows of one label
 * (an index a row; below 0: left out) attract each other. bank [K,D] and bank_labels [K], or WS_NO_TENSOR twice: more rows to
 * compare with, of which no gradient is taken; places of the bank that are not filled have a label below 0. */
ws_tensor ws_supcon(ws_plan *plan, ws_tensor embeddings, ws_tensor labels, double temperature, ws_tensor bank,
                    ws_tensor bank_labels);
/* Normalising flows. A state is [B,D+1]: a row and, last, the logarithm of the stretching so far (0 at first). spline_coupling:
 * the first `kept` columns stay, the others go through splines on [-bound, bound] of `bins` pieces, whose parameters are
 * theta [B,(D-kept)*(3*bins-1)]; then the columns roll on by one. beta_likelihood, a loss [1]: mean over rows of the negative
 * log-likelihood where the columns at the end are Beta(shape, shape) variables stretched to [-bound, bound]. */
ws_tensor ws_spline_coupling(ws_plan *plan, ws_tensor state, ws_tensor theta, int64_t kept, int64_t bins, double bound);
ws_tensor ws_beta_likelihood(ws_plan *plan, ws_tensor state, double bound, double shape);
/* ln of what scales that density: of D variables. */
double ws_beta_log_scale(int64_t columns, double bound, double shape);
/* Sequences [B,T,E]: B of them, T steps, E channels. */
/* The selective scan (Gu & Dao 2023) with the gate of its block: y silu(z), or y where z is WS_NO_TENSOR. delta is what a
 * projection gave; softplus and NAME.dt_bias [E] are added here. B_and_C is [B,T,2N], N <= 64 states a channel. Other parameters:
 * NAME.A_log [E,N], NAME.D [E]. */
ws_tensor ws_selective_scan(ws_plan *plan, ws_tensor u, ws_tensor delta, ws_tensor B_and_C, ws_tensor z,
                            const char *name);
/* Every channel by itself, over `width` steps: the step and those before it (causal), or around the step; zeros outside.
 * NAME.weight [E,width], NAME.bias. */
ws_tensor ws_conv1d_causal(ws_plan *plan, ws_tensor x, int64_t width, ws_activation activation, const char *name);
ws_tensor ws_conv1d_depthwise(ws_plan *plan, ws_tensor x, int64_t width, ws_activation activation, const char *name);
/* The steps in reverse. lengths: an index input of B numbers, steps beyond them stay where they are; WS_NO_TENSOR: all. */
ws_tensor ws_flip_sequence(ws_plan *plan, ws_tensor x, ws_tensor lengths);
/* Gated recurrent units (Cho et al. 2014): [B,T,hidden], or [B,T,2*hidden] with the direction from end to begin behind. lengths as
 * above, of 0 to T; steps beyond them give 0. NAME.weight_input, NAME.weight_hidden, NAME.bias_input, NAME.bias_hidden. */
ws_tensor ws_gru(ws_plan *plan, ws_tensor x, ws_tensor lengths, int64_t hidden, bool both_directions, const char *name);
/* Convolution over all channels, [B,(T+2*padding-width)/stride+1,channels], and the largest of every window. */
ws_tensor ws_conv1d(ws_plan *plan, ws_tensor x, int64_t channels, int64_t width, int64_t stride, int64_t padding,
                    ws_activation activation, const char *name);
ws_tensor ws_maxpool1d(ws_plan *plan, ws_tensor x, int64_t width, int64_t stride);
/* The same memory in another shape of as many elements; costs nothing. */
ws_tensor ws_view(ws_plan *plan, ws_tensor x, int dimensions, const int64_t *shape);
/* Makes the backward pass compute the gradient of the loss with respect to this input (ws_executor_input_gradient). */
void ws_input_gradient(ws_plan *plan, ws_tensor input);
/* Prepares for vector-Jacobian products of this tensor instead of a loss: the plan is finished with WS_NO_TENSOR, and
 * ws_executor_pull_back gives them with respect to the inputs of ws_input_gradient. */
void ws_pull_back_from(ws_plan *plan, ws_tensor output);
/* Another way for parameter NAME (as the open scopes see it, "in.weight") to begin: constant + scale * d, d being standard
 * normal or uniform in (-1, 1). */
void ws_plan_initial(ws_plan *plan, const char *parameter, double constant, double scale, bool normal);
void ws_scope_begin(ws_plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3))); /* prefixes names */
void ws_scope_end(ws_plan *plan);
void ws_plan_output(ws_plan *plan, ws_tensor tensor, const char *name); /* keeps its value readable after forward */

/* Checks, differentiates (unless loss is WS_NO_TENSOR), lays out memory and parameters. */
WS_MUST ws_err ws_plan_finish(ws_plan *plan, ws_tensor loss);

/* ---- parameters: one flat buffer, tensors at 64-byte aligned offsets in reverse order of first use ----
 * Statistics lie behind all others: running averages of what shards measure, which no gradient changes. Their place in a shard's
 * gradients holds what the shard has measured, so that the sum over shards merges them in the order in which it adds gradients;
 * ws_statistics_step moves them. Norms and clipping leave them out; checkpoints, hashes and averages of parameters do not. */
typedef struct ws_parameter {
    const char *name;
    int dimensions;
    int64_t shape[WS_MAX_DIMENSIONS];
    size_t offset, count; /* in ws_real units */
    bool decay;           /* weight decay applies (weights of linear layers) */
    bool statistic;
} ws_parameter;
size_t ws_plan_parameters(const ws_plan *plan, const ws_parameter **table); /* count; table borrowed */
size_t ws_plan_parameter_extent(const ws_plan *plan); /* elements of the flat buffer, with padding */
size_t ws_plan_executor_bytes(const ws_plan *plan);   /* memory of an executor in its place */
size_t ws_plan_trained_extent(const ws_plan *plan);   /* of them, those before the statistics */
size_t ws_plan_parameter_count(const ws_plan *plan);  /* without padding and statistics */
/* Initial values: a pure function of (seed, parameter name, element). Padding is zero. */
void ws_plan_initialise(const ws_plan *plan, uint64_t seed, ws_real *parameters);
double ws_plan_flops(const ws_plan *plan, bool with_backward); /* of one execution */
/* Nodes, shapes, bytes, flops, for people. */
WS_MUST ws_err ws_plan_describe(const ws_plan *plan, ws_text *out);

/* ---- execution ---- */
typedef struct ws_executor ws_executor;
WS_MUST ws_err ws_executor_create(ws_executor **out, const ws_plan *plan);
void ws_executor_destroy(ws_executor **executor);
ws_real *ws_executor_input(ws_executor *executor, const char *name); /* to be filled; NULL: no such input */
int32_t *ws_executor_input_index(ws_executor *executor, const char *name);
const ws_real *ws_executor_output(const ws_executor *executor, const char *name);
/* After backward: the gradient of an input that ws_input_gradient has asked for; NULL: there is none. */
const ws_real *ws_executor_input_gradient(const ws_executor *executor, const char *name);
/* What operators draw at random (dropout) in the passes that follow: numbers of the rows first_row, first_row + 1, ... of the batch
 * of this step. An executor begins without, as after ws_executor_set_calm: they leave their inputs as they are, and batchnorm takes
 * its running averages. */
void ws_executor_set_random(ws_executor *executor, uint64_t seed, uint64_t step, uint64_t first_row);
void ws_executor_set_calm(ws_executor *executor);
void ws_executor_forward(ws_executor *executor, const ws_real *parameters);
ws_real ws_executor_loss(const ws_executor *executor);
/* gradients (the whole extent) is overwritten, padding zeroed. NULL: only those of inputs are wanted. */
void ws_executor_backward(ws_executor *executor, const ws_real *parameters, ws_real *gradients);

/* After a forward pass, as often as wanted: cotangent[elements of the tensor] times the derivative of that tensor with respect
 * to each marked input, found with ws_executor_input_gradient. Host memory. */
void ws_executor_pull_back(ws_executor *executor, const ws_real *parameters, const ws_real *cotangent);

/* ---- optimisers: AdamW (Loshchilov & Hutter 2019), or plain gradient descent; one fused pass over the flat buffer ---- */
typedef struct ws_adamw {
    double beta1, beta2, epsilon, weight_decay;
} ws_adamw;
/* step counts from 1. scale multiplies the gradient first (clipping). */
void ws_adamw_step(const ws_plan *plan, const ws_adamw *options, double learning_rate, double scale, uint64_t step,
                   ws_real *parameters, const ws_real *gradients, ws_real *first_moment, ws_real *second_moment);
void ws_sgd_step(const ws_plan *plan, double weight_decay, double learning_rate, double scale, ws_real *parameters,
                 const ws_real *gradients);
/* Every statistic goes a tenth of the way to `scale` times its place in the gradients. scale: 1 / shards after a sum over them. */
void ws_statistics_step(const ws_plan *plan, double scale, ws_real *parameters, const ws_real *gradients);
/* Global 2-norm: partial sums over fixed 4096-element blocks in double, then a binary tree. */
double ws_gradient_norm(const ws_real *gradients, size_t extent);
void ws_ema_step(double decay, ws_real *average, const ws_real *parameters, size_t extent);
/* Linear warm-up, then cosine from peak to floor at `steps`. step from 0. */
double ws_cosine_schedule(double peak, double floor, uint64_t warmup, uint64_t steps, uint64_t step);

/* ---- places: where an executor runs: the CPU at the active instruction set level, or one CUDA device with its queue ----
 * The functions without a place work on the CPU. Parameters, gradients and moments given to an executor must be memory of
 * its place; on the CPU that is any memory. */
typedef enum ws_backend { WS_CPU, WS_CUDA } ws_backend;
typedef struct ws_place {
    ws_backend backend;
    const struct ws_device *device;
    const struct ws_kernels *kernels;
    void *queue; /* owned */
    void *mark;  /* owned; of ws_place_follow, NULL on the CPU */
} ws_place;
/* WS_E_UNSUPPORTED for WS_CUDA in a build without it. index: of the device among those of its kind, 0 on the CPU. */
WS_MUST ws_err ws_place_open(ws_place *out, ws_backend backend, int index);
void ws_place_close(ws_place *place);
/* count reals, zeroed. */
WS_MUST ws_err ws_place_allocate(const ws_place *place, ws_real **out, size_t count);
void ws_place_release(const ws_place *place, ws_real **memory);
/* Of the host, good for copies, zeroed. */
WS_MUST ws_err ws_place_allocate_host(const ws_place *place, ws_real **out, size_t count);
void ws_place_release_host(const ws_place *place, ws_real **memory);
/* Another queue of a CUDA place, for copies, sums and steps that go on beside it. Closed like any place, before the first. */
WS_MUST ws_err ws_place_open_beside(ws_place *out, const ws_place *of);
/* On CUDA: the cudaStream_t of its queue, for NCCL; bytes of the device; a copy within it; whether all has been done that the place had
 * been given at the last ws_place_set_mark. */
void *ws_place_stream(const ws_place *place);
void ws_place_memory(const ws_place *place, size_t *unused, size_t *whole);
void ws_place_copy(const ws_place *place, ws_real *to, const ws_real *from, size_t count);
void ws_place_zero(const ws_place *place, ws_real *memory, size_t count);
/* On CUDA: memory for reals as bfloat16, and the rounding of them. */
WS_MUST ws_err ws_place_allocate_rounded(const ws_place *place, uint16_t **out, size_t count);
void ws_place_release_rounded(const ws_place *place, uint16_t **memory);
void ws_place_round(const ws_place *place, uint16_t *to, const ws_real *from, size_t count);
void ws_place_set_mark(const ws_place *place);
bool ws_place_reached(const ws_place *place);
/* What `place` is given from now on begins when `other` has done what it was given before. Of one device. */
void ws_place_follow(const ws_place *place, const ws_place *other);
void ws_place_upload(const ws_place *place, ws_real *device, const ws_real *host, size_t count);
/* Waits; host holds the values afterwards. */
WS_MUST ws_err ws_place_download(const ws_place *place, ws_real *host, const ws_real *device, size_t count);
WS_MUST ws_err ws_place_wait(const ws_place *place);

/* An executor in a place; the place must outlive it. Inputs and outputs are host memory: forward copies them. */
WS_MUST ws_err ws_executor_create_at(ws_executor **out, const ws_plan *plan, const ws_place *place);
/* An executor that has inputs only: they are filled ahead of time and then copied into one that runs the same plan. */
WS_MUST ws_err ws_executor_create_inputs(ws_executor **out, const ws_plan *plan);
void ws_executor_copy_inputs(ws_executor *to, const ws_executor *from);
/* On a device: inputs are copied in the queue of `copies` (a place beside the executor's, which outlives it), so that the host fills and
 * copies those of one executor while another one computes. */
void ws_executor_set_copies(ws_executor *executor, const ws_place *copies);
/* On a device, where it is on at first: passes with the same parameters and gradients are captured when they run a second time, and
 * from then on replayed. */
void ws_executor_set_capture(ws_executor *executor, bool on);
/* On a device: the parameters of the passes that follow as bfloat16, in its memory; products of WS_BF16 then round no weights. The step of
 * the optimiser keeps such a copy (ws_update_state), ws_place_round makes one. NULL, as at first: each product rounds its own. */
void ws_executor_set_rounded(ws_executor *executor, const uint16_t *rounded);
/* Queues a copy of the loss of the last forward pass; *loss is memory of ws_place_allocate_host, and valid after waiting. */
void ws_executor_take_loss(const ws_executor *executor, ws_real *loss);

/* Buckets: contiguous slices that cover the gradients, which become final one after the other in the backward pass. */
enum { WS_MAX_BUCKETS = 8 };
typedef struct ws_bucket {
    size_t offset, count; /* in ws_real units */
    size_t node;          /* the last one of the backward pass that writes to it */
} ws_bucket;
typedef struct ws_buckets {
    ws_bucket items[WS_MAX_BUCKETS];
    size_t count;
} ws_buckets;
/* Each of `reals` or little more, the last one of what is left; of a multiple of that where there would be too many. */
ws_buckets ws_plan_buckets(const ws_plan *plan, size_t reals);
/* ready is called when all is queued that writes to the bucket. */
typedef void (*ws_bucket_ready)(void *context, size_t bucket);
void ws_executor_backward_in_buckets(ws_executor *executor, const ws_real *parameters, ws_real *gradients,
                                     const ws_buckets *buckets, ws_bucket_ready ready, void *context);

/* Waits for the executor's work; reports a device's fault. Outputs and loss are valid afterwards, and on a device before it: asking for
 * them waits, and so does asking for inputs that are still being copied. */
WS_MUST ws_err ws_executor_wait(ws_executor *executor);

/* Work of a place that is the same every time: done the first time, captured the second time and from then on replayed, where the place
 * can do that. Memory and numbers that it is given stay where they are; what they hold may change. All zeros: not done yet. */
typedef struct ws_repeat {
    bool warm, refused; /* done once, so that libraries have loaded what they need; not to be captured */
    void *graph;        /* owned */
} ws_repeat;
typedef void (*ws_work)(void *context);
void ws_repeat_run(ws_repeat *repeat, const ws_place *place, ws_work work, void *context);
void ws_repeat_forget(ws_repeat *repeat, const ws_place *place);

/* A step of the optimiser in a place, with the statistics and the average of the parameters. On a device it is one kernel, and what
 * changes from step to step lies in the device's memory: a step that was captured is replayed as another one. */
typedef struct ws_update {
    bool descent; /* plain gradient descent, with the weight decay of: */
    ws_adamw adamw;
    double rate, scale, statistics_scale, average_decay; /* scales: of the sum over shards */
    uint64_t step;                                       /* from 1 */
} ws_update;
typedef struct ws_update_state {
    ws_real *parameters, *first_moment, *second_moment, *average; /* the whole extent of each */
    const ws_real *gradients;
    uint16_t *rounded; /* on a device: the parameters as bfloat16, kept beside them; NULL: not wanted */
} ws_update_state;
typedef struct ws_updater ws_updater;
WS_MUST ws_err ws_updater_create(ws_updater **out, const ws_plan *plan, const ws_place *place);
void ws_updater_destroy(ws_updater **updater);
/* Both queue work in `place`: the updater's or one beside it. set: the numbers of the step; step: of the reals [offset, offset + count)
 * alone, of a bucket say. */
void ws_updater_set(ws_updater *updater, const ws_place *place, const ws_update *update);
void ws_updater_step(const ws_updater *updater, const ws_place *place, const ws_update_state *state, size_t offset,
                     size_t count);
/* A norm in two steps, so that nothing is allocated and the host does not wait in between: begin queues it, end takes it when the place
 * has been waited for. */
typedef struct ws_norm {
    void *sums, *host;
    size_t blocks;
} ws_norm;
WS_MUST ws_err ws_norm_create(ws_norm *out, const ws_place *place, size_t extent); /* of no more than that */
void ws_norm_destroy(ws_norm *norm, const ws_place *place);
void ws_norm_begin(ws_norm *norm, const ws_place *place, const ws_real *values, size_t extent);
double ws_norm_end(const ws_norm *norm);
WS_MUST ws_err ws_gradient_norm_at(const ws_place *place, const ws_real *gradients, size_t extent, double *out);
void ws_accumulate_at(const ws_place *place, ws_real *sum, const ws_real *value, size_t count);

/* Registry, for `wiresweep list operators`. */
typedef struct ws_operator_info {
    const char *name, *help;
} ws_operator_info;
size_t ws_operators(const ws_operator_info **table);

/* Floating-point operations a second of one core at the active instruction set level: independent multiply-adds, the best of a few
 * short runs (2 ms in all). */
double ws_multiply_add_peak(void);
/* So many rounds of them, for who times them; operations done. */
double ws_multiply_add_work(int64_t rounds);
/* The same of the instructions that products of bfloat16 factors run on: tiles where the level has them. */
double ws_multiply_bf16_work(int64_t rounds);

/* A training step of a plan whose inputs the executor has: forward, backward, norm of the gradient, AdamW, average. Appends two
 * lines, against the multiply-add peak and against its matrix products alone; *seconds of a step. */
WS_MUST ws_err ws_bench_step(ws_bench_report *report, const char *name, const ws_plan *plan, ws_executor *executor,
                             double *seconds);

/* `wiresweep bench gpu`: what a CUDA place can do at most, measured by copies of its memory and large matrix products; operators, and a
 * training step as above, kernel by kernel and captured, against that. divide: sizes are divided by it, to try it out on an emulated
 * device. */
typedef struct ws_device_ceilings {
    double bytes, flops, flops_bf16; /* a second */
} ws_device_ceilings;
WS_MUST ws_err ws_bench_device_ceilings(ws_bench_report *report, const ws_place *place, int64_t divide,
                                        ws_device_ceilings *out);
WS_MUST ws_err ws_bench_device_operators(ws_bench_report *report, const ws_place *place, int64_t divide,
                                         const ws_device_ceilings *ceilings);
WS_MUST ws_err ws_bench_device_step(ws_bench_report *report, const char *name, const ws_plan *plan,
                                    ws_executor *executor, const ws_place *place, const ws_device_ceilings *ceilings);

/* `wiresweep bench engine`: appends a table, or a JSON array of {name, value, unit, ceiling, of, ratio, target, met}. About 20 s. */
WS_MUST ws_err ws_bench_engine(ws_text *out, bool json);

/* For those who call the BLAS themselves, in the thread that does, before its first call: WS_E_MEMORY where OpenBLAS would ask for
 * memory for ever. Executors on the CPU have done it. */
WS_MUST ws_err ws_blas_prepare(void);

#endif
