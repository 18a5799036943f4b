/* Filter expressions through libpcap's compiler and interpreter. */
#include "dataset/packet_filter.h"

#include <pcap/pcap.h>
#include <stdlib.h>

enum { LINK_ETHERNET = 1, LINK_RAW_IN_FILES = 101, SNAP_LENGTH = 262144 };

typedef struct program {
    int link_type;
    struct bpf_program code;
} program;

struct ws_packet_filter {
    char *expression;
    program *programs; /* one a link type, found by looking along them */
    size_t count, capacity;
};

static ws_err compile(ws_packet_filter *filter, int link_type)
{
    WS_TRY(WS_GROW(filter->programs, filter->capacity, filter->count + 1));
    /* Files number raw IP differently from the library. */
    pcap_t *pcap = pcap_open_dead(link_type == LINK_RAW_IN_FILES ? DLT_RAW : link_type, SNAP_LENGTH);
    WS_CHECK(pcap != NULL, MEMORY, "filter '%s': out of memory", filter->expression);
    program *made = &filter->programs[filter->count];
    made->link_type = link_type;
    ws_err error = WS_OK;
    if (pcap_compile(pcap, &made->code, filter->expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
        error =
            WS_ERROR(ARGUMENT, "filter '%s' for link type %d: %s", filter->expression, link_type, pcap_geterr(pcap));
        WS_HINT("man 7 pcap-filter describes filter expressions");
    } else {
        filter->count++;
    }
    pcap_close(pcap);
    return error;
}

ws_err ws_packet_filter_create(ws_packet_filter **out, const char *expression)
{
    *out = NULL;
    ws_packet_filter *filter = NULL;
    WS_TRY(WS_NEW(filter));
    ws_err error = WS_OK;
    filter->expression = strdup(expression);
    WS_CHECK_GOTO(fail, filter->expression != NULL, MEMORY, "out of memory");
    WS_TRY_GOTO(fail, compile(filter, LINK_ETHERNET));
    *out = filter;
    return WS_OK;
fail:
    ws_packet_filter_destroy(&filter);
    return error;
}

void ws_packet_filter_destroy(ws_packet_filter **filter)
{
    if (*filter == NULL)
        return;
    for (size_t i = 0; i < (*filter)->count; i++)
        pcap_freecode(&(*filter)->programs[i].code);
    free((*filter)->programs);
    free((*filter)->expression);
    free(*filter);
    *filter = NULL;
}

ws_err ws_packet_filter_accepts(ws_packet_filter *filter, const uint8_t *frame, uint32_t captured_length,
                                uint32_t wire_length, int link_type, bool *accepts)
{
    size_t at = 0;
    while (at < filter->count && filter->programs[at].link_type != link_type)
        at++;
    if (at == filter->count)
        WS_TRY(compile(filter, link_type));
    *accepts = bpf_filter(filter->programs[at].code.bf_insns, frame, wire_length, captured_length) != 0;
    return WS_OK;
}
