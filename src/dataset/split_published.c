/* split_published: the splits of published evaluations, so that numbers can be compared. Parts are disjoint here even
 * where the original's were not. Fractions are the publication's; those of the options do not enter.
 *
 *   shafir_10k   Shafir, Giryes, Wool (IEEE Trans. Networking 34, 2026): of the normal rows 10,000 train, 1,000 validate and
 *                10,000 test; of the anomalous ones 1,000 validate and 10,000 test; drawn at random.
 *                Fewer rows: all parts shrink alike
 *   netmamba     NetMamba+: at most 2,000 rows a class, cut 8:1:1 at random
 *   leaderboard  the pcapML leaderboard's notebook: about 30,000 rows, at least 50 a class, cut 4:1 at random into train and
 *                test
 *   leaderboard_temporal  the same rows; of each class the last fifth in time, at least one row, is test
 *   flowconx_v1  FlowCon-X as first published: a fifth of every class, at least one row, is test, the others train; of more
 *                than 10,000 test rows as many are scored, as equal in class as they can be; nothing validates
 */
#include "dataset/split_order.h"

#include <math.h>
#include <stdlib.h>

static int compare_rows(const void *left, const void *right)
{
    const ws_ordered_row *a = left, *b = right;
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->row_hash > b->row_hash) - (a->row_hash < b->row_hash);
}

/* The rows by class, each class in an order drawn from the seed. */
static ws_err draw(const ws_store *store, const ws_split_options *options, const uint64_t *chosen, const int32_t *class,
                   uint64_t count, ws_ordered_row **out)
{
    uint64_t *hashes;
    WS_TRY(ws_split_column(store, "/flows/row_hash", chosen, count, &hashes));
    ws_err error = WS_NEW_ARRAY(*out, count);
    for (uint64_t i = 0; error == WS_OK && i < count; i++)
        (*out)[i] = (ws_ordered_row){ws_random_u64((uint64_t)options->protocol_seed, WS_RANDOM_SPLIT, 2, hashes[i]),
                                     hashes[i], chosen[i], class[i]};
    if (error == WS_OK)
        qsort(*out, count, sizeof **out, compare_rows);
    free(hashes);
    WS_TRY(error);
    return WS_OK;
}

static uint64_t run_end(const ws_ordered_row *rows, uint64_t begin, uint64_t count)
{
    uint64_t end = begin;
    while (end < count && rows[end].class == rows[begin].class)
        end++;
    return end;
}

static void give(const ws_ordered_row *rows, uint64_t count, ws_part to, uint8_t *part)
{
    for (uint64_t i = 0; i < count; i++)
        part[rows[i].row] = (uint8_t)to;
}

/* ---------------------------------------------------------------- shafir_10k */
enum { SHAFIR_PART = 10000, SHAFIR_VALIDATION = 1000 };

/* Where there are fewer rows, all parts shrink alike, which is said. */
static ws_err scale_shafir(const ws_store *store, uint64_t normal, uint64_t anomalous, uint64_t *part_rows,
                           uint64_t *validation_rows)
{
    const uint64_t needed_normal = 2 * SHAFIR_PART + SHAFIR_VALIDATION, needed = SHAFIR_PART + SHAFIR_VALIDATION;
    double share = fmin(1, fmin((double)normal / (double)needed_normal, (double)anomalous / (double)needed));
    if (share == 1)
        return WS_OK;
    *part_rows = (uint64_t)floor(SHAFIR_PART * share);
    *validation_rows = (uint64_t)floor(SHAFIR_VALIDATION * share);
    WS_CHECK(
        *validation_rows > 0, CONFIG,
        "%s: protocol shafir_10k takes %llu normal and %llu anomalous rows; of %llu and %llu nothing is left to scale",
        store->path, (unsigned long long)needed_normal, (unsigned long long)needed, (unsigned long long)normal,
        (unsigned long long)anomalous);
    ws_warn("%s: protocol shafir_10k at %.1f %% of its size, for want of rows: %llu train, %llu and %llu test",
            store->path, 100 * share, (unsigned long long)*part_rows, (unsigned long long)*part_rows,
            (unsigned long long)*part_rows);
    return WS_OK;
}

