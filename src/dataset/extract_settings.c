/* The settings of an extraction: what --set and the file of --config reach. Label rules and columns of tables, which are in the
 * same file, are read where they are used (label_rules_read.c, table_config.c).
 */
#include "dataset/dataset.h"

const char *const ws_extract_settings_beside[] = {"description", "levels", "attempted_level", "rules", "otherwise",
                                                  "table",       NULL};

/* Time-outs up to 1e6 s keep the sums of squared gaps within 128 bits. */
static const ws_option setting_fields[] = {
    WS_OPTION_DOUBLE(ws_extract_settings, idle_timeout, 0, 0, 1e6,
                     "seconds without a packet that end a flow; 0: the data set's (120)"),
    WS_OPTION_DOUBLE(ws_extract_settings, active_timeout, 0, 0, 1e6,
                     "age in seconds that ends a flow; 0: the data set's (1800)"),
    WS_OPTION_DOUBLE(ws_extract_settings, window, 0, 0, 1e6,
                     "seconds: flows are cut at the edges of windows of this length; 0: no windows"),
    WS_OPTION_ENUM(ws_extract_settings, window_rule, "alone", "alone|flows|capture",
                   "alone: a 5-tuple is one row a window; flows: what ends a flow ends it in a window too; "
                   "capture: all that an input has in a window is one row"),
    WS_OPTION_ENUM(ws_extract_settings, window_origin, "first", "first|epoch",
                   "windows are counted from the input's first packet, or from 1970"),
    WS_OPTION_ENUM(ws_extract_settings, rows, "auto", "auto|flow|sample",
                   "pcapml: what a row is; sample: all packets that name it, of whatever flows; auto: sample"),
    WS_OPTION_INT(ws_extract_settings, reservoir, 0, 0, 1e10,
                  "flows stored, drawn from all, the same for any ranks; 0: all"),
    WS_OPTION_ENUM(ws_extract_settings, reservoir_kind, "uniform", "uniform|balanced",
                   "balanced: as many of each size (1, 2-3, 4-15, 16 and more packets) of TCP and UDP"),
    WS_OPTION_INT(ws_extract_settings, reservoir_seed, 0, 0, 9e15, "another seed, another draw"),
    WS_OPTION_ENUM(
        ws_extract_settings, stamps, "auto", "auto|standard|split",
        "pcapng stamps without a stated unit: microseconds, or seconds and microseconds; auto: the data set's way"),
    WS_OPTION_ENUM(
        ws_extract_settings, bytes_stripped, "endpoints", "nothing|addresses|endpoints|identity",
        "what --bytes keeps as zeros; endpoints: addresses, ports; identity: also checksums, IP id, TTL, TCP numbers"),
    WS_OPTION_ENUM(ws_extract_settings, direction, "first", "first|syn|private",
                   "forward: sender of the first packet, or of the SYN, or the endpoint with a private address"),
    WS_OPTION_ENUM(ws_extract_settings, tunnels, "outer", "outer|inner",
                   "inner: packets carried by IP in IP, GRE, VXLAN and GTP-U count instead of the outer ones"),
    WS_OPTION_ENUM(ws_extract_settings, join, "none", "none|all|directory",
                   "captures that are one input, flows spanning them: all (--join), or those of a directory"),
    WS_OPTION_LIST(ws_extract_settings, groups, NULL,
                   "patterns; the captures that match one are one input: [\"mon*.pcap\", \"tap2/*.pcap\", "
                   "\"@(wed|thu)*.pcap\"]"),
    WS_OPTION_ENUM(ws_extract_settings, non_finite, "zero", "zero|skip",
                   "flow tables: a cell with Infinity or NaN is 0, or its row is left out; both are counted"),
    WS_OPTION_ENUM(ws_extract_settings, input_hash, "auto", "auto|file|tree",
                   "provenance: SHA-256 of an input, or over that of its blocks of 1 MiB and their leaves of 64 KiB, "
                   "which cores take together; auto: from 256 MiB on"),
    WS_OPTION_DOUBLE(ws_extract_settings, checkpoint, 300, 0, 1e6,
                     "seconds between the states that --resume can go on from; 0: only at a signal; changes no result"),
    WS_OPTION_INT(ws_extract_settings, checkpoint_bytes, 0, 0, 1e15, "the same in bytes of input; 0: no such bound"),
    WS_OPTION_INT(
        ws_extract_settings, round_bytes, 0, 0, 1e12,
        "input read by all ranks before they exchange; 0: 8 MiB a rank, 4 to 16 on one machine; changes no result"),
    WS_OPTION_END};
const ws_option_table ws_extract_settings_table = {"", sizeof(ws_extract_settings), setting_fields, "settings"};
