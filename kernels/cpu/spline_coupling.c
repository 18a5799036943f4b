/* spline_coupling on the CPU: the splines of sixteen elements side by side, their parameters turned so that each number of all of them
 * lies together. The formulas are spline.h's; its loops over pieces are here over pieces and elements. */
#include "spline.h"
#include "transpose.h"

enum { SIDE = 16, MOST_NUMBERS = 3 * WS_SPLINE_MOST_BINS };

typedef ws_real row[SIDE]; /* one number of each element */

/* Sixteen elements of those that go through splines, counted over all rows of the batch. What is beyond the last has zeros. */
typedef struct side {
    const ws_spline_coupling_arguments *a;
    int64_t first;
    int count;
    row x, theta[MOST_NUMBERS]; /* widths, heights, inner slopes */
    row widths[WS_SPLINE_MOST_BINS], heights[WS_SPLINE_MOST_BINS];
    row bin, piece_x, piece_y, width, height, left, right;
    row raw_left, raw_right;                     /* the slopes at both ends before softplus */
    int64_t place[SIDE], next[SIDE], last[SIDE]; /* of x, of y and of the logarithm of the stretching in their states */
} side;

WS_INLINE ws_spline_piece piece_of(const side *s, int i)
{
    return (ws_spline_piece){(int)s->bin[i], s->piece_x[i], s->piece_y[i], s->width[i],
                             s->height[i],   s->left[i],    s->right[i]};
}

static int64_t moved_columns(const ws_spline_coupling_arguments *a)
{
    return a->D - a->kept;
}

/* Where elements lie, and where they go: one column on. */
static void find_places(side *s)
{
    const int64_t D = s->a->D, kept = s->a->kept, moved = moved_columns(s->a);
    int64_t state = s->first / moved * (D + 1), column = kept + s->first % moved;
    for (int i = 0; i < s->count; i++) {
        s->place[i] = state + column;
        s->next[i] = state + (column + 1 < D ? column + 1 : 0);
        s->last[i] = state + D;
        column++;
        if (column == D) {
            column = kept;
            state += D + 1;
        }
    }
}

/* size[k] = 2 bound (floor + (1 - bins floor) softmax(logits)[k]) */
static void find_sizes(row *logits, int bins, ws_real bound, row *size)
{
    const ws_real least = 2 * bound * WS_SPLINE_FLOOR, range = 2 * bound * (1 - (ws_real)bins * WS_SPLINE_FLOOR);
    const ws_real log2_e = (ws_real)1.4426950408889634074;
    row largest;
    memcpy(largest, logits[0], sizeof largest);
    for (int k = 1; k < bins; k++)
        for (int i = 0; i < SIDE; i++)
            largest[i] = logits[k][i] > largest[i] ? logits[k][i] : largest[i];
    for (int i = 0; i < SIDE; i += WS_WIDTH) {
        const ws_register most = ws_load(largest + i);
        ws_register sum = {0};
        for (int k = 0; k < bins; k++) {
            ws_register power = ws_exp2_falling((ws_load(logits[k] + i) - most) * log2_e);
            ws_store(size[k] + i, power);
            sum += power;
        }
        const ws_register scale = range / sum;
        for (int k = 0; k < bins; k++)
            ws_store(size[k] + i, least + scale * ws_load(size[k] + i));
    }
}

typedef __typeof__((ws_register){0} < (ws_register){0}) lanes_mask;
WS_INLINE ws_register choose(lanes_mask which, ws_register yes, ws_register no)
{
    return (ws_register)(((lanes_mask)yes & which) | ((lanes_mask)no & ~which));
}

