/* Packets in the parcels for the ranks that own their flows: put there as they are read, a cache line each, and taken out by
 * these in blocks for the flow table.
 */
#include "dataset/extract.h"

#include <stdlib.h>

/* A packet on its way: what the flow table asks of it, in one line of the cache; from the ports on as in ws_packet. */
typedef struct dealt_packet {
    uint64_t ordinal;
    int64_t time_ns;
    uint8_t source[4], destination[4]; /* the ends of addresses that are IPv4's */
    uint16_t source_port, destination_port;
    uint32_t piece; /* ws_packet.input */
    uint32_t wire_length;
    uint32_t is_wide; /* ws_packet.captured_length; whole addresses follow: source, destination */
    uint32_t ip_length, payload_length;
    uint16_t header_length, window;
    uint32_t sequence, acknowledgement;
    uint8_t protocol, tcp_flags, ip_version, sample_side;
} dealt_packet;
enum {
    ADDRESS_BYTES = 16,
    PREFIX_BYTES = 12, /* of IPv4 addresses */
    WIDE_BYTES = sizeof(dealt_packet) + 2 * ADDRESS_BYTES,
    SAME_FROM = offsetof(ws_packet, source_port), /* what is as in ws_packet: there, and here */
    SAME_AT = offsetof(dealt_packet, source_port),
    SAME_BYTES = sizeof(dealt_packet) - SAME_AT,
};
_Static_assert(sizeof(dealt_packet) == 64, "a line of the cache");
_Static_assert(offsetof(ws_packet, ip_offset) == SAME_FROM + SAME_BYTES &&
                   offsetof(ws_packet, input) - SAME_FROM == offsetof(dealt_packet, piece) - SAME_AT &&
                   offsetof(ws_packet, captured_length) - SAME_FROM == offsetof(dealt_packet, is_wide) - SAME_AT,
               "the same members in the same order");

static dealt_packet *dealt_at(const uint8_t *bytes)
{
    return (dealt_packet *)(uintptr_t)bytes; /* parcels are aligned, and so is what follows in them */
}

static size_t dealt_bytes(const dealt_packet *dealt)
{
    return dealt->is_wide ? WIDE_BYTES : sizeof *dealt;
}

/* Of WIDE_BYTES at most. */
static void pack(const ws_packet *packet, dealt_packet *out)
{
    out->ordinal = packet->ordinal;
    out->time_ns = packet->time_ns;
    memcpy(out->source, packet->source + PREFIX_BYTES, sizeof out->source);
    memcpy(out->destination, packet->destination + PREFIX_BYTES, sizeof out->destination);
    memcpy((uint8_t *)out + SAME_AT, (const uint8_t *)packet + SAME_FROM, SAME_BYTES);
    out->is_wide = !ws_address_is_ipv4(packet->source) || !ws_address_is_ipv4(packet->destination);
    if (!out->is_wide)
        return;
    memcpy(out + 1, packet->source, ADDRESS_BYTES);
    memcpy((uint8_t *)(out + 1) + ADDRESS_BYTES, packet->destination, ADDRESS_BYTES);
}

/* In two words: what comes next reads them so. */
static void unpack_address(uint8_t out[ADDRESS_BYTES], const uint8_t end[4])
{
    uint64_t words[2] = {0};
    uint8_t last[8] = {0, 0, 0xff, 0xff};
    memcpy(last + 4, end, 4);
    memcpy(&words[1], last, sizeof last);
    memcpy(out, words, sizeof words);
}

/* What the flow table does not ask for is 0. */
static void unpack(const dealt_packet *dealt, const packet_origin *origin, ws_packet *out)
{
    out->ordinal = dealt->ordinal + origin->ordinals_before;
    out->time_ns = dealt->time_ns;
    if (dealt->is_wide) {
        memcpy(out->source, dealt + 1, ADDRESS_BYTES);
        memcpy(out->destination, (const uint8_t *)(dealt + 1) + ADDRESS_BYTES, ADDRESS_BYTES);
    } else {
        unpack_address(out->source, dealt->source);
        unpack_address(out->destination, dealt->destination);
    }
    memcpy((uint8_t *)out + SAME_FROM, (const uint8_t *)dealt + SAME_AT, SAME_BYTES);
    out->input = origin->group;
    out->captured_length = out->ip_offset = 0;
    out->network_length = out->reserved_too = 0;
}

/* ---------------------------------------------------------------- dealing out */
/* Twice what rounds of the smallest packets hold, if all are for one rank; a larger round travels. */
ws_err extract_deal_open_all(extraction *x)
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

enum { AHEAD_BYTES = 12 * sizeof(dealt_packet) };
ws_err extract_deal(extraction *x)
{
    const ws_comm *comm = x->comm;
    if (comm->size == 1)
        return WS_OK;
    ws_parcel *out = x->hand_over.packets->out, *slots_out = x->slot_size > 0 ? x->hand_over.slots->out : NULL;
    const ws_packet *packets = x->packets, *end = packets + x->packet_count;
    for (const ws_packet *packet = packets; packet < end; packet++) {
        const int owner = extract_owner_of_packet(comm, packet);
        fetch_to_write((uintptr_t)out[owner].bytes + out[owner].count + AHEAD_BYTES);
        WS_TRY(ws_parcel_reserve(&out[owner], WIDE_BYTES));
        dealt_packet *dealt = dealt_at(out[owner].bytes + out[owner].count);
        pack(packet, dealt);
        out[owner].count += dealt_bytes(dealt);
        if (slots_out != NULL)
            WS_TRY(
                ws_parcel_put(&slots_out[owner], x->slots + (size_t)(packet - packets) * x->slot_size, x->slot_size));
    }
    x->packet_count = 0;
    return WS_OK;
}

