/* split_random: every class is cut by the fractions in an order drawn from (protocol_seed, row_hash), so the parts do
 * not depend on the order of the rows. */
#include <stdlib.h>
#include "dataset/split_order.h"

static ws_err assign(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                     const int32_t *label, uint64_t count, uint8_t *part)
{
    uint64_t *hashes;
    ws_ordered_row *rows;
    WS_TRY(ws_split_column(store, "/flows/row_hash", chosen, count, &hashes));
    ws_err error = WS_NEW_ARRAY(rows, count);
    if (error == WS_OK) {
        for (uint64_t i = 0; i < count; i++)
            rows[i] = (ws_ordered_row){ws_random_u64((uint64_t)options->protocol_seed, WS_RANDOM_SPLIT, 0, hashes[i]),
                                       hashes[i], chosen[i], label[i]};
        ws_split_cut(rows, count, options, part);
        free(rows);
    }
    free(hashes);
    WS_TRY(error);
    return WS_OK;
}

const ws_protocol ws_protocol_random = {"random", "stratified: every class is cut in an order drawn from the seed",
                                        assign, false};
