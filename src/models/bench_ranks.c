/* `wiresweep bench models` on several ranks: what they reach together, as a share of as many times what one of them reaches while
 * the others sleep: multiply-adds, and training steps of networks whose gradients are summed over all ranks. And the step with the
 * fixed tree of sums, as a share of the step with sums in whatever order MPI likes. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "models/bench_rows.h"

enum { SHARDS = 8, TURNS = 5, MOST_ROUNDS = 30, FEWEST_ROUNDS = 3 };
static const double ALONE_SECONDS = 0.15;
static const struct {
    const char *model;
    int batch;
} steps[] = {{"flow_cfm", 256}, {"unified_cfm", 64}};

typedef struct step {
    const ws_comm *comm;
    int own; /* shards of this rank */
    const ws_plan *plan;
    ws_executor *executor; /* inputs are filled */
    ws_real *parameters, *gradient, *first, *second, *average, *shards[SHARDS];
    ws_tree_room *room; /* of all ranks */
} step;

/* One training step over the ranks of comm, each with its own shards; alone: all shards on this rank, and nothing is sent. */
static ws_err make_step_all(const step *s, bool alone, bool fixed)
{
    const ws_comm self = ws_comm_self(), *comm = alone ? &self : s->comm;
    const size_t extent = ws_plan_parameter_extent(s->plan);
    const int own = alone ? SHARDS : s->own;
    const ws_adamw adamw = {0.9, 0.99, 1e-8, 1e-4};
    const bool together = fixed && !alone;
    float *const *shards = together ? ws_tree_room_shards(s->room) : s->shards;
    const ws_real *gradient = together ? ws_tree_room_result(s->room) : s->gradient;
    for (int k = 0; k < own; k++) {
        ws_executor_forward(s->executor, s->parameters);
        ws_executor_backward(s->executor, s->parameters, shards[k]);
    }
    if (together)
        WS_TRY(ws_tree_room_sum_all(s->room));
    else if (fixed)
        WS_TRY(ws_tree_sum_float_all(comm, SHARDS, s->shards, s->gradient, extent));
    else
        WS_TRY(ws_sum_in_any_order_all(comm, own, s->shards, s->gradient, extent));
    double norm = ws_gradient_norm(gradient, extent);
    ws_adamw_step(s->plan, &adamw, 1e-6, norm > 1 ? 1 / norm : 1, 1, s->parameters, gradient, s->first, s->second);
    ws_ema_step(0.999, s->average, s->parameters, extent);
    return WS_OK;
}

/* The first rank works for a while, the others sleep: spinning, they would not leave it the machine. */
static ws_err time_alone_all(const step *s, double *seconds)
{
    ws_err error = WS_OK;
    *seconds = 0;
    if (s->comm->rank > 0) {
        const struct timespec pause = {0, (long)(ALONE_SECONDS * 1e9)};
        nanosleep(&pause, NULL);
    }
    for (double begin = ws_clock_seconds(), now = begin; s->comm->rank == 0 && now < begin + ALONE_SECONDS;) {
        error = make_step_all(s, true, true);
        const double end = ws_clock_seconds();
        *seconds = *seconds == 0 || end - now < *seconds ? end - now : *seconds;
        now = end;
        if (error != WS_OK)
            break;
    }
    WS_AGREE(s->comm, error);
    return ws_broadcast_all(s->comm, seconds, sizeof *seconds, 0);
}

/* Seconds of the slowest rank. */
static ws_err time_once_all(const step *s, bool fixed, double *best)
{
    WS_TRY(ws_barrier_all(s->comm));
    const double begin = ws_clock_seconds();
    WS_TRY(make_step_all(s, false, fixed));
    int64_t nanoseconds = (int64_t)((ws_clock_seconds() - begin) * 1e9);
    WS_TRY(ws_max_i64_all(s->comm, &nanoseconds, 1));
    *best = *best == 0 || (double)nanoseconds * 1e-9 < *best ? (double)nanoseconds * 1e-9 : *best;
    return WS_OK;
}

/* Seconds of a step, the best of a short while: one rank alone, all ranks with the fixed tree, with sums in any order. */
typedef struct turn {
    double alone, fixed, any;
} turn;

static ws_err take_turn_all(const step *s, turn *t)
{
    *t = (turn){0};
    WS_TRY(time_alone_all(s, &t->alone));
    int rounds = (int)(2 * ALONE_SECONDS / t->alone);
    rounds = rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds < FEWEST_ROUNDS ? FEWEST_ROUNDS : rounds;
    for (int round = 0; round < rounds; round++) {
        WS_TRY(time_once_all(s, true, &t->fixed));
        WS_TRY(time_once_all(s, false, &t->any));
    }
    return WS_OK;
}

/* The turn whose share is the median one: clocks rise and fall between turns, less within one. */
static turn middle_turn(const turn *turns, bool of_any)
{
    for (int i = 0; i < TURNS; i++) {
        int below = 0;
        const double share = (of_any ? turns[i].any : turns[i].alone) / turns[i].fixed;
        for (int j = 0; j < TURNS; j++) {
            const double other = (of_any ? turns[j].any : turns[j].alone) / turns[j].fixed;
            below += other < share || (other == share && j < i);
        }
        if (below == TURNS / 2)
            return turns[i];
    }
    return turns[0];
}

/* Two ranks are to make 1.8 times as many steps, where their multiply-adds show that there are cores for it: cores_scale, of which
 * 1 is as many times one rank's as there are ranks. */
