/* libFuzzer: one cell of a flow table, read as every kind of value; packet sequences above all. What is accepted is in range. */
#include "fuzz/fuzz_table.h"

#include <math.h>

static void check_packets(const char *text, size_t bytes)
{
    ws_flow_packet packets[FUZZ_PACKETS];
    size_t count = 0;
    if (!ws_table_parse_ppi(text, bytes, FUZZ_PACKETS, packets, &count))
        return;
    FUZZ_CHECK(count <= FUZZ_PACKETS);
    for (size_t k = 0; k < count; k++)
        FUZZ_CHECK(packets[k].offset_ns >= 0 && (packets[k].direction == 1 || packets[k].direction == -1));
}

static void check_numbers(const char *text, size_t bytes)
{
    enum { MOST = 8 };
    double list[MOST], number;
    size_t count = 0;
    if (ws_table_parse_list(text, bytes, list, MOST, &count))
        FUZZ_CHECK(count <= MOST);
    for (size_t i = 0; i < count && i < MOST; i++)
        FUZZ_CHECK(isfinite(list[i]));
    const ws_table_number kind = ws_table_parse_number(text, bytes, &number);
    FUZZ_CHECK(isfinite(number) && (kind == WS_NUMBER_OK || number == 0));
}

static void check_others(char *text, size_t bytes)
{
    static const ws_table_clock clock = {
        .utc_offset_s = -10800, .later_offset_s = -14400, .change_s = 1509850000, .afternoon = true};
    float bigrams[WS_TABLE_BYTES];
    uint8_t address[16];
    int64_t ns;
    ws_text label = {0};
    if (ws_table_parse_bigrams(text, bytes, bigrams))
        for (int i = 0; i < WS_TABLE_BYTES; i++)
            FUZZ_CHECK(bigrams[i] >= -1 && bigrams[i] <= 255);
    (void)ws_table_parse_address(text, bytes, address);
    (void)ws_table_parse_time(text, bytes, &clock, &ns);
    (void)ws_table_parse_protocol(text, bytes);
    ws_table_clean_label(&(ws_table_cell){.text = text, .length = (uint32_t)bytes, .doubled = true}, &label);
    FUZZ_CHECK(label.length <= 3 * bytes);
    ws_text_destroy(&label);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1); /* of the very size: a byte too far is seen */
    FUZZ_CHECK(text != NULL);
    char *cell = realloc(text, bytes > 0 ? bytes : 1);
    FUZZ_CHECK(cell != NULL);
    memcpy(cell, data, bytes);
    check_packets(cell, bytes);
    check_numbers(cell, bytes);
    check_others(cell, bytes);
    free(cell);
    return 0;
}
