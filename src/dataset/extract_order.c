/* Packets of an input into the order of their times, for data sets whose files have them in another: all packets of the input
 * wait at the rank that owns their flows, and go to the flow table at its end. Closing points inside of the input do not
 * apply. Packets of one time stay in the order of the input.
 *
 * Memory is that of an input's packets, or with --memory that of a part of them (extract_spill.c).
 */
#include "dataset/extract.h"

#include <stdlib.h>

typedef struct packet_place {
    int64_t time_ns;
    uint64_t ordinal;
    size_t at;
} packet_place;

static int compare_places(const void *a, const void *b)
{
    const packet_place *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

void packet_buffer_destroy(packet_buffer *buffer)
{
    free(buffer->packets);
    free(buffer->slots);
    memset(buffer, 0, sizeof *buffer);
}

ws_err extract_order_add(extraction *x, const ws_packet *packets, const uint8_t *slots, size_t count)
{
    packet_buffer *buffer = &x->ordered;
    if (count == 0)
        return WS_OK;
    WS_TRY(WS_GROW(buffer->packets, buffer->capacity, buffer->count + count));
    WS_TRY(WS_GROW(buffer->slots, buffer->slot_capacity, (buffer->count + count) * x->slot_size));
    memcpy(buffer->packets + buffer->count, packets, count * sizeof *packets);
    if (slots != NULL)
        memcpy(buffer->slots + buffer->count * x->slot_size, slots, count * x->slot_size);
    buffer->count += count;
    return WS_OK;
}

ws_err extract_order_feed(extraction *x)
{
    packet_buffer *buffer = &x->ordered;
    packet_place *places = NULL;
    if (buffer->count == 0)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(places, buffer->count));
    for (size_t i = 0; i < buffer->count; i++)
        places[i] = (packet_place){buffer->packets[i].time_ns, buffer->packets[i].ordinal, i};
    qsort(places, buffer->count, sizeof *places, compare_places);
    ws_err error = WS_OK;
    for (size_t i = 0; i < buffer->count && error == WS_OK; i++) {
        const size_t at = places[i].at;
        error = extract_add(x, &buffer->packets[at], x->slot_size > 0 ? buffer->slots + at * x->slot_size : NULL, 1);
    }
    buffer->count = 0;
    free(places);
    WS_TRY(error);
    return WS_OK;
}