/* The pieces of some elements: each knot that x has passed takes it on by one. */
WS_INLINE void find_pieces_of(side *s, int i)
{
    const int bins = s->a->bins;
    row *raw = s->theta + 2 * bins;
    const ws_register x = ws_load(s->x + i), zero = {0};
    ws_register bin = zero, at = zero - s->a->bound, level = at, width = ws_load(s->widths[0] + i);
    ws_register height = ws_load(s->heights[0] + i), left = ws_load(raw[0] + i), right = left;
    lanes_mask passed = zero == zero;
    for (int k = 0; k < bins - 1; k++) {
        const ws_register knot = at + width;
        passed &= x >= knot;
        at = choose(passed, knot, at);
        level = choose(passed, level + height, level);
        bin = choose(passed, bin + 1, bin);
        width = choose(passed, ws_load(s->widths[k + 1] + i), width);
        height = choose(passed, ws_load(s->heights[k + 1] + i), height);
        left = choose(passed, ws_load(raw[k] + i), left);
        right = choose(passed, ws_load(raw[k + 2 < bins ? k + 1 : k] + i), right); /* the last piece has none */
    }
    ws_store(s->bin + i, bin);
    ws_store(s->piece_x + i, at);
    ws_store(s->piece_y + i, level);
    ws_store(s->width + i, width);
    ws_store(s->height + i, height);
    ws_store(s->raw_left + i, left);
    ws_store(s->raw_right + i, right);
}

static void find_pieces(side *s)
{
    const ws_real last = (ws_real)(s->a->bins - 1);
    for (int i = 0; i < SIDE; i += WS_WIDTH)
        find_pieces_of(s, i);
    for (int i = 0; i < SIDE; i++) {
        ws_real left = WS_SPLINE_FLOOR + ws_softplus(s->raw_left[i]);
        ws_real right = WS_SPLINE_FLOOR + ws_softplus(s->raw_right[i]);
        s->left[i] = s->bin[i] == 0 ? (ws_real)1 : left;
        s->right[i] = s->bin[i] == last ? (ws_real)1 : right;
    }
}

static void load(side *s, int64_t first)
{
    const ws_spline_coupling_arguments *a = s->a;
    int64_t left = a->B * moved_columns(a) - first, stride = 3 * a->bins - 1, turned = 0;
    const ws_real *theta = a->theta + first * stride;
    s->first = first;
    s->count = left < SIDE ? (int)left : SIDE;
    find_places(s);
    if (s->count == SIDE) {
        turned = stride / 4 * 4;
        ws_transpose(SIDE, turned, theta, stride, s->theta[0], SIDE);
    } else {
        memset(s->x, 0, sizeof s->x);
        memset(s->theta, 0, (size_t)stride * sizeof *s->theta);
    }
    for (int i = 0; i < s->count; i++) {
        s->x[i] = a->state[s->place[i]];
        for (int64_t k = turned; k < stride; k++)
            s->theta[k][i] = theta[i * stride + k];
    }
    find_sizes(s->theta, a->bins, a->bound, s->widths);
    find_sizes(s->theta + a->bins, a->bins, a->bound, s->heights);
    find_pieces(s);
}

WS_OPERATOR_KERNEL(spline_coupling, forward)
{
    const int64_t D = a->D, moved = moved_columns(a);
    const ws_real bound = a->bound;
    side s;
    s.a = a;
    for (int64_t first = 0; first < a->B * moved; first += SIDE) {
        row y, log_slope;
        load(&s, first);
        for (int i = 0; i < SIDE; i++) {
            const ws_spline_piece p = piece_of(&s, i);
            y[i] = ws_spline_value_in(s.x[i], &p, bound, &log_slope[i]);
        }
        for (int i = 0; i < s.count; i++) {
            const bool inside = ws_spline_inside(s.x[i], bound);
            a->y[s.next[i]] = inside ? y[i] : s.x[i];
            a->scratch[first + i] = inside ? log_slope[i] : 0;
        }
    }
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *x = a->state + b * (D + 1);
        ws_real *y = a->y + b * (D + 1), stretched = x[D];
        for (int64_t i = 0; i < a->kept; i++)
            y[i + 1 < D ? i + 1 : 0] = x[i];
        for (int64_t i = 0; i < moved; i++)
            stretched += a->scratch[b * moved + i];
        y[D] = stretched;
    }
}

