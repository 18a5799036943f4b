/* Filter expressions through libpcap's compiler and interpreter. Null, loop and ENC frames name the address family as the system
 * that wrote them does; the compiler knows this machine's names only, so it is those that the interpreter is shown.
 */
#include "dataset/packet_filter.h"

#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { LINK_NULL = 0, LINK_ETHERNET = 1, LINK_LOOP = 108, LINK_ENC = 109, SNAP_LENGTH = 262144 };

typedef struct program {
    int link_type;
    struct bpf_program code;
} program;

struct ws_packet_filter {
    char *expression;
    program *programs; /* one a link type, found by looking along them */
    size_t count, capacity;
    uint8_t *frame; /* with this machine's address family */
    size_t frame_capacity;
};

/* Files number these otherwise than the library. */
static int library_link_type(int link_type)
{
    switch (link_type) {
    case 14: /* raw IP, as OpenBSD numbers it */
    case 101:
        return DLT_RAW;
    case 100:
        return DLT_ATM_RFC1483;
    case 106:
        return DLT_ATM_CLIP;
    default:
        return link_type;
    }
}

static ws_err compile(ws_packet_filter *filter, int link_type)
{
    WS_TRY(WS_GROW(filter->programs, filter->capacity, filter->count + 1));
    pcap_t *pcap = pcap_open_dead(library_link_type(link_type), SNAP_LENGTH);
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
    free((*filter)->frame);
    free((*filter)->expression);
    free(*filter);
    *filter = NULL;
}

/* A null, loop or ENC frame with the family as the compiler has it: in this machine's byte order, or of loop, big-endian. */
static ws_err show_family(ws_packet_filter *filter, const uint8_t **frame, uint32_t captured_length, int link_type)
{
    uint32_t family;
    if (captured_length < sizeof family)
        return WS_OK;
    memcpy(&family, *frame, sizeof family);
    family = ntohl(family) > 0xffff ? __builtin_bswap32(ntohl(family)) : ntohl(family);
    if (family == 10 || family == 24 || family == 28 || family == 30 || family == 0x86dd) /* Linux, BSDs, Darwin */
        family = AF_INET6;
    else if (family == 0x0800)
        family = AF_INET;
    family = link_type == LINK_LOOP ? htonl(family) : family;
    WS_TRY(WS_GROW(filter->frame, filter->frame_capacity, captured_length));
    memcpy(filter->frame, *frame, captured_length);
    memcpy(filter->frame, &family, sizeof family);
    *frame = filter->frame;
    return WS_OK;
}

ws_err ws_packet_filter_accepts(ws_packet_filter *filter, const uint8_t *frame, uint32_t captured_length,
                                uint32_t wire_length, int link_type, bool *accepts)
{
    size_t at = 0;
    while (at < filter->count && filter->programs[at].link_type != link_type)
        at++;
    if (at == filter->count)
        WS_TRY(compile(filter, link_type));
    if (link_type == LINK_NULL || link_type == LINK_LOOP || link_type == LINK_ENC)
        WS_TRY(show_family(filter, &frame, captured_length, link_type));
    *accepts = bpf_filter(filter->programs[at].code.bf_insns, frame, wire_length, captured_length) != 0;
    return WS_OK;
}
