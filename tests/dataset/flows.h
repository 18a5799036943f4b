/* Flows made by code, for the tests of this room: a pure function of (seed, number), so every rank can make any of
 * them. */
#ifndef WS_TESTS_DATASET_FLOWS_H
#define WS_TESTS_DATASET_FLOWS_H

#include <stdlib.h>
#include "dataset/store_write.h"

typedef struct made_flows {
    ws_flow *flows;
    ws_flow_packet *packets; /* one after another */
    int32_t *labels;         /* [2][count] */
    uint64_t count, packet_count;
} made_flows;

static inline void made_address(uint8_t out[16], uint64_t host)
{
    memset(out, 0, 16);
    if (host % 5 == 0) { /* some IPv6 */
        out[0] = 0x20;
        out[1] = 0x01;
        out[15] = (uint8_t)host;
        out[7] = (uint8_t)(host + 1);
        return;
    }
    out[10] = out[11] = 0xFF;
    out[12] = 10;
    out[14] = (uint8_t)(host >> 8);
    out[15] = (uint8_t)host;
}

/* Flow i of 3 inputs. Few hosts and ports, so that sessions and hosts come again. */
static inline ws_flow made_flow(uint64_t seed, uint64_t i, uint64_t count, uint32_t max_packets)
{
    ws_flow flow;
    memset(&flow, 0, sizeof flow);
    uint64_t r = ws_random_u64(seed, WS_RANDOM_TEST, 1, i);
    ws_packet packet;
    memset(&packet, 0, sizeof packet);
    made_address(packet.source, r % 40);
    made_address(packet.destination, 40 + r / 64 % 20);
    packet.source_port = (uint16_t)(1024 + r / 4096 % 4);
    packet.destination_port = r & (1 << 20) ? 443 : 53;
    packet.protocol = r & (1 << 20) ? 6 : 17;
    bool source_is_low;
    ws_flow_key_of(&packet, &flow.key, &source_is_low);
    flow.forward_is_low = source_is_low;
    flow.end = (uint8_t)(r >> 24) % 5;
    flow.input = (uint32_t)(i * 3 / (count == 0 ? 1 : count));
    flow.first_ordinal = i * 7;
    flow.first_ns = INT64_C(1500000000000000000) + (int64_t)(r % 1000000007) * 1000;
    flow.last_ns = flow.first_ns + (int64_t)(r >> 40);
    for (int d = 0; d < 2; d++) {
        flow.packets[d] = 1 + (r >> (8 * d)) % 300;
        flow.bytes[d] = flow.packets[d] * 700;
        flow.payload_bytes[d] = flow.packets[d] * 660;
    }
    ws_random_uniform(seed, WS_RANDOM_TEST, 2, i, flow.features, WS_FLOW20_COLUMNS);
    flow.packet_count = max_packets == 0 ? 0 : (uint32_t)((r >> 32) % max_packets);
    return flow;
}

static inline void made_packets(uint64_t seed, uint64_t i, uint32_t count, ws_flow_packet *out)
{
    for (uint32_t k = 0; k < count; k++) {
        uint64_t r = ws_random_u64(seed, WS_RANDOM_TEST, 3 + k, i);
        memset(&out[k], 0, sizeof out[k]);
        out[k].offset_ns = (int64_t)(k * 1000) - (int64_t)(r % 50);
        out[k].wire_length = (uint32_t)(r % 1514);
        out[k].ip_length = (uint32_t)(r % 1500);
        out[k].payload_length = (uint32_t)(r % 1460);
        out[k].header_length = (uint16_t)(40 + r % 20);
        out[k].window = (uint16_t)(r >> 16);
        out[k].tcp_flags = (uint8_t)(r >> 32);
        out[k].direction = r & 1 ? 1 : -1;
    }
}

/* Flows [begin, end) of `count`. */
static inline made_flows make_flows(uint64_t seed, uint64_t begin, uint64_t end, uint64_t count, uint32_t max_packets)
{
    made_flows made = {0};
    made.count = end - begin;
    made.flows = calloc(made.count + 1, sizeof *made.flows);
    made.labels = calloc(2 * made.count + 1, sizeof *made.labels);
    for (uint64_t i = 0; i < made.count; i++) {
        made.flows[i] = made_flow(seed, begin + i, count, max_packets);
        made.packet_count += made.flows[i].packet_count;
        uint64_t r = ws_random_u64(seed, WS_RANDOM_TEST, 0, begin + i);
        made.labels[i] = (int32_t)(r % 4) - 1;
        made.labels[made.count + i] = (int32_t)(r >> 8) & 1;
    }
    made.packets = calloc(made.packet_count + 1, sizeof *made.packets);
    for (uint64_t i = 0, at = 0; i < made.count; at += made.flows[i++].packet_count)
        made_packets(seed, begin + i, made.flows[i].packet_count, made.packets + at);
    return made;
}

