/* features_size_histogram: how a flow's wire lengths are spread: for each direction the share of the stored packets, of both
 * directions, whose length lies from one edge to below the next.
 */
#include "dataset/dataset.h"

enum { BINS = 12, COLUMNS = 2 * BINS };

static const uint32_t edges[BINS - 1] = {64, 128, 192, 256, 384, 512, 768, 1024, 1280, 1400, 1500};

#define BIN_NAMES(d)                                                                                                   \
    d "_below_64", d "_below_128", d "_below_192", d "_below_256", d "_below_384", d "_below_512", d "_below_768",     \
        d "_below_1024", d "_below_1280", d "_below_1400", d "_below_1500", d "_1500_and_more"
#define TWELVE(x) x, x, x, x, x, x, x, x, x, x, x, x
static const char *const names[COLUMNS] = {BIN_NAMES("forward"), BIN_NAMES("backward")};
static const char *const units[COLUMNS] = {TWELVE("1"), TWELVE("1")};

static void make(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    uint32_t counts[COLUMNS] = {0};
    for (uint32_t i = 0; i < flow->packet_count; i++) {
        int bin = 0;
        while (bin < BINS - 1 && packets[i].wire_length >= edges[bin])
            bin++;
        counts[(packets[i].direction > 0 ? 0 : BINS) + bin]++;
    }
    for (int c = 0; c < COLUMNS; c++)
        out[c] = flow->packet_count > 0 ? (float)((double)counts[c] / (double)flow->packet_count) : 0;
}

const ws_flow_features ws_features_size_histogram = {.help = "shares of wire lengths in 12 bins a direction",
                                                     .table = {"size_histogram", COLUMNS, names, units},
                                                     .packets = 1,
                                                     .reads = WS_READS_ALL,
                                                     .make = make};
