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

ws_err extract_route_owners(extraction *x)
{
    if (x->comm->size == 1)
        return WS_OK;
    WS_TRY(WS_GROW(x->owners, x->owner_capacity, x->packet_count));
    for (; x->owner_count < x->packet_count; x->owner_count++) {
        ws_flow_key key;
        bool source_is_low;
        ws_flow_key_of(&x->packets[x->owner_count], &key, &source_is_low);
        x->owners[x->owner_count] = (uint32_t)extract_owner(x->comm, &key);
    }
    return WS_OK;
}

static void count_owners(const extraction *x, size_t *counts)
{
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        if (piece->rank != x->comm->rank || piece->empty)
            continue;
        for (size_t i = piece->first_packet; i < piece->first_packet + piece->packet_count; i++)
            counts[x->owners[i]]++;
    }
}

/* outgoing: packets by owner, those of one owner in input order. */
static ws_err sort_by_owner(extraction *x, extract_hand_over *h)
{
    size_t *at = NULL, total = 0;
    const size_t ranks = (size_t)x->comm->size;
    WS_TRY(WS_GROW(h->outgoing, h->outgoing_capacity, x->packet_count));
    WS_TRY(WS_GROW(h->outgoing_slots, h->outgoing_slot_capacity, x->packet_count * x->slot_size));
    if (h->sent == NULL)
        WS_TRY(WS_NEW_ARRAY(h->sent, ranks));
    if (h->received == NULL)
        WS_TRY(WS_NEW_ARRAY(h->received, ranks));
    WS_TRY(WS_NEW_ARRAY(at, ranks));
    memset(h->sent, 0, ranks * sizeof *h->sent);
    count_owners(x, h->sent);
    for (size_t r = 0; r < ranks; r++) {
        at[r] = total;
        total += h->sent[r];
    }
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        if (piece->rank != x->comm->rank || piece->empty)
            continue;
        for (size_t i = piece->first_packet; i < piece->first_packet + piece->packet_count; i++) {
            const size_t to = at[x->owners[i]]++;
            h->outgoing[to] = x->packets[i];
            h->outgoing[to].ordinal += piece->ordinals_before;
            if (x->slot_size > 0)
                memcpy(h->outgoing_slots + to * x->slot_size, x->slots + i * x->slot_size, x->slot_size);
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
    return extract_rows_add(x, flow);
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

static ws_err feed_tables(extraction *x, const extract_hand_over *h, packet_stream *streams, size_t stream_count)
{
    for (const closing_point *point = h->points; point < h->points + h->point_count; point++) {
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
static ws_err feed_streams(extraction *x, const extract_hand_over *h)
{
    packet_stream *streams = NULL;
    WS_TRY(WS_NEW_ARRAY(streams, (size_t)x->comm->size));
    const ws_packet *theirs = h->incoming, *own = h->outgoing;
    const uint8_t *their_slots = h->incoming_slots, *own_slots = h->outgoing_slots;
    for (int r = 0; r < x->comm->size; r++) {
        streams[r] = r == x->comm->rank ? (packet_stream){own, own + h->sent[r], own_slots}
                                        : (packet_stream){theirs, theirs + h->received[r], their_slots};
        theirs += h->received[r];
        own += h->sent[r];
        if (x->slot_size > 0) {
            their_slots += h->received[r] * x->slot_size;
            own_slots += h->sent[r] * x->slot_size;
        }
    }
    ws_err error = feed_tables(x, h, streams, (size_t)x->comm->size);
    free(streams);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* What the round says beside its packets; the next round makes its own. */
static void take_round(extraction *x, extract_hand_over *h)
{
    closing_point *const points = h->points;
    const size_t capacity = h->point_capacity;
    h->points = x->points;
    h->point_count = x->point_count;
    h->point_capacity = x->point_capacity;
    x->points = points;
    x->point_capacity = capacity;
}

/* fed: what came of the round before. */
static ws_err send_packets_all(extraction *x, extract_hand_over *h, ws_err fed)
{
    extract_enter(x, WS_EXTRACT_PHASE_exchange);
    WS_AGREE(x->comm, fed == WS_OK ? sort_by_owner(x, h) : fed);
    for (int r = 0; r < x->comm->size; r++)
        x->exchanged_bytes += r == x->comm->rank ? 0 : h->sent[r] * (sizeof *h->outgoing + x->slot_size);
    WS_TRY(ws_exchange_begin_all(&h->packets, x->comm, h->outgoing, h->sent, sizeof *h->outgoing, (void **)&h->incoming,
                                 &h->incoming_bytes, h->received));
    if (x->slot_size > 0)
        WS_TRY(ws_exchange_begin_all(&h->slots, x->comm, h->outgoing_slots, h->sent, x->slot_size,
                                     (void **)&h->incoming_slots, &h->incoming_slot_bytes, h->received));
    h->pending = true;
    return WS_OK;
}

static bool flows_leave(const extract_hand_over *h)
{
    for (size_t p = 0; p < h->point_count; p++)
        if (h->points[p].closes)
            return true;
    return false;
}

/* What is on its way arrives and goes through the tables. Where flows leave, ranks meet to write their rows; where none do, they
 * need not, and *fed is what came of it on this rank. */
static ws_err arrive_all(extraction *x, ws_err *fed)
{
    extract_hand_over *h = &x->hand_over;
    *fed = WS_OK;
    if (!h->pending)
        return WS_OK;
    h->pending = false;
    extract_enter(x, WS_EXTRACT_PHASE_exchange);
    WS_TRY(ws_exchange_end(h->packets));
    WS_TRY(ws_exchange_end(h->slots));
    extract_enter(x, WS_EXTRACT_PHASE_table);
    *fed = feed_streams(x, h);
    if (!flows_leave(h))
        return WS_OK;
    const ws_err added = *fed;
    *fed = WS_OK;
    WS_TRY(extract_rows_settle_all(x, added, false));
    return WS_OK;
}

ws_err extract_round_route_all(extraction *x)
{
    extract_hand_over *h = &x->hand_over;
    if (x->comm->size == 1) {
        packet_stream own = {x->packets, x->packets + x->packet_count, x->slots};
        take_round(x, h);
        return extract_rows_settle_all(x, feed_tables(x, h, &own, 1), false);
    }
    ws_err fed;
    WS_TRY(arrive_all(x, &fed));
    take_round(x, h);
    WS_TRY(send_packets_all(x, h, fed));
    return WS_OK;
}

void extract_route_push(extraction *x)
{
    ws_exchange_push(x->hand_over.packets);
    ws_exchange_push(x->hand_over.slots);
}

ws_err extract_route_finish_all(extraction *x)
{
    ws_err fed;
    WS_TRY(arrive_all(x, &fed));
    WS_AGREE(x->comm, fed);
    return WS_OK;
}

void extract_hand_over_destroy(extract_hand_over *h)
{
    ws_exchange_destroy(&h->packets);
    ws_exchange_destroy(&h->slots);
    free(h->points);
    free(h->sent);
    free(h->received);
    free(h->outgoing);
    free(h->outgoing_slots);
    free(h->incoming);
    free(h->incoming_slots);
}
