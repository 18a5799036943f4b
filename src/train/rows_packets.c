/* What models read of packets: the first packets of each row as 9-d vectors, and features of no more packets than these. Only
 * for models that ask for it (ws_needs).
 *
 * Lengths, gaps and windows are normalised by the packets of the training rows; the direction stays +1 or -1, and flags
 * become that too.
 */
#include <stdlib.h>
#include "train/internal.h"

enum { BLOCK_ROWS = 4096 };

static const bool two_valued[WS_PACKET9_COLUMNS] = {false, false, true, false, true, true, true, true, true};
enum { DIRECTION = 2 };

ws_sequence_shape ws_packets_shape(int tokens)
{
    return (ws_sequence_shape){tokens, WS_PACKET9_COLUMNS, two_valued};
}

ws_err ws_store_check_needs(const ws_store *store, const char *features, const ws_needs *needs, const char **complaint,
                            int64_t *stored)
{
    char *text;
    ws_json *options = NULL;
    *complaint = NULL;
    *stored = 0;
    if (needs->features_of_packets && strcmp(features, "flow20") != 0)
        *complaint = "only the features of table \"flow20\" can be made of packets";
    if (needs->tokens[WS_SEQUENCE_PACKETS] == 0)
        return WS_OK;
    WS_TRY(ws_h5_read_attribute_text(store->file, "/provenance", "options", &text));
    ws_err error = ws_json_read_text(&options, text, store->path);
    free(text);
    WS_TRY(error);
    const cJSON *packets = ws_json_find(ws_json_root(options), "packets");
    *stored = store->packets > 0 && cJSON_IsNumber(packets) ? (int64_t)packets->valuedouble : 0;
    ws_json_destroy(&options);
    if (*stored == 0)
        *complaint = "the store has no packets; it is made of flow tables, or with --packets 0";
    else if (*stored < needs->tokens[WS_SEQUENCE_PACKETS])
        *complaint = "the store holds fewer packets of a flow; extract with more --packets";
    return WS_OK;
}

/* ---- reading ---- */

typedef struct part_packets {
    float *values;
    int32_t *length;
    uint64_t filled;
} part_packets;

static ws_err make_room(const ws_needs *needs, ws_rows *rows, part_packets parts[WS_PART_COUNT])
{
    const int tokens = (int)needs->tokens[WS_SEQUENCE_PACKETS];
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++) {
        const size_t n = rows->part[p].rows;
        WS_TRY(ws_arena_alloc(rows->arena, &parts[p].values, n * (size_t)tokens * WS_PACKET9_COLUMNS, sizeof(float)));
        WS_TRY(ws_arena_alloc(rows->arena, &parts[p].length, n, sizeof *parts[p].length));
        rows->part[p].sequence[WS_SEQUENCE_PACKETS] =
            (ws_sequence){tokens, WS_PACKET9_COLUMNS, parts[p].values, parts[p].length};
    }
    return WS_OK;
}

/* The chosen columns of the features of these packets alone. */
static void take_features(const ws_flow_packet *packets, uint32_t count, const ws_packet_features *to, ws_part part,
                          uint64_t row)
{
    float all[WS_FLOW20_COLUMNS], *out = to->values[part] + row * (uint64_t)to->columns;
    ws_flow20_from_packets(packets, count, all);
    for (int c = 0; c < to->columns; c++)
        out[c] = all[to->chosen[c]];
}

/* Rows [begin, begin + count) of the store to their parts. */
static void take_block(const uint8_t *part, uint64_t count, const uint64_t *start, const ws_flow_packet *packets,
                       const ws_needs *needs, const ws_packet_features *features, part_packets parts[WS_PART_COUNT])
{
    const uint64_t tokens = (uint64_t)needs->tokens[WS_SEQUENCE_PACKETS];
    for (uint64_t i = 0; i < count; i++) {
        part_packets *to = &parts[part[i]];
        const ws_flow_packet *stored = packets + start[i];
        uint64_t length = start[i + 1] - start[i];
        if (part[i] == WS_PART_NONE)
            continue;
        length = length < tokens ? length : tokens;
        for (uint32_t k = 0; k < length; k++)
            ws_packet9(stored, k, to->values + (to->filled * tokens + k) * WS_PACKET9_COLUMNS);
        to->length[to->filled] = (int32_t)length;
        if (needs->features_of_packets)
            take_features(stored, (uint32_t)length, features, (ws_part)part[i], to->filled);
        to->filled++;
    }
}

