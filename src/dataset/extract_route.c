/* A round's packets on their way: to the rank that owns their flow (extract_deal.c), into its flow table in the order of the
 * input, and out of it as rows at the closing points.
 *
 * What a rank receives from another comes in input order. Of a file that is split, lower ranks hold earlier records;
 * one that is not split comes from one rank. So feeding each file rank by rank, up to the point where the round leaves it,
 * keeps the order of the packets.
 */
#include "dataset/extract.h"

#include <stdlib.h>

/* Packets in the order of the input: ws_packet of one rank; of several as they lie in parcels. */
typedef struct packet_stream {
    const uint8_t *next, *end;
    const uint8_t *slots; /* of `next`; NULL where no bytes are kept */
} packet_stream;

/* ---------------------------------------------------------------- through the tables */
/* A sample was a flow between endpoints that stand for its own: the row has those of its first packet. */
static ws_flow named_sample(const extraction *x, const ws_flow *flow)
{
    ws_flow named = *flow;
    bool source_is_low;
    x->samples->name(x->samples->context, flow->input, ws_flow_key_sample(&flow->key), &named.key, &source_is_low);
    named.forward_is_low = flow->forward_is_low == source_is_low;
    return named;
}

ws_err extract_take_flow(void *context, const ws_flow *flow)
{
    extraction *x = context;
    ws_flow named;
    if (x->samples != NULL) {
        named = named_sample(x, flow);
        flow = &named;
    }
    if (x->reservoir != NULL) {
        extract_count_flow(x, flow);
        return extract_reservoir_offer(x->reservoir, flow);
    }
    return extract_rows_add(x, flow);
}

/* One rank's own packets, which lie as they were read: the end of those of an input with ordinals below `before`. */
static const ws_packet *end_of_run(const ws_packet *next, const ws_packet *end, uint32_t input, uint64_t before)
{
    if (next < end && end[-1].input == input && end[-1].ordinal < before)
        return end; /* mostly; ordinals ascend within an input, and inputs do */
    const ws_packet *at = next;
    while (at < end && at->input == input && at->ordinal < before)
        at++;
    return at;
}

static ws_err feed_own(extraction *x, packet_stream *stream, const closing_point *point)
{
    const ws_packet *next = (const ws_packet *)(const void *)stream->next,
                    *end = (const ws_packet *)(const void *)stream->end,
                    *to = end_of_run(next, end, point->input, point->ordinal);
    WS_TRY(extract_feed(x, next, stream->slots, (size_t)(to - next)));
    if (stream->slots != NULL)
        stream->slots += (size_t)(to - next) * x->slot_size;
    stream->next = (const uint8_t *)to;
    return WS_OK;
}

static ws_err feed_arrived(extraction *x, packet_stream *stream, const closing_point *point)
{
    ws_packet block[DEALT_BLOCK];
    size_t count;
    while ((count = extract_deal_take(&x->hand_over, &stream->next, stream->end, point, block)) > 0) {
        WS_TRY(extract_feed(x, block, stream->slots, count));
        if (stream->slots != NULL)
            stream->slots += count * x->slot_size;
    }
    return WS_OK;
}

static ws_err feed_tables(extraction *x, packet_stream *streams, size_t stream_count)
{
    const extract_hand_over *h = &x->hand_over;
    for (const closing_point *point = h->points; point < h->points + h->point_count; point++) {
        if (!x->options->windows_from_epoch)
            ws_flow_table_set_window_origin(x->table, x->groups[point->input].origin_ns);
        for (size_t r = 0; r < stream_count; r++)
            WS_TRY(stream_count == 1 ? feed_own(x, &streams[r], point) : feed_arrived(x, &streams[r], point));
        if (point->closes)
            WS_TRY(extract_close(x, point, extract_take_flow));
    }
    for (size_t r = 0; r < stream_count; r++)
        WS_CHECK(streams[r].next == streams[r].end, INTERNAL, "packets of rank %zu of an input outside the round", r);
    return WS_OK;
}

static ws_err feed_streams(extraction *x)
{
    packet_stream *streams = NULL;
    WS_TRY(WS_NEW_ARRAY(streams, (size_t)x->comm->size));
    for (int r = 0; r < x->comm->size; r++) {
        const ws_arrived_parcel *parcel = &x->hand_over.packets->in[r];
        streams[r] = (packet_stream){parcel->bytes, parcel->bytes + parcel->count,
                                     x->slot_size > 0 ? x->hand_over.slots->in[r].bytes : NULL};
    }
    ws_err error = feed_tables(x, streams, (size_t)x->comm->size);
    free(streams);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* What the round says beside its packets; the next round makes its own. */
static ws_err take_round(extraction *x)
{
    extract_hand_over *h = &x->hand_over;
    closing_point *const points = h->points;
    const size_t capacity = h->point_capacity;
    WS_TRY(WS_GROW(h->origins, h->origin_capacity, x->piece_count));
    for (size_t k = 0; k < x->piece_count; k++)
        h->origins[k] = (packet_origin){x->pieces[k].group, x->pieces[k].ordinals_before};
    h->points = x->points;
    h->point_count = x->point_count;
    h->point_capacity = x->point_capacity;
    x->points = points;
    x->point_capacity = capacity;
    return WS_OK;
}

/* fed: what came of the round before. */
static ws_err send_packets_all(extraction *x, ws_err fed)
{
    extract_hand_over *h = &x->hand_over;
    extract_enter(x, WS_EXTRACT_PHASE_exchange);
    WS_AGREE(x->comm, fed == WS_OK ? take_round(x) : fed);
    for (int r = 0; r < x->comm->size; r++)
        x->exchanged_bytes +=
            r == x->comm->rank ? 0 : h->packets->out[r].count + (x->slot_size > 0 ? h->slots->out[r].count : 0);
    WS_TRY(ws_parcels_send_all(h->packets));
    if (x->slot_size > 0)
        WS_TRY(ws_parcels_send_all(h->slots));
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
    WS_TRY(ws_parcels_arrive(h->packets));
    if (x->slot_size > 0)
        WS_TRY(ws_parcels_arrive(h->slots));
    extract_enter(x, WS_EXTRACT_PHASE_table);
    *fed = feed_streams(x);
    if (!flows_leave(h))
        return WS_OK;
    const ws_err added = *fed;
    *fed = WS_OK;
    WS_TRY(extract_rows_settle_all(x, added, false));
    return WS_OK;
}

ws_err extract_round_route_all(extraction *x)
{
    if (x->comm->size == 1) {
        packet_stream own = {(const uint8_t *)x->packets, (const uint8_t *)(x->packets + x->packet_count), x->slots};
        ws_err taken = take_round(x);
        return extract_rows_settle_all(x, taken == WS_OK ? feed_tables(x, &own, 1) : taken, false);
    }
    ws_err fed;
    WS_TRY(arrive_all(x, &fed));
    WS_TRY(send_packets_all(x, fed));
    return WS_OK;
}

void extract_route_push(extraction *x)
{
    if (x->hand_over.packets != NULL)
        ws_parcels_push(x->hand_over.packets);
    if (x->hand_over.slots != NULL)
        ws_parcels_push(x->hand_over.slots);
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
    ws_parcels_destroy(&h->packets);
    ws_parcels_destroy(&h->slots);
    free(h->points);
    free(h->origins);
}
