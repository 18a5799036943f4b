/* table_cic: the columns of CICFlowMeter as CICIDS2017 and CIC-DDoS2019 publish them: original (79 and 85 columns), with
 * a row number and two more (88), corrected (91, "CICIDS2017_improved", CNS 2022), and the short names of its later
 * versions. Addresses, ports, protocol and time identify a flow and are no features; CWE is the original's word for CWR.
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
static const ws_table_column columns[] = {
    U("id|Unnamed: 0", UNUSED),
    U("Flow ID", UNUSED),
    U("Source IP|Src IP", SOURCE),
    U("Source Port|Src Port", SOURCE_PORT),
    U("Destination IP|Dst IP", DESTINATION),
    U("Destination Port|Dst Port", DESTINATION_PORT),
    U("Protocol", PROTOCOL),
    U("Timestamp", FIRST_TIME),
    V("Flow Duration", "us", DURATION),
    V("Total Fwd Packets|Total Fwd Packet|Tot Fwd Pkts", "packets", PACKETS_FORWARD),
    V("Total Backward Packets|Total Bwd packets|Tot Bwd Pkts", "packets", PACKETS_BACKWARD),
    V("Total Length of Fwd Packets|Total Length of Fwd Packet|TotLen Fwd Pkts", "bytes", PAYLOAD_FORWARD),
    V("Total Length of Bwd Packets|Total Length of Bwd Packet|TotLen Bwd Pkts", "bytes", PAYLOAD_BACKWARD),
    V("Fwd Packet Length Max|Fwd Pkt Len Max", "bytes", VALUE),
    V("Fwd Packet Length Min|Fwd Pkt Len Min", "bytes", VALUE),
    V("Fwd Packet Length Mean|Fwd Pkt Len Mean", "bytes", VALUE),
    V("Fwd Packet Length Std|Fwd Pkt Len Std", "bytes", VALUE),
    V("Bwd Packet Length Max|Bwd Pkt Len Max", "bytes", VALUE),
    V("Bwd Packet Length Min|Bwd Pkt Len Min", "bytes", VALUE),
    V("Bwd Packet Length Mean|Bwd Pkt Len Mean", "bytes", VALUE),
    V("Bwd Packet Length Std|Bwd Pkt Len Std", "bytes", VALUE),
    V("Flow Bytes/s|Flow Byts/s", "bytes/s", VALUE),
    V("Flow Packets/s|Flow Pkts/s", "1/s", VALUE),
    V("Flow IAT Mean", "us", VALUE),
    V("Flow IAT Std", "us", VALUE),
    V("Flow IAT Max", "us", VALUE),
    V("Flow IAT Min", "us", VALUE),
    V("Fwd IAT Total|Fwd IAT Tot", "us", VALUE),
    V("Fwd IAT Mean", "us", VALUE),
    V("Fwd IAT Std", "us", VALUE),
    V("Fwd IAT Max", "us", VALUE),
    V("Fwd IAT Min", "us", VALUE),
    V("Bwd IAT Total|Bwd IAT Tot", "us", VALUE),
    V("Bwd IAT Mean", "us", VALUE),
    V("Bwd IAT Std", "us", VALUE),
    V("Bwd IAT Max", "us", VALUE),
    V("Bwd IAT Min", "us", VALUE),
    V("Fwd PSH Flags", "packets", VALUE),
    V("Bwd PSH Flags", "packets", VALUE),
    V("Fwd URG Flags", "packets", VALUE),
    V("Bwd URG Flags", "packets", VALUE),
    V("Fwd RST Flags", "packets", VALUE),
    V("Bwd RST Flags", "packets", VALUE),
    V("Fwd Header Length|Fwd Header Len", "bytes", VALUE),
    V("Bwd Header Length|Bwd Header Len", "bytes", VALUE),
    U("Fwd Header Length.1", UNUSED),
    V("Fwd Packets/s|Fwd Pkts/s", "1/s", VALUE),
    V("Bwd Packets/s|Bwd Pkts/s", "1/s", VALUE),
    V("Min Packet Length|Packet Length Min|Pkt Len Min", "bytes", VALUE),
    V("Max Packet Length|Packet Length Max|Pkt Len Max", "bytes", VALUE),
    V("Packet Length Mean|Pkt Len Mean", "bytes", VALUE),
    V("Packet Length Std|Pkt Len Std", "bytes", VALUE),
    V("Packet Length Variance|Pkt Len Var", "bytes^2", VALUE),
    V("FIN Flag Count|FIN Flag Cnt", "packets", VALUE),
    V("SYN Flag Count|SYN Flag Cnt", "packets", VALUE),
    V("RST Flag Count|RST Flag Cnt", "packets", VALUE),
    V("PSH Flag Count|PSH Flag Cnt", "packets", VALUE),
    V("ACK Flag Count|ACK Flag Cnt", "packets", VALUE),
    V("URG Flag Count|URG Flag Cnt", "packets", VALUE),
    V("CWE Flag Count|CWR Flag Count", "packets", VALUE),
    V("ECE Flag Count|ECE Flag Cnt", "packets", VALUE),
    V("Down/Up Ratio", "1", VALUE),
    V("Average Packet Size|Pkt Size Avg", "bytes", VALUE),
    V("Avg Fwd Segment Size|Fwd Segment Size Avg|Fwd Seg Size Avg", "bytes", VALUE),
    V("Avg Bwd Segment Size|Bwd Segment Size Avg|Bwd Seg Size Avg", "bytes", VALUE),
    V("Fwd Avg Bytes/Bulk|Fwd Bytes/Bulk Avg|Fwd Byts/b Avg", "bytes", VALUE),
    V("Fwd Avg Packets/Bulk|Fwd Packet/Bulk Avg|Fwd Pkts/b Avg", "packets", VALUE),
    V("Fwd Avg Bulk Rate|Fwd Bulk Rate Avg|Fwd Blk Rate Avg", "bytes/s", VALUE),
    V("Bwd Avg Bytes/Bulk|Bwd Bytes/Bulk Avg|Bwd Byts/b Avg", "bytes", VALUE),
    V("Bwd Avg Packets/Bulk|Bwd Packet/Bulk Avg|Bwd Pkts/b Avg", "packets", VALUE),
    V("Bwd Avg Bulk Rate|Bwd Bulk Rate Avg|Bwd Blk Rate Avg", "bytes/s", VALUE),
    V("Subflow Fwd Packets|Subflow Fwd Pkts", "packets", VALUE),
    V("Subflow Fwd Bytes|Subflow Fwd Byts", "bytes", VALUE),
    V("Subflow Bwd Packets|Subflow Bwd Pkts", "packets", VALUE),
    V("Subflow Bwd Bytes|Subflow Bwd Byts", "bytes", VALUE),
    V("Init_Win_bytes_forward|FWD Init Win Bytes|Init Fwd Win Byts", "bytes", VALUE),
    V("Init_Win_bytes_backward|Bwd Init Win Bytes|Init Bwd Win Byts", "bytes", VALUE),
    V("act_data_pkt_fwd|Fwd Act Data Pkts", "packets", VALUE),
    V("min_seg_size_forward|Fwd Seg Size Min", "bytes", VALUE),
    V("Active Mean", "us", VALUE),
    V("Active Std", "us", VALUE),
    V("Active Max", "us", VALUE),
    V("Active Min", "us", VALUE),
    V("Idle Mean", "us", VALUE),
    V("Idle Std", "us", VALUE),
    V("Idle Max", "us", VALUE),
    V("Idle Min", "us", VALUE),
    V("ICMP Code", "1", VALUE),
    V("ICMP Type", "1", VALUE),
    V("Total TCP Flow Time", "us", VALUE),
    U("SimillarHTTP", UNUSED),
    V("Inbound", "1", VALUE),
    L("Label", "label"),
    U("Attempted Category", ATTEMPTED),
    {NULL, NULL, WS_TABLE_UNUSED, NULL}};

/* CICIDS2017. Times of the original are of Canada's Atlantic coast in July (UTC-3), on a 12-hour clock without AM and PM
 * while the capture ran from 9 to 17; the corrected release writes UTC, year first. */
const ws_table_family ws_table_cicids2017 = {.feature_table = "cicflowmeter",
                                             .columns = columns,
                                             .least_features = 60,
                                             .duration_ns = 1000,
                                             .clock = {.slash_offset_s = -3 * 3600, .afternoon = true}};

/* CIC-DDoS2019. Times are local: UTC-3 on 3 November 2018, UTC-4 on 1 December, the clocks having been put back on
 * 4 November. The published labels stay as they are, also where both days name an attack differently. */
const ws_table_family ws_table_cicddos2019 = {
    .feature_table = "cicflowmeter",
    .columns = columns,
    .least_features = 60,
    .duration_ns = 1000,
    /* 2018-11-04 00:00 */
    .clock = {
        .utc_offset_s = -3 * 3600, .later_offset_s = -4 * 3600, .change_s = 1541289600, .slash_offset_s = -3 * 3600}};
