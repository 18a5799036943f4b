/* pcapml_samples: the samples of captures, found by their numbers in comments; see pcapml.h. */
#include "dataset/pcapml.h"

#include <stdlib.h>

enum { NUMBERS_MOST = (1 << 24) - 2 }; /* what ws_flow_key has room for */

typedef struct member {
    uint64_t sample;
    int64_t time_ns; /* of its first packet in time, whose endpoints follow */
    uint8_t source[16], destination[16];
    uint16_t source_port, destination_port;
    uint8_t protocol;
    char *label;
} member;

typedef struct member_list {
    member *items;
    size_t count, capacity;
    uint32_t *slots; /* index + 1 by sample; 0 empty */
    size_t slot_count;
} member_list;

struct ws_pcapml_samples {
    member_list *lists; /* [count] an input each */
    size_t count;
};

ws_err ws_pcapml_samples_create(ws_pcapml_samples **out, size_t inputs)
{
    WS_TRY(WS_NEW(*out));
    ws_err error = WS_NEW_ARRAY((*out)->lists, inputs);
    if (error != WS_OK)
        ws_pcapml_samples_destroy(out);
    else
        (*out)->count = inputs;
    return error;
}

void ws_pcapml_samples_destroy(ws_pcapml_samples **samples)
{
    if (*samples == NULL)
        return;
    for (size_t i = 0; i < (*samples)->count; i++) {
        ws_pcapml_samples_drop_labels(*samples, i);
        free((*samples)->lists[i].items);
        free((*samples)->lists[i].slots);
    }
    free((*samples)->lists);
    free(*samples);
    *samples = NULL;
}

void ws_pcapml_samples_drop_labels(ws_pcapml_samples *samples, size_t input)
{
    for (size_t i = 0; i < samples->lists[input].count; i++) {
        free(samples->lists[input].items[i].label);
        samples->lists[input].items[i].label = NULL;
    }
}

size_t ws_pcapml_samples_count(const ws_pcapml_samples *samples, size_t input)
{
    return samples->lists[input].count;
}

/* The sample's slot, or the empty one where it belongs. */
static size_t find_slot(const member_list *list, uint64_t sample)
{
    size_t at = ws_mix64(sample) & (list->slot_count - 1);
    while (list->slots[at] != 0 && list->items[list->slots[at] - 1].sample != sample)
        at = (at + 1) & (list->slot_count - 1);
    return at;
}

static ws_err grow_slots(member_list *list)
{
    free(list->slots);
    list->slots = NULL;
    list->slot_count = list->slot_count == 0 ? 1024 : 2 * list->slot_count;
    WS_TRY(WS_NEW_ARRAY(list->slots, list->slot_count));
    for (size_t i = 0; i < list->count; i++)
        list->slots[find_slot(list, list->items[i].sample)] = (uint32_t)i + 1;
    return WS_OK;
}

static void take_first(member *own, const ws_packet *packet)
{
    own->time_ns = packet->time_ns;
    memcpy(own->source, packet->source, 16);
    memcpy(own->destination, packet->destination, 16);
    own->source_port = packet->source_port;
    own->destination_port = packet->destination_port;
    own->protocol = packet->protocol;
}

static ws_err add_member(member_list *list, const ws_packet *packet, uint64_t sample, const char *label)
{
    WS_CHECK(list->count < NUMBERS_MOST, UNSUPPORTED, "more than %d samples in one capture", NUMBERS_MOST);
    WS_TRY(WS_GROW(list->items, list->capacity, list->count + 1));
    member *own = &list->items[list->count];
    memset(own, 0, sizeof *own);
    own->sample = sample;
    own->label = strdup(label);
    WS_CHECK(own->label != NULL, MEMORY, "no memory for the labels of samples");
    take_first(own, packet);
    list->slots[find_slot(list, sample)] = (uint32_t)++list->count;
    return WS_OK;
}

ws_err ws_pcapml_samples_add(ws_pcapml_samples *samples, size_t input, const ws_packet *packet, uint64_t sample,
                             const char *label, bool *alike)
{
    member_list *list = &samples->lists[input];
    *alike = true;
    if (2 * (list->count + 1) > list->slot_count)
        WS_TRY(grow_slots(list));
    const uint32_t found = list->slots[find_slot(list, sample)];
    if (found == 0)
        return add_member(list, packet, sample, label);
    member *own = &list->items[found - 1];
    if (packet->time_ns < own->time_ns)
        take_first(own, packet);
    *alike = strcmp(own->label, label) == 0;
    return WS_OK;
}

bool ws_pcapml_samples_mark(const ws_pcapml_samples *samples, size_t input, uint64_t sample, ws_packet *packet)
{
    const member_list *list = &samples->lists[input];
    const uint32_t found = list->slot_count == 0 ? 0 : list->slots[find_slot(list, sample)];
    if (found == 0)
        return false;
    packet->sample = found - 1;
    packet->sample_side =
        memcmp(packet->source, list->items[found - 1].source, 16) == 0 ? WS_SAMPLE_FIRST_SENDER : WS_SAMPLE_OTHERS;
    return true;
}

void ws_pcapml_samples_name(const ws_pcapml_samples *samples, size_t input, uint32_t number, ws_flow_key *key,
                            bool *source_is_low, const char **label)
{
    const member *own = &samples->lists[input].items[number];
    ws_packet packet = {
        .source_port = own->source_port, .destination_port = own->destination_port, .protocol = own->protocol};
    memcpy(packet.source, own->source, 16);
    memcpy(packet.destination, own->destination, 16);
    ws_flow_key_of(&packet, key, source_is_low);
    ws_flow_key_set_sample(key, number);
    *label = own->label;
}
