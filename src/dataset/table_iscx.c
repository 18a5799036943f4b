/* table_iscx: the time features of ISCXFlowMeter as ISCXTor2016 and ISCXVPN2016 publish them, under the names of their ARFF
 * files; CSV files have names of their own for the same. -1 says that a flow was never active or idle. Files differ in
 * which of them they have: a store takes files that have the same.
 */
#include "dataset/table_columns.h"

static const ws_table_column columns[] = {U("Source IP", SOURCE),
                                          U("Source Port", SOURCE_PORT),
                                          U("Destination IP", DESTINATION),
                                          U("Destination Port", DESTINATION_PORT),
                                          U("Protocol", PROTOCOL),
                                          V("duration|Flow Duration", "us", DURATION),
                                          V("total_fiat|Fwd IAT Total", "us", VALUE),
                                          V("total_biat|Bwd IAT Total", "us", VALUE),
                                          V("min_fiat|Fwd IAT Min", "us", VALUE),
                                          V("min_biat|Bwd IAT Min", "us", VALUE),
                                          V("max_fiat|Fwd IAT Max", "us", VALUE),
                                          V("max_biat|Bwd IAT Max", "us", VALUE),
                                          V("mean_fiat|Fwd IAT Mean", "us", VALUE),
                                          V("mean_biat|Bwd IAT Mean", "us", VALUE),
                                          V("std_fiat|Fwd IAT Std", "us", VALUE),
                                          V("std_biat|Bwd IAT Std", "us", VALUE),
                                          V("flowPktsPerSecond|Flow Packets/s", "1/s", VALUE),
                                          V("flowBytesPerSecond|Flow Bytes/s", "bytes/s", VALUE),
                                          V("min_flowiat|Flow IAT Min", "us", VALUE),
                                          V("max_flowiat|Flow IAT Max", "us", VALUE),
                                          V("mean_flowiat|Flow IAT Mean", "us", VALUE),
                                          V("std_flowiat|Flow IAT Std", "us", VALUE),
                                          V("min_active|Active Min", "us", VALUE),
                                          V("mean_active|Active Mean", "us", VALUE),
                                          V("max_active|Active Max", "us", VALUE),
                                          V("std_active|Active Std", "us", VALUE),
                                          V("min_idle|Idle Min", "us", VALUE),
                                          V("mean_idle|Idle Mean", "us", VALUE),
                                          V("max_idle|Idle Max", "us", VALUE),
                                          V("std_idle|Idle Std", "us", VALUE),
                                          L("class1|label|class", "label"),
                                          COLUMNS_END};

/* The length at which flows were cut (10 to 120 s) is part of a file's name and of its rows' meaning, so files of
 * different lengths do not belong into one store, though they look alike. */
const ws_table_family ws_table_iscxtor2016 = {
    .feature_table = "iscx_time", .columns = columns, .least_features = 3, .duration_ns = 1000};

const ws_table_family ws_table_iscxvpn2016 = {
    .feature_table = "iscx_time", .columns = columns, .least_features = 3, .duration_ns = 1000};
