/* Pairing of noise and rows; see cfm_coupling.h. */
#include <math.h>
#include <stdlib.h>
#include "models/assignment.h"
#include "models/cfm_coupling.h"
#include "../kernels/scalar.h"

/* Sinkhorn: the regularisation falls from the largest cost by halves, so that potentials are near their place when it is
 * small, where iterations alone would take thousands. */
enum { ROUNDS_A_LEVEL = 4, MOST_ROUNDS = 500 };
static const float close_enough = 5e-3f; /* mean relative error of the rows' marginals */

ws_err ws_pairing_create(ws_pairing **out, int group, int64_t elements, bool uneven)
{
    ws_err error = WS_OK;
    const size_t n = (size_t)group, k = (size_t)elements;
    ws_pairing *p;
    WS_TRY(WS_NEW(p));
    *out = p;
    p->group = group;
    p->elements = elements;
    p->uneven = uneven;
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->noise, n * k));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->rows, n * k));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->valid, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->cost, n * n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->squares, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->of_row, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->of_noise, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->most, n));
    WS_TRY_GOTO(fail, ws_assignment_create(&p->assignment, group));
    return WS_OK;
fail:
    ws_pairing_destroy(out);
    return error;
}

void ws_pairing_destroy(ws_pairing **pairing)
{
    ws_pairing *p = *pairing;
    if (p == NULL)
        return;
    ws_assignment_destroy(&p->assignment);
    free(p->noise);
    free(p->rows);
    free(p->valid);
    free(p->cost);
    free(p->squares);
    free(p->of_row);
    free(p->of_noise);
    free(p->most);
    free(p);
    *pairing = NULL;
}

/* ---- cost ---- */

/* cost = -x1.x0, since the squares of both sides add the same to every permutation; but where a row sees the beginning of the
 * noise only, half the square of that is its own. */
static void find_cost_of(ws_pairing *p, int row)
{
    const float *x1 = p->rows + row * p->elements;
    const int group = p->group;
    float *cost = p->cost + (size_t)row * (size_t)group;
    memset(cost, 0, (size_t)group * sizeof *cost);
    for (int64_t k = 0; k < p->valid[row]; k++) {
        const float *x0 = p->noise + k * group;
        const float x = x1[k];
        for (int i = 0; i < group; i++)
            cost[i] -= x * x0[i];
    }
}

/* Adds half the squares of the noise over as many elements as the row has. */
static void add_squares(ws_pairing *p, int row)
{
    const int group = p->group;
    float *cost = p->cost + (size_t)row * (size_t)group, *sum = p->squares;
    memset(sum, 0, (size_t)group * sizeof *sum);
    for (int64_t k = 0; k < p->valid[row]; k++) {
        const float *x0 = p->noise + k * group;
        for (int i = 0; i < group; i++)
            sum[i] += x0[i] * x0[i];
    }
    for (int i = 0; i < group; i++)
        cost[i] += 0.5f * sum[i];
}

static void find_costs(ws_pairing *p)
{
    for (int row = 0; row < p->group; row++) {
        find_cost_of(p, row);
        if (p->uneven)
            add_squares(p, row);
    }
}

void ws_pair_exactly(ws_pairing *pairing, int32_t *noise_of)
{
    find_costs(pairing);
    ws_assignment_solve(pairing->assignment, pairing->cost, noise_of);
}

/* ---- the entropic plan: exp(of_row[j] + of_noise[i] - scale cost[j][i]), potentials in units of the regularisation ---- */

static float potential_of_row(ws_pairing *p, int row, float scale)
{
    const float *cost = p->cost + (size_t)row * (size_t)p->group;
    float most = -INFINITY, sum = 0, *share = p->squares;
    for (int i = 0; i < p->group; i++) {
        float x = p->of_noise[i] - scale * cost[i];
        most = x > most ? x : most;
    }
    for (int i = 0; i < p->group; i++)
        share[i] = ws_exp(p->of_noise[i] - scale * cost[i] - most);
    for (int i = 0; i < p->group; i++)
        sum += share[i];
    return -(most + ws_log(sum));
}

/* Makes each row's sum 1; returns the mean change that took, in logarithms: the relative error there was. */
static float balance_rows(ws_pairing *p, float scale)
{
    float error = 0;
    for (int row = 0; row < p->group; row++) {
        float potential = potential_of_row(p, row, scale);
        error += fabsf(potential - p->of_row[row]);
        p->of_row[row] = potential;
    }
    return error / (float)p->group;
}

static void balance_noise(ws_pairing *p, float scale)
{
    const int group = p->group;
    float *most = p->most, *sum = p->squares;
    for (int i = 0; i < group; i++) {
        most[i] = -INFINITY;
        sum[i] = 0;
    }
    for (int row = 0; row < group; row++) {
        const float *cost = p->cost + (size_t)row * (size_t)group, potential = p->of_row[row];
        for (int i = 0; i < group; i++) {
            float x = potential - scale * cost[i];
            most[i] = x > most[i] ? x : most[i];
        }
    }
    for (int row = 0; row < group; row++) {
        const float *cost = p->cost + (size_t)row * (size_t)group, potential = p->of_row[row];
        for (int i = 0; i < group; i++)
            sum[i] += ws_exp(potential - scale * cost[i] - most[i]);
    }
    for (int i = 0; i < group; i++)
        p->of_noise[i] = -(most[i] + ws_log(sum[i]));
}

static void find_plan(ws_pairing *p, double regularisation)
{
    const size_t group = (size_t)p->group, pairs = group * group;
    float lowest = INFINITY, highest = -INFINITY;
    for (size_t k = 0; k < pairs; k++) {
        lowest = p->cost[k] < lowest ? p->cost[k] : lowest;
        highest = p->cost[k] > highest ? p->cost[k] : highest;
    }
    memset(p->of_row, 0, group * sizeof *p->of_row);
    memset(p->of_noise, 0, group * sizeof *p->of_noise);
    double level = 2 * ((double)highest - lowest); /* cost is half of what the regularisation is measured in */
    while (level > regularisation) {
        for (int round = 0; round < ROUNDS_A_LEVEL; round++) {
            (void)balance_rows(p, (float)(2 / level));
            balance_noise(p, (float)(2 / level));
        }
        double next = level / 2 > regularisation ? level / 2 : regularisation;
        for (size_t i = 0; i < group; i++) { /* the potentials stay where they are in absolute terms */
            p->of_row[i] *= (float)(level / next);
            p->of_noise[i] *= (float)(level / next);
        }
        level = next;
    }
    for (int round = 0; round < MOST_ROUNDS; round++) {
        float error = balance_rows(p, (float)(2 / regularisation));
        if (round > 0 && error < close_enough)
            break;
        balance_noise(p, (float)(2 / regularisation));
    }
}

void ws_pair_entropically(ws_pairing *pairing, double regularisation, const float *uniform, int32_t *noise_of)
{
    const ws_pairing *p = pairing;
    const float scale = (float)(2 / regularisation);
    find_costs(pairing);
    find_plan(pairing, regularisation);
    for (int row = 0; row < p->group; row++) {
        const float *cost = p->cost + (size_t)row * (size_t)p->group;
        double total = 0, reached = 0;
        for (int i = 0; i < p->group; i++)
            total += ws_exp(p->of_row[row] + p->of_noise[i] - scale * cost[i]);
        int chosen = 0;
        for (int i = 0; i < p->group && reached < uniform[row] * total; i++) {
            float share = ws_exp(p->of_row[row] + p->of_noise[i] - scale * cost[i]);
            reached += share;
            chosen = share > 0 ? i : chosen;
        }
        noise_of[row] = chosen;
    }
}
