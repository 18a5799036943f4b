/* split_groups: no session, host or capture is in two parts. Groups come in an order drawn from (protocol_seed, the
 * group's smallest row_hash), and each goes whole to the part that lacks the largest share of its rows; so three groups
 * fill three parts, and many groups give the asked sizes as far as they can. Where normal classes are named, groups with
 * normal rows are placed by these, and groups of anomalies alone test or validate: training would throw them away, and an
 * attack that fills one capture would be scored by luck. Classes are not stratified otherwise; the manifest shows what
 * came out. */
#include <math.h>
#include <stdlib.h>
#include "dataset/split_order.h"

typedef struct group_row {
    uint64_t id, row_hash, row;
    bool normal; /* every row where no classes are named */
} group_row;

typedef struct row_group {
    uint64_t key, name; /* drawn; smallest row_hash */
    uint64_t begin, count, normal;
} row_group;

static int compare_rows(const void *left, const void *right)
{
    const group_row *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->row_hash > b->row_hash) - (a->row_hash < b->row_hash);
}

static int compare_groups(const void *left, const void *right)
{
    const row_group *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->name > b->name) - (a->name < b->name);
}

/* Runs of equal id among the sorted rows; *groups holds `count` at most. */
static uint64_t list_groups(const group_row *rows, uint64_t count, uint64_t seed, row_group *groups)
{
    uint64_t group_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (i == 0 || rows[i].id != rows[i - 1].id)
            groups[group_count++] =
                (row_group){ws_random_u64(seed, WS_RANDOM_SPLIT, 1, rows[i].row_hash), rows[i].row_hash, i, 0, 0};
        groups[group_count - 1].count++;
        groups[group_count - 1].normal += rows[i].normal;
    }
    return group_count;
}

/* Of the parts that want something, the one with the smallest share of it; among equals the first of the order. */
static ws_part neediest(const ws_part order[3], const double *wanted, const double *given)
{
    ws_part to = order[0];
    double least = INFINITY;
    for (int i = 0; i < 3; i++)
        if (wanted[order[i]] > 0 && given[order[i]] / wanted[order[i]] < least) {
            to = order[i];
            least = given[to] / wanted[to];
        }
    return to;
}

static void place(const group_row *rows, const row_group *group, ws_part to, uint8_t *part)
{
    for (uint64_t i = group->begin; i < group->begin + group->count; i++)
        part[rows[i].row] = (uint8_t)to;
}

static void place_groups(const group_row *rows, uint64_t count, const row_group *groups, uint64_t group_count,
                         const ws_split_options *options, uint8_t *part)
{
    static const ws_part order[3] = {WS_PART_TRAIN, WS_PART_VALIDATION, WS_PART_TEST};
    static const ws_part anomalous_order[3] = {WS_PART_TEST, WS_PART_VALIDATION, WS_PART_TRAIN};
    uint64_t train_end, validation_end, normal = 0;
    for (uint64_t i = 0; i < count; i++)
        normal += rows[i].normal;
    ws_split_ends(normal, options, &train_end, &validation_end);
    const double wanted[WS_PART_COUNT] = {0, (double)train_end, (double)(validation_end - train_end),
                                          (double)(normal - validation_end)};
    const double anomalous_wanted[WS_PART_COUNT] = {[WS_PART_VALIDATION] = options->validation_fraction,
                                                    [WS_PART_TEST] =
                                                        1 - options->train_fraction - options->validation_fraction};
    double given[WS_PART_COUNT] = {0}, anomalous_given[WS_PART_COUNT] = {0};
    for (uint64_t g = 0; g < group_count; g++) {
        const bool anomalous = groups[g].normal == 0;
        ws_part to =
            anomalous ? neediest(anomalous_order, anomalous_wanted, anomalous_given) : neediest(order, wanted, given);
        if (anomalous)
            anomalous_given[to] += (double)groups[g].count;
        else
            given[to] += (double)groups[g].normal;
        place(rows, &groups[g], to, part);
    }
}

static ws_err assign_groups(const ws_store *store, const ws_split_options *options, const char *path,
                            const uint64_t *chosen, const int32_t *label, uint64_t count, uint8_t *part)
{
    uint64_t *ids = NULL, *hashes = NULL;
    bool *normal = NULL;
    group_row *rows = NULL;
    row_group *groups = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, ws_split_column(store, path, chosen, count, &ids));
    WS_TRY_GOTO(out, ws_split_column(store, "/flows/row_hash", chosen, count, &hashes));
    WS_TRY_GOTO(out, ws_split_normal(store, options, label, count, &normal));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(rows, count));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(groups, count));
    for (uint64_t i = 0; i < count; i++)
        rows[i] = (group_row){ids[i], hashes[i], chosen[i], normal[i]};
    qsort(rows, count, sizeof *rows, compare_rows);
    uint64_t group_count = list_groups(rows, count, (uint64_t)options->protocol_seed, groups);
    qsort(groups, group_count, sizeof *groups, compare_groups);
    place_groups(rows, count, groups, group_count, options, part);
out:
    free(groups);
    free(rows);
    free(normal);
    free(hashes);
    free(ids);
    return error;
}

#define GROUP_PROTOCOL(protocol, path, help)                                                                           \
    static ws_err assign_##protocol(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,    \
                                    const int32_t *label, uint64_t count, uint8_t *part)                               \
    {                                                                                                                  \
        return assign_groups(store, options, path, chosen, label, count, part);                                        \
    }                                                                                                                  \
    const ws_protocol ws_protocol_##protocol = {#protocol, help, assign_##protocol, false};

/* A store that was added to without knowing its hosts has some of them twice. */
static ws_err assign_host(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                          const int32_t *label, uint64_t count, uint8_t *part)
{
    if (ws_store_hosts_apart(store)) {
        ws_err error = WS_ERROR(FORMAT,
                                "%s: hosts of inputs that were added to it are numbered apart, so parts cannot be told "
                                "from each other by hosts",
                                store->path);
        WS_HINT("extract all inputs at once, or with --append from the first one on; protocol session needs no hosts");
        return error;
    }
    return assign_groups(store, options, "/flows/host_id", chosen, label, count, part);
}
const ws_protocol ws_protocol_host = {"host", "no forward sender is in two parts", assign_host, false};

GROUP_PROTOCOL(session, "/flows/session_id", "no 5-tuple is in two parts")
GROUP_PROTOCOL(capture, "/flows/input_id", "no input is in two parts")
