/* Inside the benchmark of extraction. */
#ifndef WS_DATASET_BENCH_EXTRACT_H
#define WS_DATASET_BENCH_EXTRACT_H

#include "cluster/cluster.h"
#include "core/core.h"

/* What the bare program found; shown, so that nothing of its work can be left out by the compiler. */
typedef struct bench_ceiling {
    uint64_t records, packets, flows, bytes;
    double seconds;
} bench_ceiling;

/* What one core can do at most with a capture (classic pcap, this machine's byte order, Ethernet): the file mapped, record
 * headers walked, Ethernet, IPv4 or IPv6 and ports parsed, a hash table of direction-free keys with counts, sums and
 * squares of lengths and gaps, batched and fetched ahead. with_features: six sets of moments besides (count, sum, squares,
 * least and most of lengths and gaps, of the flow and of either direction), 16 flag counters and the first windows. No
 * time-outs, no sequences, no output. WS_E_UNSUPPORTED for other captures. */
WS_MUST ws_err bench_ceiling_run(const char *path, bool with_features, bench_ceiling *out);

/* Many small captures, in the folder. */
WS_MUST ws_err bench_small_files_all(const ws_comm *comm, const char *folder, ws_bench_report *report);

/* Flow tables, plain and as .gz, in the folder. */
WS_MUST ws_err bench_tables_all(const ws_comm *comm, const char *folder, ws_bench_report *report);

#endif
