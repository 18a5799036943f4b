/* split_temporal: the past trains, the future tests. By the time of the first packet over all rows, or within each
 * class (which keeps every class in every part, at the price that the classes' periods differ). Equal times are ordered
 * by row_hash. The seed does not enter the parts. */
#include <stdlib.h>
#include "dataset/split_order.h"

static ws_err assign_by_time(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                             const int32_t *label, bool per_class, uint64_t count, uint8_t *part)
{
    uint64_t *hashes = NULL, *times = NULL;
    ws_ordered_row *rows = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, ws_split_column(store, "/flows/row_hash", chosen, count, &hashes));
    WS_TRY_GOTO(out, ws_split_column(store, "/flows/first_ns", chosen, count, &times));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(rows, count));
    /* Adding 2^63 maps the order of signed times to that of unsigned keys. */
    for (uint64_t i = 0; i < count; i++)
        rows[i] = (ws_ordered_row){times[i] + (UINT64_C(1) << 63), hashes[i], chosen[i], per_class ? label[i] : 0};
    ws_split_cut(rows, count, options, part);
out:
    free(rows);
    free(times);
    free(hashes);
    return error;
}

static ws_err assign_over_all(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                              const int32_t *label, uint64_t count, uint8_t *part)
{
    return assign_by_time(store, options, chosen, label, false, count, part);
}

static ws_err assign_per_class(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                               const int32_t *label, uint64_t count, uint8_t *part)
{
    return assign_by_time(store, options, chosen, label, true, count, part);
}

const ws_protocol ws_protocol_temporal = {"temporal", "by time over all rows: the past trains, the future tests",
                                          assign_over_all, false};
const ws_protocol ws_protocol_temporal_per_class = {"temporal_per_class", "by time within each class", assign_per_class,
                                                    false};
