/* flowconx_csv: the canonical flow records of FlowCon-X: 20 columns, packet sequences joined by semicolons.
 */
#include "dataset/table_columns.h"

static const ws_table_column columns[] = {L("app", "app"),
                                          L("service", "service"),
                                          L("condition", "condition"),
                                          U("packet_lengths", LENGTHS),
                                          U("iat_values", GAPS),
                                          U("directions", DIRECTIONS),
                                          V("rtt_ms", "ms", VALUE),
                                          V("jitter_ms", "ms", VALUE),
                                          V("loss_rate", "1", VALUE),
                                          V("total packets", "packets", VALUE),
                                          V("total fwd packets", "packets", PACKETS_FORWARD),
                                          V("total backward packets", "packets", PACKETS_BACKWARD),
                                          V("packet length mean", "bytes", VALUE),
                                          V("packet length std", "bytes", VALUE),
                                          V("flow iat mean", "ms", VALUE),
                                          V("flow iat std", "ms", VALUE),
                                          V("flow duration", "ms", DURATION),
                                          V("flow bytes/s", "bytes/s", VALUE),
                                          V("flow packets/s", "1/s", VALUE),
                                          U("protocol", PROTOCOL),
                                          COLUMNS_END};

static const ws_table_family family = {
    .columns = columns, .feature_table = "flowconx", .least_features = 10, .duration_ns = 1e6};
const ws_dataset_adapter ws_dataset_flowconx_csv = {
    .name = "flowconx_csv", .help = "canonical flow records of FlowCon-X", .table = &family, .tables_only = true};