static ws_err assign_shafir(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                            const int32_t *label, uint64_t count, uint8_t *part)
{
    bool *normal = NULL;
    int32_t *class = NULL;
    ws_ordered_row *rows = NULL;
    uint64_t normal_count = 0, part_rows = SHAFIR_PART, validation_rows = SHAFIR_VALIDATION;
    WS_CHECK(options->label != NULL && options->normal.count > 0, CONFIG,
             "protocol shafir_10k needs a label level and the names of its normal classes");
    WS_TRY(WS_NEW_ARRAY(class, count));
    ws_err error = ws_split_normal(store, options, label, count, &normal);
    for (uint64_t i = 0; error == WS_OK && i < count; i++)
        normal_count += (uint64_t)(class[i] = normal[i]);
    if (error == WS_OK)
        error = scale_shafir(store, normal_count, count - normal_count, &part_rows, &validation_rows);
    if (error == WS_OK)
        error = draw(store, options, chosen, class, count, &rows);
    if (error == WS_OK) {
        const ws_ordered_row *anomalous = rows, *ordinary = rows + (count - normal_count);
        give(anomalous, validation_rows, WS_PART_VALIDATION, part);
        give(anomalous + validation_rows, part_rows, WS_PART_TEST, part);
        give(ordinary, part_rows, WS_PART_TRAIN, part);
        give(ordinary + part_rows, validation_rows, WS_PART_VALIDATION, part);
        give(ordinary + part_rows + validation_rows, part_rows, WS_PART_TEST, part);
    }
    free(normal);
    free(class);
    free(rows);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- netmamba, leaderboard */
/* train:validation:test in tenths, of `most(class size, all rows)` rows a class. */
static ws_err assign_capped(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                            const int32_t *label, uint64_t count, uint64_t (*most)(uint64_t size, uint64_t all),
                            double train, double validation, uint8_t *part)
{
    ws_ordered_row *rows;
    const ws_split_options cut = {.train_fraction = train, .validation_fraction = validation};
    WS_TRY(draw(store, options, chosen, label, count, &rows));
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        end = run_end(rows, begin, count);
        uint64_t size = most(end - begin, count), train_end, validation_end;
        size = size < end - begin ? size : end - begin;
        ws_split_ends(size, &cut, &train_end, &validation_end);
        give(rows + begin, train_end, WS_PART_TRAIN, part);
        give(rows + begin + train_end, validation_end - train_end, WS_PART_VALIDATION, part);
        give(rows + begin + validation_end, size - validation_end, WS_PART_TEST, part);
    }
    free(rows);
    return WS_OK;
}

static uint64_t netmamba_most(uint64_t size, uint64_t all)
{
    (void)size;
    (void)all;
    return 2000;
}

static ws_err assign_netmamba(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                              const int32_t *label, uint64_t count, uint8_t *part)
{
    return assign_capped(store, options, chosen, label, count, netmamba_most, 0.8, 0.1, part);
}

static uint64_t leaderboard_most(uint64_t size, uint64_t all)
{
    uint64_t share = (uint64_t)floor(30000.0 * (double)size / (double)all + 0.5);
    return share < 50 ? 50 : share;
}

static ws_err assign_leaderboard(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                                 const int32_t *label, uint64_t count, uint8_t *part)
{
    return assign_capped(store, options, chosen, label, count, leaderboard_most, 0.8, 0, part);
}

