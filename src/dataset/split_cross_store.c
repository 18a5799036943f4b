/* split_cross_store: all rows test. For a store that a model was not trained on: `wiresweep evaluate RUN --store OTHER
 * --protocol cross_store` scores every row of it, with normalisation, classes and parameters as trained. No row validates:
 * thresholds come from validation rows of the store that trained, since one chosen on this store would know it. */
#include "dataset/split_order.h"

static ws_err assign(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                     const int32_t *label, uint64_t count, uint8_t *part)
{
    (void)store;
    (void)options;
    (void)label;
    for (uint64_t i = 0; i < count; i++)
        part[chosen[i]] = WS_PART_TEST;
    return WS_OK;
}

const ws_protocol ws_protocol_cross_store = {"cross_store", "every row tests a model that was trained on another store",
                                             assign, true};
