/* libFuzzer: a file of label rules, and flows that are looked up in it. A class is one of the level's, or none. */
#include "fuzz/fuzz_flows.h"

static void look_up(ws_label_rules *rules)
{
    size_t count;
    const ws_label_level *levels = ws_label_rules_levels(rules, &count);
    FUZZ_CHECK(count <= WS_LABEL_LEVELS_MAX);
    FUZZ_CHECK(ws_label_rules_bind(rules, &fuzz_inputs) == WS_OK);
    for (unsigned number = 0; number < FUZZ_FLOWS; number++) {
        ws_flow flow;
        int32_t classes[WS_LABEL_LEVELS_MAX];
        uint8_t attempted;
        fuzz_flow(number, &flow);
        const int rule = ws_label_rules_find(rules, &flow, classes, &attempted);
        FUZZ_CHECK(rule >= WS_RULE_OTHERWISE && rule < (int)rules->rule_count && attempted <= 7);
        for (size_t l = 0; l < count; l++)
            FUZZ_CHECK(classes[l] >= -1 && classes[l] < (int32_t)levels[l].classes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    ws_label_rules *rules = NULL;
    if (ws_label_rules_read(&rules, "generic", fuzz_file("", 0, data, bytes)) == WS_OK)
        look_up(rules);
    ws_label_rules_destroy(&rules);
    return 0;
}