static ws_err assign_leaderboard_temporal(const ws_store *store, const ws_split_options *options,
                                          const uint64_t *chosen, const int32_t *label, uint64_t count, uint8_t *part)
{
    ws_ordered_row *rows = NULL;
    uint64_t *times = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, draw(store, options, chosen, label, count, &rows));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(times, store->rows));
    WS_TRY_GOTO(done, ws_store_read(store, "/flows/first_ns", H5T_NATIVE_INT64, 0, store->rows, times));
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        end = run_end(rows, begin, count);
        const uint64_t most = leaderboard_most(end - begin, count), size = most < end - begin ? most : end - begin;
        const uint64_t tests = size / 5 > 0 ? size / 5 : 1;
        for (uint64_t i = begin; i < begin + size; i++) /* the sign bit maps the order of times to that of keys */
            rows[i].key = times[rows[i].row] ^ (UINT64_C(1) << 63);
        qsort(rows + begin, size, sizeof *rows, compare_rows);
        give(rows + begin, size - tests, WS_PART_TRAIN, part);
        give(rows + begin + size - tests, tests, WS_PART_TEST, part);
    }
done:
    free(times);
    free(rows);
    return error;
}

/* ---------------------------------------------------------------- flowconx_v1 */
enum { FLOWCONX_TEST_MOST = 10000 };

/* Of all test rows those that are scored: as many of each class, then any. `rows` are test rows by class. */
static void cap_test(ws_ordered_row *rows, uint64_t count, uint64_t most, uint64_t seed, uint8_t *part)
{
    uint64_t classes = 0, kept = 0, over = 0;
    for (uint64_t begin = 0; begin < count; begin = run_end(rows, begin, count))
        classes++;
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        end = run_end(rows, begin, count);
        for (uint64_t i = begin; i < end; i++) {
            if (i - begin < most / classes) {
                kept++;
                continue;
            }
            part[rows[i].row] = WS_PART_NONE;
            rows[over] = (ws_ordered_row){ws_random_u64(seed, WS_RANDOM_SPLIT, 3, rows[i].row_hash), rows[i].row_hash,
                                          rows[i].row, 0};
            over++;
        }
    }
    if (over > 0)
        qsort(rows, over, sizeof *rows, compare_rows);
    give(rows, most - kept < over ? most - kept : over, WS_PART_TEST, part);
}

static ws_err assign_flowconx_v1(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                                 const int32_t *label, uint64_t count, uint8_t *part)
{
    ws_ordered_row *rows;
    uint64_t tests = 0;
    WS_TRY(draw(store, options, chosen, label, count, &rows));
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        end = run_end(rows, begin, count);
        uint64_t fifth = (end - begin + 2) / 5; /* rounded: a fifth is never half way between two numbers */
        fifth = fifth > 0 ? fifth : 1;
        give(rows + begin, fifth, WS_PART_TEST, part);
        give(rows + begin + fifth, end - begin - fifth, WS_PART_TRAIN, part);
        memmove(rows + tests, rows + begin, fifth * sizeof *rows);
        tests += fifth;
    }
    if (tests > FLOWCONX_TEST_MOST)
        cap_test(rows, tests, FLOWCONX_TEST_MOST, (uint64_t)options->protocol_seed, part);
    free(rows);
    return WS_OK;
}

const ws_protocol ws_protocol_shafir_10k = {
    "shafir_10k", "published: 10,000 normal rows train, 10,000 of each kind test", assign_shafir, true};
const ws_protocol ws_protocol_netmamba = {"netmamba", "published: at most 2,000 rows a class, 8:1:1", assign_netmamba,
                                          true};
const ws_protocol ws_protocol_leaderboard = {"leaderboard", "published: about 30,000 rows, 4:1, no validation",
                                             assign_leaderboard, true};
const ws_protocol ws_protocol_leaderboard_temporal = {
    "leaderboard_temporal", "published: leaderboard's rows, the last fifth of each class in time tests",
    assign_leaderboard_temporal, true};
const ws_protocol ws_protocol_flowconx_v1 = {
    "flowconx_v1", "published: 4:1 within each class, at most 10,000 test rows, no validation", assign_flowconx_v1,
    true};
