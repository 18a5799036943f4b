/* A round's packets on their way: to the rank that owns their flow (by the hash of the direction-free key), into its
 * flow table in the order of the input, and out of it as rows at the closing points.
 *
 * What a rank receives from another comes in input order. Of a file that is split, lower ranks hold earlier records;
 * one that is not split comes from one rank. So feeding each file rank by rank, up to the point where the round leaves it,
 * keeps the order of the packets.
 */
#include "dataset/extract.h"

#include <stdlib.h>

typedef struct packet_stream {
    const ws_packet *next, *end;
    const uint8_t *slots; /* of `next`; NULL where no bytes are kept */
} packet_stream;

static void choose_owners(extraction *x, size_t *counts)
{
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        if (piece->rank != x->comm->rank || piece->empty)
            continue;
        for (size_t i = piece->first_packet; i < piece->first_packet + piece->packet_count; i++) {
            ws_flow_key key;
            bool source_is_low;
            ws_flow_key_of(&x->packets[i], &key, &source_is_low);
            x->owners[i] = (uint32_t)extract_owner(x->comm, &key);
            counts[x->owners[i]]++;
        }
    }
}

/* x->outgoing: packets by owner, those of one owner in input order. */
static ws_err sort_by_owner(extraction *x, size_t *counts)
{
    size_t *at = NULL, total = 0;
    WS_TRY(WS_GROW(x->owners, x->owner_capacity, x->packet_count));
    WS_TRY(WS_GROW(x->outgoing, x->outgoing_capacity, x->packet_count));
    WS_TRY(WS_GROW(x->outgoing_slots, x->outgoing_slot_capacity, x->packet_count * x->slot_size));
    WS_TRY(WS_NEW_ARRAY(at, (size_t)x->comm->size));
    choose_owners(x, counts);
    for (int r = 0; r < x->comm->size; r++) {
        at[r] = total;
        total += counts[r];
    }
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        if (piece->rank != x->comm->rank || piece->empty)
            continue;
        for (size_t i = piece->first_packet; i < piece->first_packet + piece->packet_count; i++) {
            const size_t to = at[x->owners[i]]++;
            x->outgoing[to] = x->packets[i];
            if (x->slot_size > 0)
                memcpy(x->outgoing_slots + to * x->slot_size, x->slots + i * x->slot_size, x->slot_size);
        }
    }
    free(at);
    return WS_OK;
}

ws_err extract_take_flow(void *context, const ws_flow *flow)
{
    extraction *x = context;
    if (x->reservoir != NULL) {
        extract_count_flow(x, flow);
        return extract_reservoir_offer(x->reservoir, flow);
    }
    WS_TRY(extract_rows_add(x, flow));
    if (x->comm->size == 1) /* alone, a rank need not wait for the others: rows leave while the cache still has them */
        WS_TRY(extract_rows_write_all(x, false));
    return WS_OK;
}

/* The end of the stream's packets of an input with ordinals below `before`. */
static const ws_packet *end_of_run(const packet_stream *stream, uint32_t input, uint64_t before)
{
    if (stream->next < stream->end && stream->end[-1].input == input && stream->end[-1].ordinal < before)
        return stream->end; /* mostly; ordinals ascend within an input, and inputs do */
    const ws_packet *at = stream->next;
    while (at < stream->end && at->input == input && at->ordinal < before)
        at++;
    return at;
}

static ws_err feed_tables(extraction *x, packet_stream *streams, size_t stream_count)
{
    for (const closing_point *point = x->points; point < x->points + x->point_count; point++) {
        if (!x->options->windows_from_epoch)
            ws_flow_table_set_window_origin(x->table, x->groups[point->input].origin_ns);
        for (size_t r = 0; r < stream_count; r++) {
            const ws_packet *end = end_of_run(&streams[r], point->input, point->ordinal);
            const size_t count = (size_t)(end - streams[r].next);
            WS_TRY(extract_feed(x, streams[r].next, streams[r].slots, count));
            streams[r].next = end;
            if (streams[r].slots != NULL)
                streams[r].slots += count * x->slot_size;
        }
        if (point->closes)
            WS_TRY(extract_close(x, point, extract_take_flow));
    }
    for (size_t r = 0; r < stream_count; r++)
        WS_CHECK(streams[r].next == streams[r].end, INTERNAL, "packets of rank %zu of an input outside the round", r);
    return WS_OK;
}

/* Received packets lie rank by rank, this rank's own among the outgoing ones. */
static ws_err feed_streams(extraction *x, const size_t *sent, const size_t *received)
{
    packet_stream *streams = NULL;
    WS_TRY(WS_NEW_ARRAY(streams, (size_t)x->comm->size));
    const ws_packet *theirs = x->incoming, *own = x->outgoing;
    const uint8_t *their_slots = x->incoming_slots, *own_slots = x->outgoing_slots;
    for (int r = 0; r < x->comm->size; r++) {
        streams[r] = r == x->comm->rank ? (packet_stream){own, own + sent[r], own_slots}
                                        : (packet_stream){theirs, theirs + received[r], their_slots};
        theirs += received[r];
        own += sent[r];
        if (x->slot_size > 0) {
            their_slots += received[r] * x->slot_size;
            own_slots += sent[r] * x->slot_size;
        }
    }
    ws_err error = feed_tables(x, streams, (size_t)x->comm->size);
    free(streams);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

ws_err extract_round_route_all(extraction *x)
{
    if (x->comm->size == 1) {
        packet_stream own = {x->packets, x->packets + x->packet_count, x->slots};
        return feed_tables(x, &own, 1);
    }
    size_t *sent = NULL, *received = NULL;
    ws_err local = WS_NEW_ARRAY(sent, (size_t)x->comm->size);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(received, (size_t)x->comm->size);
    if (local == WS_OK)
        local = sort_by_owner(x, sent);
    extract_enter(x, WS_EXTRACT_PHASE_exchange);
    ws_err error = ws_agree_all(x->comm, local);
    for (int r = 0; error == WS_OK && r < x->comm->size; r++)
        x->exchanged_bytes += r == x->comm->rank ? 0 : sent[r] * (sizeof *x->outgoing + x->slot_size);
    if (error == WS_OK)
        error = ws_exchange_others_all(x->comm, x->outgoing, sent, sizeof *x->outgoing, (void **)&x->incoming,
                                       &x->incoming_bytes, received);
    if (error == WS_OK && x->slot_size > 0)
        error = ws_exchange_others_all(x->comm, x->outgoing_slots, sent, x->slot_size, (void **)&x->incoming_slots,
                                       &x->incoming_slot_bytes, received);
    extract_enter(x, WS_EXTRACT_PHASE_table);
    if (error == WS_OK)
        error = ws_agree_all(x->comm, feed_streams(x, sent, received));
    free(sent);
    free(received);
    return error;
}
