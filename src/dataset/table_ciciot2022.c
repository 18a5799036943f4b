/* table_ciciot2022: packet windows of CICIoT2022, a file an experiment in a folder a device. Addresses and ports, which name the
 * device and its cloud, are no features.
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
static const ws_table_column columns[] = {U("Unnamed: 0", UNUSED),
                                          V("L4_tcp", "1", VALUE),
                                          V("L4_udp", "1", VALUE),
                                          V("L7_http", "1", VALUE),
                                          V("L7_https", "1", VALUE),
                                          V("port_class_src", "1", VALUE),
                                          V("port_class_dst", "1", VALUE),
                                          V("pck_size", "bytes", VALUE),
                                          U("ip_dst_new", UNUSED),
                                          V("ethernet_frame_size", "bytes", VALUE),
                                          V("ttl", "1", VALUE),
                                          V("total_length", "bytes", VALUE),
                                          U("protocol", PROTOCOL),
                                          U("source_port", SOURCE_PORT),
                                          U("dest_port", DESTINATION_PORT),
                                          V("DNS_count", "packets", VALUE),
                                          V("NTP_count", "packets", VALUE),
                                          V("ARP_count", "packets", VALUE),
                                          V("cnt", "packets", VALUE),
                                          V("L3_ip_dst_count", "1", VALUE),
                                          U("most_freq_d_ip", UNUSED),
                                          V("most_freq_prot", "1", VALUE),
                                          U("most_freq_sport", UNUSED),
                                          U("most_freq_dport", UNUSED),
                                          V("sum_et", "bytes", VALUE),
                                          V("min_et", "bytes", VALUE),
                                          V("max_et", "bytes", VALUE),
                                          V("med_et", "bytes", VALUE),
                                          V("average_et", "bytes", VALUE),
                                          V("skew_et", "1", VALUE),
                                          V("kurt_et", "1", VALUE),
                                          V("var", "bytes^2", VALUE),
                                          V("q3", "bytes", VALUE),
                                          V("q1", "bytes", VALUE),
                                          V("iqr", "bytes", VALUE),
                                          V("sum_e", "bytes", VALUE),
                                          V("min_e", "bytes", VALUE),
                                          V("max_e", "bytes", VALUE),
                                          V("med", "bytes", VALUE),
                                          V("average", "bytes", VALUE),
                                          V("skew_e", "1", VALUE),
                                          V("kurt_e", "1", VALUE),
                                          V("var_e", "bytes^2", VALUE),
                                          V("q3_e", "bytes", VALUE),
                                          V("q1_e", "bytes", VALUE),
                                          V("iqr_e", "bytes", VALUE),
                                          U("epoch_timestamp", FIRST_TIME),
                                          V("inter_arrival_time", "s", VALUE),
                                          V("time_since_previously_displayed_frame", "s", VALUE),
                                          {NULL, NULL, WS_TABLE_UNUSED, NULL}};

const ws_table_family ws_table_ciciot2022 = {
    .columns = columns,
    .feature_table = "ciciot_window",
    .least_features = 20,
    .duration_ns = 1e9,
    .path_labels = {{"device", WS_TABLE_FOLDER, NULL}, {"experiment", WS_TABLE_STEM, "_"}}};