static ws_err bench_step_all(const step *s, const char *model, int batch, double cores_scale, ws_bench_report *report)
{
    char name[96];
    turn turns[TURNS];
    for (int i = 0; i < TURNS; i++)
        WS_TRY(take_turn_all(s, &turns[i]));
    const turn ranks = middle_turn(turns, false), sums = middle_turn(turns, true);
    snprintf(name, sizeof name, "%s step, %d rows, %d ranks", model, batch, s->comm->size);
    const bool judged = s->comm->size == 2 && cores_scale >= 0.95;
    ws_bench_line_with_target(report, name, 1 / ranks.fixed, "steps/s", s->comm->size / ranks.alone,
                              s->comm->size != 2 || judged
                                  ? "one rank's, times the ranks"
                                  : "one rank's, times the ranks, whose multiply-adds are below 95 % of that",
                              judged ? 0.9 : 0);
    snprintf(name, sizeof name, "%s step, sums by the fixed tree", model);
    ws_bench_line_with_target(report, name, 1 / sums.fixed, "steps/s", 1 / sums.any, "sums in any order", 0.97);
    return WS_OK;
}

static ws_err make_room(step *s)
{
    const size_t extent = ws_plan_parameter_extent(s->plan);
    WS_TRY(WS_NEW_ARRAY(s->parameters, extent));
    WS_TRY(WS_NEW_ARRAY(s->gradient, extent));
    WS_TRY(WS_NEW_ARRAY(s->first, extent));
    WS_TRY(WS_NEW_ARRAY(s->second, extent));
    WS_TRY(WS_NEW_ARRAY(s->average, extent));
    for (int k = 0; k < SHARDS; k++)
        WS_TRY(WS_NEW_ARRAY(s->shards[k], extent));
    ws_plan_initialise(s->plan, 1, s->parameters);
    return WS_OK;
}

static void release(step *s)
{
    free(s->parameters);
    free(s->gradient);
    free(s->first);
    free(s->second);
    free(s->average);
    for (int k = 0; k < SHARDS; k++)
        free(s->shards[k]);
    ws_tree_room_destroy(&s->room);
}

/* Local: the plan of a shard, its executor with inputs, memory. */
static ws_err prepare(const ws_bench_rows *rows, const ws_model *model, ws_plan *plan, ws_executor **executor, step *s)
{
    ws_tensor loss;
    double seconds;
    uint64_t begin, end;
    ws_even_split(SHARDS, s->comm->size, s->comm->rank, &begin, &end);
    s->own = (int)(end - begin);
    s->plan = plan;
    WS_TRY(model->network->build_training(&rows->context, plan, rows->context.batch / SHARDS, &loss));
    WS_TRY(ws_plan_finish(plan, loss));
    WS_TRY(ws_executor_create(executor, plan));
    s->executor = *executor;
    WS_TRY(ws_bench_rows_fill(rows, model->network, *executor, &seconds));
    return make_room(s);
}

static ws_err bench_model_all(const ws_comm *comm, const ws_model *model, int batch, double cores_scale,
                              ws_bench_report *report)
{
    ws_bench_rows rows;
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    step s = {.comm = comm};
    ws_err error = ws_bench_rows_create(&rows, model, batch, SHARDS);
    if (error == WS_OK)
        error = ws_plan_create(&plan);
    if (error == WS_OK)
        error = prepare(&rows, model, plan, &executor, &s);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_tree_room_create_all(&s.room, comm, SHARDS, ws_plan_parameter_extent(plan));
    if (error == WS_OK)
        error = bench_step_all(&s, model->name, batch, cores_scale, report);
    release(&s);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
    ws_bench_rows_destroy(&rows);
    WS_TRY(error);
    return WS_OK;
}

/* Operations a second of this rank over a tenth of a second. */
static double multiply_add_rate(void)
{
    double begin = ws_clock_seconds(), now = begin, done = 0;
    for (; now < begin + 0.1; now = ws_clock_seconds())
        done += ws_multiply_add_work(100000);
    return done / (now - begin);
}

static ws_err bench_multiply_adds_all(const ws_comm *comm, ws_bench_report *report, double *cores_scale)
{
    char name[64];
    double alone = 0;
    uint64_t together = 0, most = 0;
    if (comm->rank == 0) {
        alone = multiply_add_rate();
    } else {
        const struct timespec pause = {0, 100000000};
        nanosleep(&pause, NULL);
    }
    WS_TRY(ws_broadcast_all(comm, &alone, sizeof alone, 0));
    for (int round = 0; round < 5; round++) {
        WS_TRY(ws_barrier_all(comm));
        together = (uint64_t)multiply_add_rate();
        WS_TRY(ws_sum_u64_all(comm, &together, 1));
        most = together > most ? together : most;
    }
    *cores_scale = (double)most / (comm->size * alone);
    snprintf(name, sizeof name, "multiply-adds, %d ranks", comm->size);
    ws_bench_line(report, name, (double)most / 1e9, "GFLOP/s", comm->size * alone / 1e9, "one rank's, times the ranks");
    return WS_OK;
}

ws_err ws_bench_ranks_all(const ws_comm *comm, ws_bench_report *report)
{
    WS_CHECK(comm->size <= SHARDS, ARGUMENT, "bench models cuts a batch into %d shards; %d ranks are too many", SHARDS,
             comm->size);
    double cores_scale = 0;
    WS_TRY(bench_multiply_adds_all(comm, report, &cores_scale));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (size_t k = 0; ws_models[k]; k++)
            if (strcmp(ws_models[k]->name, steps[i].model) == 0)
                WS_TRY(bench_model_all(comm, ws_models[k], steps[i].batch, cores_scale, report));
    return WS_OK;
}
