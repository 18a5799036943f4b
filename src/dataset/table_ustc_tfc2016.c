/* table_ustc_tfc2016: conversations of USTC-TFC2016 as Wireshark exports them, a file a class (Gmail_TCP.csv in Benign/ or
 * Malware/). Times are seconds since the start of the capture.
 */
#include "dataset/table_columns.h"

static const ws_table_column columns[] = {U("Address A", SOURCE),
                                          U("Port A", SOURCE_PORT),
                                          U("Address B", DESTINATION),
                                          U("Port B", DESTINATION_PORT),
                                          V("Packets", "packets", VALUE),
                                          V("Bytes", "bytes", VALUE),
                                          V("Packets A B", "packets", PACKETS_FORWARD),
                                          V("Bytes A B", "bytes", BYTES_FORWARD),
                                          V("Packets B A", "packets", PACKETS_BACKWARD),
                                          V("Bytes B A", "bytes", BYTES_BACKWARD),
                                          U("Rel Start", FIRST_TIME),
                                          V("Duration", "s", DURATION),
                                          V("Bits/s A B", "bit/s", VALUE),
                                          V("Bits/s B A", "bit/s", VALUE),
                                          COLUMNS_END};

const ws_table_family ws_table_ustc_tfc2016 = {
    .columns = columns,
    .feature_table = "conversation",
    .least_features = 9,
    .duration_ns = 1e9,
    .path_labels = {{"label", WS_TABLE_STEM, "_"}, {"family", WS_TABLE_FOLDER, NULL}}};