ws_err ws_rows_read_packets(const ws_store *store, const uint8_t *part, const ws_needs *needs,
                            const ws_packet_features *features, ws_rows *rows)
{
    part_packets parts[WS_PART_COUNT] = {{0}};
    uint64_t *start;
    const char *complaint;
    int64_t stored;
    if (needs->tokens[WS_SEQUENCE_PACKETS] == 0)
        return WS_OK;
    WS_TRY(ws_store_check_needs(store, "flow20", needs, &complaint, &stored));
    WS_CHECK(complaint == NULL, CONFIG, "%s: %s", store->path, complaint);
    WS_TRY(make_room(needs, rows, parts));
    WS_TRY(ws_arena_alloc(rows->arena, &start, BLOCK_ROWS + 1, sizeof *start));
    for (uint64_t begin = 0; begin < store->rows; begin += BLOCK_ROWS) {
        const uint64_t count = store->rows - begin < BLOCK_ROWS ? store->rows - begin : BLOCK_ROWS;
        ws_flow_packet *packets = NULL;
        WS_TRY(ws_store_read_packets(store, begin, count, start, &packets));
        take_block(part + begin, count, start, packets, needs, features, parts);
        free(packets);
    }
    rows->sequence[WS_SEQUENCE_PACKETS] = ws_packets_shape((int)needs->tokens[WS_SEQUENCE_PACKETS]);
    return WS_OK;
}

/* ---- normalisation ---- */

/* From the packets of the training rows; columns of two values are not fitted. */
static ws_err fit(const ws_sequence *packets, uint64_t rows, ws_normalisation *out)
{
    uint64_t *present, count = 0;
    for (uint64_t i = 0; i < rows; i++)
        count += (uint64_t)packets->length[i];
    WS_CHECK(count > 0, CONFIG, "the training rows have no packets");
    WS_TRY(WS_NEW_ARRAY(present, count));
    count = 0;
    for (uint64_t i = 0; i < rows; i++)
        for (int32_t k = 0; k < packets->length[i]; k++)
            present[count++] = i * (uint64_t)packets->tokens + (uint64_t)k;
    ws_err error = ws_normalisation_fit(out, packets->values, present, count, WS_PACKET9_COLUMNS);
    free(present);
    WS_TRY(error);
    for (int c = 0; c < WS_PACKET9_COLUMNS; c++)
        if (two_valued[c]) {
            out->mean[c] = c == DIRECTION ? 0 : 0.5;
            out->deviation[c] = c == DIRECTION ? 1 : 0.5;
        }
    return WS_OK;
}

ws_err ws_rows_normalise_packets(const ws_frozen *frozen, ws_rows *rows)
{
    ws_normalisation *normalisation = &rows->packet_normalisation;
    if (rows->sequence[WS_SEQUENCE_PACKETS].tokens == 0)
        return WS_OK;
    if (frozen != NULL)
        WS_TRY(ws_frozen_normalisation(frozen->packet_mean, frozen->packet_deviation, WS_PACKET9_COLUMNS, frozen->clip,
                                       normalisation));
    else
        WS_TRY(fit(&rows->part[WS_PART_TRAIN].sequence[WS_SEQUENCE_PACKETS], rows->part[WS_PART_TRAIN].rows,
                   normalisation));
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++) {
        const ws_sequence *packets = &rows->part[p].sequence[WS_SEQUENCE_PACKETS];
        const size_t stride = (size_t)packets->tokens * WS_PACKET9_COLUMNS;
        float *values = (float *)packets->values; /* the arena's, filled above */
        for (uint64_t i = 0; i < rows->part[p].rows; i++)
            ws_normalise(normalisation, values + i * stride, values + i * stride, (uint64_t)packets->length[i]);
    }
    return WS_OK;
}

ws_err ws_samples_copy_sequences(ws_arena *arena, const ws_samples *from, const uint8_t *left_out, ws_samples *out)
{
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++) {
        const ws_sequence *all = &from->sequence[k];
        const size_t stride = (size_t)all->tokens * (size_t)all->columns;
        uint64_t count = 0;
        float *values;
        int32_t *length;
        out->sequence[k] = (ws_sequence){0};
        if (all->tokens == 0)
            continue;
        WS_TRY(ws_arena_alloc(arena, &values, out->rows * stride, sizeof *values));
        WS_TRY(ws_arena_alloc(arena, &length, out->rows, sizeof *length));
        for (uint64_t i = 0; i < from->rows; i++) {
            if (left_out != NULL && left_out[i])
                continue;
            memcpy(values + count * stride, all->values + i * stride, stride * sizeof *values);
            length[count++] = all->length[i];
        }
        out->sequence[k] = (ws_sequence){all->tokens, all->columns, values, length};
    }
    return WS_OK;
}
