/* features_first20: the wire lengths of a flow's first 20 packets, those backward negative, 0 where there are fewer: what
 * classical baselines are often trained on; first10 of 10. Packets that are not stored (`packets` below 20) count as missing.
 */
#include "dataset/dataset.h"

enum { COLUMNS = 20, HALF = 10 };

#define TWENTY(F)                                                                                                      \
    F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20)
#define NAME(k) "signed_length_" #k,
#define UNIT(k) "bytes",
static const char *const names[COLUMNS] = {TWENTY(NAME)};
static const char *const units[COLUMNS] = {TWENTY(UNIT)};

static void make_first(const ws_flow *flow, const ws_flow_packet *packets, uint32_t count, float *out)
{
    for (uint32_t k = 0; k < count; k++)
        out[k] = k < flow->packet_count ? (float)packets[k].wire_length * (float)packets[k].direction : 0;
}

static void make_ten(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    make_first(flow, packets, HALF, out);
}

static void make(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    make_first(flow, packets, COLUMNS, out);
}

const ws_flow_features ws_features_first10 = {.help = "signed wire lengths of the first 10 packets",
                                              .table = {"first10", HALF, names, units},
                                              .packets = HALF,
                                              .reads = HALF,
                                              .make = make_ten};
const ws_flow_features ws_features_first20 = {.help = "signed wire lengths of the first 20 packets",
                                              .table = {"first20", COLUMNS, names, units},
                                              .packets = COLUMNS,
                                              .reads = COLUMNS,
                                              .make = make};
