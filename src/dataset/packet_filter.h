/* Filter expressions as tcpdump has them (pcap-filter(7)), compiled by libpcap for each link type that occurs, run on
 * captured frames. Not thread-safe. */
#ifndef WS_DATASET_PACKET_FILTER_H
#define WS_DATASET_PACKET_FILTER_H

#include "core/core.h"

typedef struct ws_packet_filter ws_packet_filter;
/* Refuses an expression that does not compile for Ethernet; other link types are compiled when they occur. */
WS_MUST ws_err ws_packet_filter_create(ws_packet_filter **out, const char *expression);
void ws_packet_filter_destroy(ws_packet_filter **filter);
WS_MUST ws_err ws_packet_filter_accepts(ws_packet_filter *filter, const uint8_t *frame, uint32_t captured_length,
                                        uint32_t wire_length, int link_type, bool *accepts);

#endif