/* gradient[k], with respect to the logits, given how the loss changes with the size of an element's piece and of those before it. */
static void differentiate_sizes(const side *s, const row *size, const row of_piece, const row of_those_before,
                                row *gradient)
{
    const int bins = s->a->bins;
    const ws_real bound = s->a->bound, least = 2 * bound * WS_SPLINE_FLOOR;
    const ws_real range = 2 * bound * (1 - (ws_real)bins * WS_SPLINE_FLOOR);
    row mean = {0};
    for (int k = 0; k < bins; k++)
        for (int i = 0; i < SIDE; i++) {
            gradient[k][i] = (ws_real)k < s->bin[i] ? of_those_before[i] : (ws_real)k == s->bin[i] ? of_piece[i] : 0;
            mean[i] += gradient[k][i] * (size[k][i] - least);
        }
    for (int i = 0; i < SIDE; i++)
        mean[i] /= range;
    for (int k = 0; k < bins; k++)
        for (int i = 0; i < SIDE; i++)
            gradient[k][i] = (size[k][i] - least) * (gradient[k][i] - mean[i]);
}

/* The gradients of the elements' parameters, of which those of x outside the bounds are 0, go to their places. */
static void store(const side *s, row *gradient)
{
    const ws_spline_coupling_arguments *a = s->a;
    int64_t stride = 3 * a->bins - 1, padded = (stride + 3) / 4 * 4;
    ws_real turned[SIDE * MOST_NUMBERS];
    memset(gradient[stride], 0, (size_t)(padded - stride) * sizeof *gradient);
    ws_transpose(padded, SIDE, gradient[0], SIDE, turned, padded);
    for (int i = 0; i < s->count; i++) {
        ws_real *restrict to = a->dtheta + (s->first + i) * stride;
        const ws_real *restrict from = turned + i * padded;
        const bool inside = ws_spline_inside(s->x[i], a->bound);
        if (a->accumulate_dtheta)
            for (int64_t k = 0; inside && k < stride; k++)
                to[k] += from[k];
        else
            for (int64_t k = 0; k < stride; k++)
                to[k] = inside ? from[k] : 0;
    }
}

static void differentiate(const side *s, const row dy, const row dlog, row dx)
{
    const int bins = s->a->bins;
    row width, before, height, left, right, gradient[MOST_NUMBERS];
    for (int i = 0; i < SIDE; i++) {
        const ws_spline_piece p = piece_of(s, i);
        const ws_spline_change change = ws_spline_change_in(s->x[i], &p, dy[i], dlog[i]);
        dx[i] = change.x;
        width[i] = change.width;
        before[i] = change.width_before;
        height[i] = change.height;
        left[i] = change.left * ws_sigmoid(s->raw_left[i]);
        right[i] = change.right * ws_sigmoid(s->raw_right[i]);
    }
    if (!s->a->dtheta)
        return;
    differentiate_sizes(s, s->widths, width, before, gradient);
    differentiate_sizes(s, s->heights, height, dy, gradient + bins);
    for (int k = 1; k < bins; k++)
        for (int i = 0; i < SIDE; i++)
            gradient[2 * bins + k - 1][i] = (ws_real)k == s->bin[i]       ? left[i]
                                            : (ws_real)k == s->bin[i] + 1 ? right[i]
                                                                          : 0;
    store(s, gradient);
}

WS_OPERATOR_KERNEL(spline_coupling, backward)
{
    const int64_t D = a->D, moved = moved_columns(a);
    side s;
    s.a = a;
    for (int64_t first = 0; first < a->B * moved; first += SIDE) {
        row dy = {0}, dlog = {0}, dx;
        load(&s, first);
        for (int i = 0; i < s.count; i++) {
            dy[i] = a->dy[s.next[i]];
            dlog[i] = a->dy[s.last[i]];
        }
        differentiate(&s, dy, dlog, dx);
        for (int i = 0; a->dstate && i < s.count; i++) {
            ws_real *to = a->dstate + s.place[i];
            ws_real gradient = ws_spline_inside(s.x[i], a->bound) ? dx[i] : dy[i];
            *to = a->accumulate_dstate ? *to + gradient : gradient;
        }
    }
    for (int64_t b = 0; a->dstate && b < a->B; b++) {
        const ws_real *dy = a->dy + b * (D + 1);
        ws_real *dx = a->dstate + b * (D + 1);
        for (int64_t i = 0; i < a->kept; i++)
            dx[i] = (a->accumulate_dstate ? dx[i] : 0) + dy[i + 1 < D ? i + 1 : 0];
        dx[D] = (a->accumulate_dstate ? dx[D] : 0) + dy[D];
    }
}