/* Rows of them: each third flow's packets lie apart from those before, at *room, to be freed. Its own are to be freed too. */
static inline ws_row_source *made_rows(const made_flows *made, ws_flow_packet **room)
{
    ws_row_source *rows = calloc(made->count + 1, sizeof *rows);
    ws_flow_packet *at = *room = calloc(made->packet_count + made->count + 1, sizeof **room);
    ws_row_sources_list(made->flows, made->count, made->packets, NULL, rows);
    for (uint64_t i = 0; i < made->count; at += made->flows[i++].packet_count) {
        at += i % 3 == 0;
        memcpy(at, rows[i].packets, made->flows[i].packet_count * sizeof *at);
        rows[i].packets = at;
    }
    return rows;
}

static inline void free_flows(made_flows *made)
{
    free(made->flows);
    free(made->packets);
    free(made->labels);
}

static const char *const made_input_names[] = {"monday.pcap", "tuesday, wet.pcap", "wednesday.pcapng"};
static const ws_string_list made_inputs = {made_input_names, 3};
static char *made_colours[] = {"blue", "green", "red, \"dark\""}, *made_sizes[] = {"large", "small"};
static const ws_label_level made_levels[] = {{"colour", made_colours, 3}, {"size", made_sizes, 2}};

/* What a test varies in a store. */
typedef struct made_store {
    const char *path, *endpoints, *key_file, *options_json;
    uint64_t seed, count, batch; /* batch: rows a batch of all ranks */
    uint32_t max_packets;
    uint64_t window_bytes;
    /* NULL, or changes the flows of a block before they are written; first: number of the first */
    void (*change)(made_flows *made, uint64_t first);
    const ws_label_level *levels;
} made_store;

/* Writes it with all ranks of comm; ranks take uneven parts of every batch. */
static inline ws_err write_store(const ws_comm *comm, const made_store *store, char hash[65])
{
    ws_store_writer *writer = NULL;
    const ws_store_writer_options options = {.path = store->path,
                                             .dataset = "generic",
                                             .inputs = &made_inputs,
                                             .endpoints = store->endpoints,
                                             .key_file = store->key_file,
                                             .levels = store->levels == NULL ? made_levels : store->levels,
                                             .level_count = 2,
                                             .window_bytes = store->window_bytes};
    ws_err error = ws_store_writer_create_all(&writer, comm, &options);
    for (uint64_t first = 0; first < store->count && error == WS_OK; first += store->batch) {
        uint64_t size = store->count - first < store->batch ? store->count - first : store->batch;
        /* rank r ends at (r+1)^2 / size^2 of the batch */
        uint64_t n = (uint64_t)comm->size, r = (uint64_t)comm->rank;
        uint64_t begin = first + size * r * r / (n * n), end = first + size * (r + 1) * (r + 1) / (n * n);
        made_flows made = make_flows(store->seed, begin, end, store->count, store->max_packets);
        if (store->change != NULL)
            store->change(&made, begin);
        ws_flow_packet *room;
        ws_row_source *rows = made_rows(&made, &room);
        const ws_store_block block = {.rows = rows, .count = made.count, .labels = made.labels};
        error = ws_store_writer_append_all(writer, &block);
        free(rows);
        free(room);
        free_flows(&made);
    }
    const char *const sha[] = {"aa", "bb", "cc"};
    const ws_string_list sha_list = {sha, 3};
    const uint64_t bytes[] = {1000, 2000, 3000}, records[] = {10, 20, 30};
    const ws_damage damage[] = {{1, WS_DAMAGE_record_truncated, 4096, 77}};
    const ws_store_provenance provenance = {.options_json =
                                                store->options_json == NULL ? "{\"packets\":128}" : store->options_json,
                                            .counters_json = "{\"records\":60}",
                                            .input_sha256 = &sha_list,
                                            .input_bytes = bytes,
                                            .input_records = records,
                                            .damage = damage,
                                            .damage_count = 1};
    if (error == WS_OK)
        error = ws_store_writer_finish_all(writer, &provenance, hash);
    ws_store_writer_destroy(&writer);
    return error;
}

#endif
