/* A round's packets on their way: to the rank that owns their flow (by the hash of the direction-free key), into its
 * flow table in the order of the input, and out of it as rows at the closing points.
 *
 * What a rank receives from another comes in input order. Of a file that is split, lower ranks hold earlier records;
 * one that is not split comes from one rank. So feeding each file rank by rank, up to the point where the round leaves it,
 * keeps the order of the packets.
 */
#include "dataset/extract.h"

#include <stdlib.h>

/* What a rank has of another. */
typedef struct packet_stream {
    const ws_packet *next, *end;
    const uint8_t *slots; /* of `next`; NULL where no bytes are kept */
} packet_stream;

/* ---------------------------------------------------------------- dealing out */
/* Twice what rounds of the smallest packets hold, if all are for one rank; a larger round travels. */
ws_err extract_route_open_all(extraction *x)
{
    enum { MOST_BYTES = 64 << 20 };
    const uint64_t share = extract_round_bytes(x) / (uint64_t)x->comm->size;
    const size_t most = share < MOST_BYTES / 8 ? (size_t)share * 8 : MOST_BYTES;
    if (x->comm->size == 1)
        return WS_OK;
    WS_TRY(ws_parcels_create_all(&x->hand_over.packets, x->comm, most));
    if (x->slot_size > 0)
        WS_TRY(ws_parcels_create_all(&x->hand_over.slots, x->comm, most));
    return WS_OK;
}

/* The line may be in the cache of the core that read the parcel before. */
static inline void fetch_to_write(uintptr_t address)
{
    const uint8_t *at = (const uint8_t *)address; /* nothing need be there */
#if defined(__x86_64__) /* without -mprfchw, __builtin_prefetch fetches it to be read, and it is fetched again */
    __asm__ volatile("prefetchw %0" : : "m"(*at));
#else
    __builtin_prefetch(at, 1);
#endif
}

enum { AHEAD_BYTES = 8 * sizeof(ws_packet) };
ws_err extract_route_deal(extraction *x)
{
    const ws_comm *comm = x->comm;
    if (comm->size == 1)
        return WS_OK;
    ws_parcel *out = x->hand_over.packets->out, *slots_out = x->slot_size > 0 ? x->hand_over.slots->out : NULL;
    const ws_packet *packets = x->packets, *end = packets + x->packet_count;
    for (const ws_packet *packet = packets; packet < end; packet++) {
        const int owner = extract_owner_of_packet(comm, packet);
        fetch_to_write((uintptr_t)out[owner].bytes + out[owner].count + AHEAD_BYTES);
        WS_TRY(ws_parcel_put(&out[owner], packet, sizeof *packet));
        if (slots_out != NULL)
            WS_TRY(
                ws_parcel_put(&slots_out[owner], x->slots + (size_t)(packet - packets) * x->slot_size, x->slot_size));
    }
    x->packet_count = 0;
    return WS_OK;
}

static ws_packet *dealt_packets(const extraction *x, int owner, size_t *count)
{
    const ws_parcel *parcel = &x->hand_over.packets->out[owner];
    *count = parcel->count / sizeof(ws_packet);
    return (ws_packet *)(void *)parcel->bytes;
}

static void move_dealt(const extraction *x, int owner, size_t to, size_t from)
{
    const extract_hand_over *h = &x->hand_over;
    if (to == from)
        return;
    memcpy(h->packets->out[owner].bytes + to * sizeof(ws_packet),
           h->packets->out[owner].bytes + from * sizeof(ws_packet), sizeof(ws_packet));
    if (x->slot_size > 0)
        memcpy(h->slots->out[owner].bytes + to * x->slot_size, h->slots->out[owner].bytes + from * x->slot_size,
               x->slot_size);
}

void extract_route_drop(extraction *x, size_t first, size_t behind)
{
    bool any = false;
    for (size_t k = first; k < behind; k++)
        any = any || x->pieces[k].packet_count > 0;
    for (int r = 0; any && x->comm->size > 1 && r < x->comm->size; r++) {
        size_t count, kept = 0;
        const ws_packet *packets = dealt_packets(x, r, &count);
        for (size_t i = 0; i < count; i++)
            if (packets[i].input < first || packets[i].input >= behind)
                move_dealt(x, r, kept++, i);
        x->hand_over.packets->out[r].count = kept * sizeof *packets;
        if (x->slot_size > 0)
            x->hand_over.slots->out[r].count = kept * x->slot_size;
    }
}

