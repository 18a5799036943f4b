/* libFuzzer: a CSV file of labels, and flows that are looked up in it. */
#include "fuzz/fuzz_flows.h"

static void look_up(ws_label_source *source)
{
    size_t count;
    const ws_label_level *levels = ws_labels_levels(source, &count);
    FUZZ_CHECK(count <= WS_LABEL_LEVELS_MAX);
    for (unsigned number = 0; number < FUZZ_FLOWS; number++) {
        ws_flow flow;
        int32_t classes[WS_LABEL_LEVELS_MAX];
        uint8_t attempted;
        fuzz_flow(number, &flow);
        const bool found = ws_labels_find(source, &flow, classes, &attempted);
        for (size_t l = 0; l < count; l++) {
            FUZZ_CHECK(classes[l] >= -1 && classes[l] < (int32_t)levels[l].classes);
            FUZZ_CHECK(found || classes[l] == -1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    ws_label_source *source = NULL;
    const ws_dataset_adapter *adapter = ws_dataset_find("generic");
    if (ws_labels_open(&source, adapter, fuzz_file("", 0, data, bytes), &fuzz_inputs) == WS_OK)
        look_up(source);
    ws_labels_destroy(&source);
    return 0;
}
