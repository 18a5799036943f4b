/* table_cesnet: the columns of CESNET-QUIC22, CESNET-TLS22 and CESNET-TLS-Year22. Names of servers, user agents and
 * fingerprints are what the labels were made from, and addresses, ports and times tell the service: none is a feature.
 * Sequences become packets: times, directions and payload lengths, and PSH where there is a fourth row; their other
 * columns are 0.
 */
#include "dataset/table.h"

#define V(names, unit, role)                                                                                           \
    {                                                                                                                  \
        names, unit, WS_TABLE_##role, NULL                                                                             \
    }
#define U(names, role)                                                                                                 \
    {                                                                                                                  \
        names, NULL, WS_TABLE_##role, NULL                                                                             \
    }
#define L(names, level)                                                                                                \
    {                                                                                                                  \
        names, NULL, WS_TABLE_LABEL, level                                                                             \
    }
const ws_table_column ws_table_cesnet_columns[] = {U("ID", UNUSED),
                                                   U("SRC_IP", SOURCE),
                                                   U("DST_IP", DESTINATION),
                                                   U("DST_ASN", UNUSED),
                                                   U("SRC_PORT", SOURCE_PORT),
                                                   U("DST_PORT", DESTINATION_PORT),
                                                   U("PROTOCOL", PROTOCOL),
                                                   U("QUIC_VERSION", UNUSED),
                                                   U("QUIC_SNI", UNUSED),
                                                   U("QUIC_USER_AGENT|QUIC_USERAGENT", UNUSED),
                                                   U("TLS_SNI", UNUSED),
                                                   U("TLS_JA3", UNUSED),
                                                   U("TIME_FIRST", FIRST_TIME),
                                                   U("TIME_LAST", LAST_TIME),
                                                   V("BYTES", "bytes", BYTES_FORWARD),
                                                   V("BYTES_REV", "bytes", BYTES_BACKWARD),
                                                   V("PACKETS", "packets", PACKETS_FORWARD),
                                                   V("PACKETS_REV", "packets", PACKETS_BACKWARD),
                                                   V("DURATION", "s", DURATION),
                                                   V("PPI_LEN", "packets", VALUE),
                                                   V("PPI_DURATION", "s", VALUE),
                                                   V("PPI_ROUNDTRIPS", "1", VALUE),
                                                   U("PPI", PPI),
                                                   V("PHIST_SRC_SIZES", "packets", HISTOGRAM),
                                                   V("PHIST_DST_SIZES", "packets", HISTOGRAM),
                                                   V("PHIST_SRC_IPT", "packets", HISTOGRAM),
                                                   V("PHIST_DST_IPT", "packets", HISTOGRAM),
                                                   V("FLAG_CWR", "1", VALUE),
                                                   V("FLAG_CWR_REV", "1", VALUE),
                                                   V("FLAG_ECE", "1", VALUE),
                                                   V("FLAG_ECE_REV", "1", VALUE),
                                                   V("FLAG_URG", "1", VALUE),
                                                   V("FLAG_URG_REV", "1", VALUE),
                                                   V("FLAG_ACK", "1", VALUE),
                                                   V("FLAG_ACK_REV", "1", VALUE),
                                                   V("FLAG_PSH", "1", VALUE),
                                                   V("FLAG_PSH_REV", "1", VALUE),
                                                   V("FLAG_RST", "1", VALUE),
                                                   V("FLAG_RST_REV", "1", VALUE),
                                                   V("FLAG_SYN", "1", VALUE),
                                                   V("FLAG_SYN_REV", "1", VALUE),
                                                   V("FLAG_FIN", "1", VALUE),
                                                   V("FLAG_FIN_REV", "1", VALUE),
                                                   V("FLOW_ENDREASON_IDLE", "1", ENDED_IDLE),
                                                   V("FLOW_ENDREASON_ACTIVE", "1", ENDED_ACTIVE),
                                                   V("FLOW_ENDREASON_END", "1", VALUE),
                                                   V("FLOW_ENDREASON_OTHER", "1", VALUE),
                                                   L("APP", "app"),
                                                   L("CATEGORY", "category"),
                                                   {NULL, NULL, WS_TABLE_UNUSED, NULL}};