bool extract_deal_next(const extraction *x, int owner, size_t *at, dealt_mark *out)
{
    const ws_parcel *parcel = &x->hand_over.packets->out[owner];
    if (*at >= parcel->count)
        return false;
    const dealt_packet *dealt = dealt_at(parcel->bytes + *at);
    *out = (dealt_mark){dealt->piece, dealt->ordinal, dealt->time_ns};
    *at += dealt_bytes(dealt);
    return true;
}

/* Keeps the packets for the owner that are of no such piece. */
static void drop_for(extraction *x, int owner, size_t first, size_t behind)
{
    ws_parcel *parcel = &x->hand_over.packets->out[owner];
    size_t kept = 0, kept_bytes = 0, number = 0, bytes;
    for (size_t at = 0; at < parcel->count; at += bytes, number++) {
        const dealt_packet *dealt = dealt_at(parcel->bytes + at);
        bytes = dealt_bytes(dealt);
        if (dealt->piece >= first && dealt->piece < behind)
            continue;
        memmove(parcel->bytes + kept_bytes, parcel->bytes + at, bytes);
        kept_bytes += bytes;
        if (x->slot_size > 0) {
            uint8_t *slots = x->hand_over.slots->out[owner].bytes;
            memmove(slots + kept * x->slot_size, slots + number * x->slot_size, x->slot_size);
        }
        kept++;
    }
    parcel->count = kept_bytes;
    if (x->slot_size > 0)
        x->hand_over.slots->out[owner].count = kept * x->slot_size;
}

void extract_deal_drop(extraction *x, size_t first, size_t behind)
{
    bool any = false;
    for (size_t k = first; k < behind; k++)
        any = any || x->pieces[k].packet_count > 0;
    for (int r = 0; any && x->comm->size > 1 && r < x->comm->size; r++)
        drop_for(x, r, first, behind);
}

/* Where a packet is to come, and where it lies. */
typedef struct dealt_place {
    uint64_t piece, ordinal;
    size_t at, bytes; /* in the parcel */
    size_t number;    /* among its packets */
} dealt_place;

static int compare_dealt(const void *a, const void *b)
{
    const dealt_place *x = a, *y = b;
    if (x->piece != y->piece)
        return x->piece < y->piece ? -1 : 1;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static ws_err list_places(const ws_parcel *parcel, dealt_place **places, size_t *count)
{
    WS_TRY(WS_NEW_ARRAY(*places, parcel->count / sizeof(dealt_packet)));
    for (size_t at = 0; at < parcel->count; at += (*places)[(*count)++].bytes) {
        const dealt_packet *dealt = dealt_at(parcel->bytes + at);
        (*places)[*count] = (dealt_place){dealt->piece, dealt->ordinal, at, dealt_bytes(dealt), *count};
    }
    qsort(*places, *count, sizeof **places, compare_dealt);
    return WS_OK;
}

/* By way of `room`, which holds either. */
static void put_in_order(extraction *x, int owner, const dealt_place *places, size_t count, uint8_t *room)
{
    ws_parcel *packets = &x->hand_over.packets->out[owner];
    size_t to = 0;
    for (size_t i = 0; i < count; to += places[i++].bytes)
        memcpy(room + to, packets->bytes + places[i].at, places[i].bytes);
    memcpy(packets->bytes, room, to);
    if (x->slot_size == 0)
        return;
    uint8_t *slots = x->hand_over.slots->out[owner].bytes;
    for (size_t i = 0; i < count; i++)
        memcpy(room + i * x->slot_size, slots + places[i].number * x->slot_size, x->slot_size);
    memcpy(slots, room, count * x->slot_size);
}

static ws_err order_dealt(extraction *x, int owner)
{
    const size_t bytes = x->hand_over.packets->out[owner].count,
                 slot_bytes = x->slot_size > 0 ? x->hand_over.slots->out[owner].count : 0;
    dealt_place *places = NULL;
    size_t count = 0;
    uint8_t *room = NULL;
    if (bytes == 0)
        return WS_OK;
    ws_err error = ws_alloc(&room, bytes > slot_bytes ? bytes : slot_bytes, 1);
    if (error == WS_OK)
        error = list_places(&x->hand_over.packets->out[owner], &places, &count);
    if (error == WS_OK)
        put_in_order(x, owner, places, count, room);
    free(places);
    free(room);
    return error;
}

ws_err extract_deal_order(extraction *x)
{
    for (int r = 0; r < x->comm->size; r++)
        WS_TRY(order_dealt(x, r));
    return WS_OK;
}

/* ---------------------------------------------------------------- taking out */
size_t extract_deal_take(const extract_hand_over *h, const uint8_t **next, const uint8_t *end,
                         const closing_point *point, ws_packet block[DEALT_BLOCK])
{
    size_t count = 0;
    while (*next < end && count < DEALT_BLOCK) {
        const dealt_packet *dealt = dealt_at(*next);
        const packet_origin *origin = &h->origins[dealt->piece];
        /* The next block's, mostly in another core's cache; nothing need be there. */
        __builtin_prefetch((const void *)((uintptr_t)dealt + DEALT_BLOCK * sizeof *dealt));
        if (origin->group != point->input || dealt->ordinal + origin->ordinals_before >= point->ordinal)
            break;
        unpack(dealt, origin, &block[count++]);
        *next += dealt_bytes(dealt);
    }
    return count;
}