/* Where a packet is to come, and where it lies. */
typedef struct dealt_place {
    uint64_t piece, ordinal;
    size_t at;
} dealt_place;

static int compare_dealt(const void *a, const void *b)
{
    const dealt_place *x = a, *y = b;
    if (x->piece != y->piece)
        return x->piece < y->piece ? -1 : 1;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

/* Into `room` in the order of `places`, and back. */
static void put_in_order(uint8_t *bytes, size_t size, const dealt_place *places, size_t count, uint8_t *room)
{
    for (size_t i = 0; i < count; i++)
        memcpy(room + i * size, bytes + places[i].at * size, size);
    memcpy(bytes, room, count * size);
}

static ws_err order_dealt(extraction *x, int owner)
{
    size_t count;
    const ws_packet *packets = dealt_packets(x, owner, &count);
    dealt_place *places = NULL;
    uint8_t *room = NULL;
    ws_err error = WS_NEW_ARRAY(places, count);
    if (error == WS_OK)
        error = ws_alloc(&room, count, x->slot_size > sizeof *packets ? x->slot_size : sizeof *packets);
    if (error == WS_OK && count > 0) {
        for (size_t i = 0; i < count; i++)
            places[i] = (dealt_place){packets[i].input, packets[i].ordinal, i};
        qsort(places, count, sizeof *places, compare_dealt);
        put_in_order(x->hand_over.packets->out[owner].bytes, sizeof *packets, places, count, room);
        if (x->slot_size > 0)
            put_in_order(x->hand_over.slots->out[owner].bytes, x->slot_size, places, count, room);
    }
    free(places);
    free(room);
    return error;
}

ws_err extract_route_order(extraction *x)
{
    for (int r = 0; r < x->comm->size; r++)
        WS_TRY(order_dealt(x, r));
    return WS_OK;
}

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
static const ws_packet *end_of_run(const packet_stream *stream, uint32_t input, uint64_t before)
{
    if (stream->next < stream->end && stream->end[-1].input == input && stream->end[-1].ordinal < before)
        return stream->end; /* mostly; ordinals ascend within an input, and inputs do */
    const ws_packet *at = stream->next;
    while (at < stream->end && at->input == input && at->ordinal < before)
        at++;
    return at;
}

static ws_err feed_own(extraction *x, packet_stream *stream, const closing_point *point)
{
    const ws_packet *end = end_of_run(stream, point->input, point->ordinal);
    WS_TRY(extract_feed(x, stream->next, stream->slots, (size_t)(end - stream->next)));
    if (stream->slots != NULL)
        stream->slots += (size_t)(end - stream->next) * x->slot_size;
    stream->next = end;
    return WS_OK;
}

/* Some of the stream's packets before the point, as they are in their input: what came lies in memory of the rank that sent it. */
enum { BLOCK_PACKETS = 32 };
static size_t take_block(const extract_hand_over *h, const packet_stream *stream, const closing_point *point,
                         ws_packet *block)
{
    size_t count = 0;
    for (const ws_packet *packet = stream->next; packet < stream->end && count < BLOCK_PACKETS; packet++) {
        for (size_t line = 0; line < sizeof *packet; line += 64) /* of the next block: mostly in another core's cache */
            __builtin_prefetch((const void *)((uintptr_t)packet + BLOCK_PACKETS * sizeof *packet + line));
        const packet_origin *origin = &h->origins[packet->input];
        const uint64_t ordinal = packet->ordinal + origin->ordinals_before;
        if (origin->group != point->input || ordinal >= point->ordinal)
            break;
        block[count] = *packet;
        block[count].input = origin->group;
        block[count++].ordinal = ordinal;
    }
    return count;
}

static ws_err feed_arrived(extraction *x, packet_stream *stream, const closing_point *point)
{
    ws_packet block[BLOCK_PACKETS];
    size_t count;
    while ((count = take_block(&x->hand_over, stream, point, block)) > 0) {
        WS_TRY(extract_feed(x, block, stream->slots, count));
        stream->next += count;
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
        const ws_packet *packets = (const ws_packet *)(const void *)parcel->bytes;
        streams[r] = (packet_stream){packets, packets + parcel->count / sizeof *packets,
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
        packet_stream own = {x->packets, x->packets + x->packet_count, x->slots};
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
