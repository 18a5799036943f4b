/* flow_csv: any flow table with a header line. Without --config the usual names are recognised and every other column is a
 * feature; the "table" object of --config names columns (table_config.c says which keys it has).
 */
#include "dataset/table.h"

#define U(names, role)                                                                                                 \
    {                                                                                                                  \
        names, NULL, WS_TABLE_##role, NULL                                                                             \
    }
#define L(names, level)                                                                                                \
    {                                                                                                                  \
        names, NULL, WS_TABLE_LABEL, level                                                                             \
    }
static const ws_table_column columns[] = {
    U("id|Unnamed: 0|Flow ID|row|index|no", UNUSED),
    U("source|src|Source IP|Src IP|src_ip|SRC_IP|srcip|src_ip_addr|saddr|Address A", SOURCE),
    U("source_port|Source Port|Src Port|sport|srcport|Port A", SOURCE_PORT),
    U("destination|dst|Destination IP|Dst IP|dstip|dst_ip_addr|daddr|Address B", DESTINATION),
    U("destination_port|Destination Port|Dst Port|dport|dstport|dest_port|Port B", DESTINATION_PORT),
    U("protocol|proto", PROTOCOL),
    U("timestamp|time_first|first_time|start_time|stime|first|ts", FIRST_TIME),
    U("time_last|last_time|end_time|ltime|last", LAST_TIME),
    L("service", "service"),
    L("app|application|traffic_type", "app"),
    L("label|class|class1", "label"),
    L("category", "category"),
    {NULL, NULL, WS_TABLE_UNUSED, NULL}};

static const ws_table_family family = {.feature_table = "flow_csv",
                                       .columns = columns,
                                       .least_features = 1,
                                       .rest_are_features = true,
                                       .duration_ns = 1000};
const ws_dataset_adapter ws_dataset_flow_csv = {.name = "flow_csv",
                                                .help = "any flow table with a header (--config: what its columns are)",
                                                .table = &family,
                                                .tables_only = true};
