/* Scores of conditional flow matching; see cfm_score.h. Everything goes row by row but the evaluations of the field. */
#include "models/cfm_score.h"
#include <math.h>
#include <stdlib.h>

enum { TRACE_AUTO, TRACE_EXACT, TRACE_HUTCHINSON };
enum { MOST_EXACT_ELEMENTS = 32, MASKS = 4 };
static const char median_name[] = "terminal_norm_median";

typedef struct judging {
    const ws_cfm_score_options *options;
    const ws_cfm_field *field;
    const ws_cfm_scores *scores;
    uint64_t wanted;
    const ws_real *x;
    float *out;
    uint8_t *unsolved;         /* as in ws_scoring */
    uint8_t *strained;         /* [rows] the solution at hand is not kept to its tolerance */
    size_t count;              /* rows * columns */
    int64_t *used;             /* [rows] elements that a row has */
    int64_t most_used;         /* of any row */
    ws_real *z, *other;        /* [count] */
    ws_real *cotangent, *back; /* [count]: nll */
    ws_real *probes;           /* [draws][columns]: nll by probes */
    double *integral;          /* [rows]: nll */
    int32_t *hidden;           /* [rows][1 + tokens]: consistency */
} judging;

static bool wants(const ws_cfm_scores *scores, uint64_t wanted, ws_cfm_score_kind kind)
{
    for (int i = 0; i < scores->count; i++)
        if (scores->kinds[i] == kind && (wanted >> i & 1))
            return true;
    return false;
}

static bool judges(const judging *j, ws_cfm_score_kind kind)
{
    return wants(j->scores, j->wanted, kind);
}

static void give(const judging *j, int64_t row, ws_cfm_score_kind kind, double value)
{
    for (int i = 0; i < j->scores->count; i++)
        if (j->scores->kinds[i] == kind && (j->wanted >> i & 1)) {
            j->out[row * j->scores->count + i] = (float)value;
            if (j->unsolved)
                j->unsolved[row * j->scores->count + i] = j->strained[row];
        }
}

bool ws_cfm_score_pulls_back(const ws_cfm_scores *scores, uint64_t wanted)
{
    return wants(scores, wanted, WS_CFM_NLL);
}

