/* libFuzzer: nDPI's expected results of a capture, and flows that are looked up in them. */
#include "fuzz/fuzz_flows.h"

static char folder[] = "/tmp/fuzz_ndpi.XXXXXX", link_path[64];

static void remove_folder(void)
{
    unlink(link_path);
    rmdir(folder);
}

/* Results of all inputs are the file in memory. */
static const char *results_folder(const char *file)
{
    if (link_path[0] == '\0') {
        FUZZ_CHECK(mkdtemp(folder) != NULL);
        snprintf(link_path, sizeof link_path, "%s/monday.pcap.out", folder);
        FUZZ_CHECK(symlink(file, link_path) == 0 && atexit(remove_folder) == 0);
    }
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const name = "/captures/monday.pcap";
    const ws_string_list inputs = {&name, 1};
    const char *labels = results_folder(fuzz_file("", 0, data, bytes));
    ws_label_source *source = NULL;
    size_t count;
    FUZZ_CHECK(ws_labels_open(&source, ws_dataset_find("ndpi"), labels, &inputs) == WS_OK);
    const ws_label_level *levels = ws_labels_levels(source, &count);
    FUZZ_CHECK(count == 2);
    for (unsigned number = 0; number < FUZZ_FLOWS; number++) {
        ws_flow flow;
        int32_t classes[WS_LABEL_LEVELS_MAX];
        uint8_t attempted;
        fuzz_flow(number, &flow);
        flow.input = 0;
        const bool found = ws_labels_find(source, &flow, classes, &attempted);
        for (size_t l = 0; l < count; l++)
            FUZZ_CHECK(classes[l] >= -1 && classes[l] < (int32_t)levels[l].classes && (found || classes[l] == -1));
    }
    ws_labels_destroy(&source);
    return 0;
}
