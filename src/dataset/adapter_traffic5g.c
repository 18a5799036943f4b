/* traffic5g: 5G traffic: packets a line, a file a capture of an application (read as captures, labelled by file name), bit
 * rates a second, a file an application (zoom_dataset.csv), and traces of the MAC and physical layer with their traffic type.
 */
#include "dataset/table_columns.h"

static const ws_table_column columns[] = {V("DL_bitrate", "bit/s", VALUE),
                                          V("UL_bitrate", "bit/s", VALUE),
                                          U("timestamp", FIRST_TIME),
                                          L("traffic_type", "traffic_type"),
                                          L("type", "channel"),
                                          L("direction", "direction"),
                                          V("harq", "1", VALUE),
                                          V("prbs", "1", VALUE),
                                          V("tb_len", "bytes", VALUE),
                                          V("mod", "bit", VALUE),
                                          V("rv_idx", "1", VALUE),
                                          V("cr", "1", VALUE),
                                          V("retx", "1", VALUE),
                                          V("crc_ok", "1", VALUE),
                                          V("snr", "dB", VALUE),
                                          V("mcs", "1", VALUE),
                                          V("format", "1", VALUE),
                                          V("total_len", "bytes", VALUE),
                                          COLUMNS_END};

static const ws_table_family family = {.columns = columns,
                                       .feature_table = "radio",
                                       .least_features = 2,
                                       .duration_ns = 1e9,
                                       .path_labels = {{"app", WS_TABLE_STEM, "_dataset"}}};
const ws_dataset_adapter ws_dataset_traffic5g = {
    .name = "traffic5g",
    .help = "5G captures as lines of packets, bit rates of applications, and MAC and PHY traces",
    .open_labels = ws_labels_read_generic,
    .has_label_rules = true,
    .protocol_untold = true,
    .table = &family};