static double sum_of_squares(const ws_real *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static double squared_distance(const ws_real *a, const ws_real *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

static double mean(double sum, int64_t count)
{
    return count > 0 ? sum / (double)count : 0;
}

/* ---- the field, with its divergence ---- */

static bool trace_is_exact(const judging *j)
{
    return j->options->trace == TRACE_EXACT ||
           (j->options->trace == TRACE_AUTO && j->field->columns <= MOST_EXACT_ELEMENTS);
}

/* The diagonal of the Jacobian, an element at a time. */
static void exact_divergence(const judging *j, double *out)
{
    const ws_cfm_field *f = j->field;
    memset(j->cotangent, 0, j->count * sizeof *j->cotangent);
    for (int64_t k = 0; k < j->most_used; k++) {
        for (int64_t r = 0; r < f->rows; r++)
            j->cotangent[r * f->columns + k] = k < j->used[r];
        f->pull_back(f->context, j->cotangent, j->back);
        for (int64_t r = 0; r < f->rows; r++) {
            out[r] += k < j->used[r] ? (double)j->back[r * f->columns + k] : 0;
            j->cotangent[r * f->columns + k] = 0;
        }
    }
}

/* Mean of e' J e over probes e of signs (Hutchinson 1989). */
static void estimated_divergence(const judging *j, double *out)
{
    const ws_cfm_field *f = j->field;
    for (int64_t draw = 0; draw < j->options->trace_draws; draw++) {
        const ws_real *probe = j->probes + draw * f->columns;
        memset(j->cotangent, 0, j->count * sizeof *j->cotangent);
        for (int64_t r = 0; r < f->rows; r++)
            memcpy(j->cotangent + r * f->columns, probe, (size_t)j->used[r] * sizeof *probe);
        f->pull_back(f->context, j->cotangent, j->back);
        for (int64_t r = 0; r < f->rows; r++)
            for (int64_t k = 0; k < j->used[r]; k++)
                out[r] += (double)probe[k] * j->back[r * f->columns + k] / (double)j->options->trace_draws;
    }
}

static void move(void *context, const double *time, const ws_real *x, ws_real *velocity, double *rate)
{
    const judging *j = context;
    j->field->velocity(j->field->context, time, x, velocity);
    if (rate == NULL)
        return;
    memset(rate, 0, (size_t)j->field->rows * sizeof *rate);
    if (trace_is_exact(j))
        exact_divergence(j, rate);
    else
        estimated_divergence(j, rate);
}

static ws_err solve(judging *j, double from, double to, ws_real *x, double *integral)
{
    const ws_cfm_score_options *o = j->options;
    ws_ode_options options = {(ws_ode_method)o->solver, o->solver_steps, o->solver_tolerance, o->solver_limit};
    ws_ode_field field = {j->field->rows, j->field->columns, j->used, move, j};
    return ws_ode_solve(&options, &field, from, to, x, integral, j->strained);
}

/* ---- where a row ends ---- */

static double packets_norm(const judging *j, int64_t row)
{
    const ws_cfm_field *f = j->field;
    int64_t packets = (j->used[row] - f->flow_columns) / (f->token_columns > 0 ? f->token_columns : 1);
    const ws_real *z = j->z + row * f->columns + f->flow_columns;
    return mean(sum_of_squares(z, packets * f->token_columns), packets * f->token_columns) / f->variance;
}

static double negative_log_density(const judging *j, int64_t row, double square)
{
    const double two_pi = 6.283185307179586, variance = j->field->variance;
    double constant = 0.5 * (double)j->used[row] * ws_fixed_log(two_pi * variance);
    return square / (2 * variance) + constant - j->integral[row];
}

static void judge_ends(judging *j, const ws_arrays *learned)
{
    const ws_cfm_field *f = j->field;
    const ws_array *median = learned ? ws_arrays_find(learned, median_name) : NULL;
    for (int64_t r = 0; r < f->rows; r++) {
        const ws_real *z = j->z + r * f->columns;
        double square = sum_of_squares(z, j->used[r]), norm = mean(square, j->used[r]) / f->variance;
        give(j, r, WS_CFM_TERMINAL_NORM, norm);
        give(j, r, WS_CFM_TERMINAL_FLOW, mean(sum_of_squares(z, f->flow_columns), f->flow_columns) / f->variance);
        give(j, r, WS_CFM_TERMINAL_PACKET, packets_norm(j, r));
        give(j, r, WS_CFM_TWO_SIDED, fabs(norm - (median ? median->values[0] : 1)));
        if (j->integral)
            give(j, r, WS_CFM_NLL, negative_log_density(j, r, square));
    }
}

static ws_err reconstruct(judging *j)
{
    const ws_cfm_field *f = j->field;
    for (int64_t r = 0; r < f->rows; r++) {
        ws_real *z = j->z + r * f->columns;
        double radius = j->options->reconstruction_radius * sqrt((double)j->used[r] * f->variance);
        double length = sqrt(sum_of_squares(z, j->used[r])), factor = length > radius ? radius / length : 1;
        for (int64_t k = 0; k < j->used[r]; k++)
            z[k] = (ws_real)(z[k] * factor);
    }
    WS_TRY(solve(j, 0, 1, j->z, NULL));
    for (int64_t r = 0; r < f->rows; r++) {
        size_t at = (size_t)(r * f->columns);
        give(j, r, WS_CFM_RECONSTRUCTION, mean(squared_distance(j->z + at, j->x + at, j->used[r]), j->used[r]));
    }
    return WS_OK;
}

static ws_err judge_by_terminals(judging *j, const ws_arrays *learned)
{
    static const ws_cfm_score_kind kinds[] = {WS_CFM_TERMINAL_NORM, WS_CFM_TERMINAL_FLOW, WS_CFM_TERMINAL_PACKET,
                                              WS_CFM_TWO_SIDED,     WS_CFM_NLL,           WS_CFM_RECONSTRUCTION};
    bool any = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        any = any || judges(j, kinds[i]);
    if (!any)
        return WS_OK;
    memcpy(j->z, j->x, j->count * sizeof *j->z);
    WS_TRY(solve(j, 1, 0, j->z, j->integral));
    judge_ends(j, learned);
    if (judges(j, WS_CFM_RECONSTRUCTION))
        WS_TRY(reconstruct(j));
    memset(j->strained, 0, (size_t)j->field->rows * sizeof *j->strained);
    return WS_OK;
}

/* ---- what the model says at t = 1 ---- */

static void judge_velocity(judging *j, double *ones)
{
    const ws_cfm_field *f = j->field;
    for (int64_t r = 0; r < f->rows; r++)
        ones[r] = 1;
    f->velocity(f->context, ones, j->x, j->other);
    for (int64_t r = 0; r < f->rows; r++)
        give(j, r, WS_CFM_VELOCITY, sqrt(mean(sum_of_squares(j->other + r * f->columns, j->used[r]), j->used[r])));
}

static void judge_flow_consistency(judging *j)
{
    const ws_cfm_field *f = j->field;
    for (int64_t r = 0; r < f->rows; r++)
        for (int64_t t = 0; t <= f->tokens; t++)
            j->hidden[r * (1 + f->tokens) + t] = t == 0;
    f->predict(f->context, j->x, j->hidden, j->other);
    for (int64_t r = 0; r < f->rows; r++) {
        size_t at = (size_t)(r * f->columns);
        double sum = squared_distance(j->other + at, j->x + at, f->flow_columns);
        give(j, r, WS_CFM_FLOW_CONSISTENCY, mean(sum, f->flow_columns));
    }
}

/* sums[rows]: squared error over all packets of a row, each predicted by the pass that hides it. */
static void judge_packet_consistency(judging *j, double *sums)
{
    const ws_cfm_field *f = j->field;
    memset(sums, 0, (size_t)f->rows * sizeof *sums);
    for (int mask = 0; mask < MASKS; mask++) {
        for (int64_t r = 0; r < f->rows; r++)
            for (int64_t t = 0; t <= f->tokens; t++)
                j->hidden[r * (1 + f->tokens) + t] = t > 0 && (t - 1) % MASKS == mask;
        f->predict(f->context, j->x, j->hidden, j->other);
        for (int64_t r = 0; r < f->rows; r++)
            for (int64_t t = mask; t < f->length[r]; t += MASKS) {
                size_t at = (size_t)(r * f->columns + f->flow_columns + t * f->token_columns);
                sums[r] += squared_distance(j->other + at, j->x + at, f->token_columns);
            }
    }
    for (int64_t r = 0; r < f->rows; r++)
        give(j, r, WS_CFM_PACKET_CONSISTENCY, mean(sums[r], f->length[r] * f->token_columns));
}

/* ---- all together ---- */

static void draw_probes(judging *j)
{
    const int64_t columns = j->field->columns;
    for (int64_t draw = 0; draw < j->options->trace_draws; draw++)
        for (int64_t k = 0; k < columns; k++) {
            uint64_t word = ws_random_u64(0, WS_RANDOM_PROBE, (uint64_t)draw, (uint64_t)k);
            j->probes[draw * columns + k] = word & 1 ? 1 : -1;
        }
}

static ws_err make_room(judging *j)
{
    const ws_cfm_field *f = j->field;
    const size_t rows = (size_t)f->rows;
    WS_TRY(WS_NEW_ARRAY(j->used, rows));
    WS_TRY(WS_NEW_ARRAY(j->strained, rows));
    for (int64_t r = 0; r < f->rows; r++) {
        j->used[r] = f->flow_columns + (f->length ? f->length[r] * f->token_columns : 0);
        j->most_used = j->used[r] > j->most_used ? j->used[r] : j->most_used;
    }
    WS_TRY(WS_NEW_ARRAY(j->z, j->count));
    WS_TRY(WS_NEW_ARRAY(j->other, j->count));
    if (judges(j, WS_CFM_FLOW_CONSISTENCY) || judges(j, WS_CFM_PACKET_CONSISTENCY))
        WS_TRY(WS_NEW_ARRAY(j->hidden, rows * (size_t)(1 + f->tokens)));
    if (!judges(j, WS_CFM_NLL))
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(j->cotangent, j->count));
    WS_TRY(WS_NEW_ARRAY(j->back, j->count));
    WS_TRY(WS_NEW_ARRAY(j->probes, (size_t)(j->options->trace_draws * f->columns)));
    WS_TRY(WS_NEW_ARRAY(j->integral, rows));
    draw_probes(j);
    return WS_OK;
}

static ws_err judge(judging *j, const ws_arrays *learned)
{
    double *of_rows;
    WS_TRY(make_room(j));
    WS_TRY(judge_by_terminals(j, learned));
    WS_TRY(WS_NEW_ARRAY(of_rows, (size_t)j->field->rows));
    if (judges(j, WS_CFM_VELOCITY))
        judge_velocity(j, of_rows);
    if (judges(j, WS_CFM_FLOW_CONSISTENCY))
        judge_flow_consistency(j);
    if (judges(j, WS_CFM_PACKET_CONSISTENCY))
        judge_packet_consistency(j, of_rows);
    free(of_rows);
    return WS_OK;
}

ws_err ws_cfm_score(const ws_cfm_score_options *options, const ws_cfm_field *field, const ws_cfm_scores *scores,
                    uint64_t wanted, const ws_real *x, ws_scoring *scoring)
{
    judging j = {options, field, scores, .wanted = wanted, .x = x, .out = scoring->out, .unsolved = scoring->unsolved};
    j.count = (size_t)(field->rows * field->columns);
    memset(scoring->out, 0, (size_t)(field->rows * scores->count) * sizeof *scoring->out);
    ws_err error = judge(&j, scoring->learned);
    free(j.used);
    free(j.strained);
    free(j.z);
    free(j.other);
    free(j.cotangent);
    free(j.back);
    free(j.probes);
    free(j.integral);
    free(j.hidden);
    return error;
}

/* ---- calibration ---- */

uint64_t ws_cfm_calibration(const ws_cfm_scores *scores, uint64_t wanted)
{
    if (!wants(scores, wanted, WS_CFM_TWO_SIDED))
        return 0;
    for (int i = 0; i < scores->count; i++)
        if (scores->kinds[i] == WS_CFM_TERMINAL_NORM)
            return UINT64_C(1) << i;
    return 0;
}

static int rising(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

ws_err ws_cfm_calibrate(const ws_cfm_scores *scores, const float *values, uint64_t rows, ws_arrays *learned)
{
    int norm = 0;
    float *sorted;
    double *median;
    while (scores->kinds[norm] != WS_CFM_TERMINAL_NORM)
        norm++;
    WS_TRY(ws_arrays_add(learned, median_name, 1, (int64_t[]){1}, &median));
    WS_TRY(WS_NEW_ARRAY(sorted, rows));
    for (uint64_t i = 0; i < rows; i++)
        sorted[i] = values[i * (uint64_t)scores->count + (uint64_t)norm];
    qsort(sorted, rows, sizeof *sorted, rising);
    if (rows > 0)
        *median = ((double)sorted[(rows - 1) / 2] + sorted[rows / 2]) / 2;
    free(sorted);
    return WS_OK;
}
