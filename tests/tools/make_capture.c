/* make_capture: writes a deterministic labelled capture and the truth about it. See synthetic/synthetic.h. */
#include "synthetic/synthetic.h"

static const ws_option fields[] = {
    WS_OPTION_INT(synthetic_options, flows, 3000, 1, 1e9, "flows in the capture"),
    WS_OPTION_INT(synthetic_options, seed, 0, 0, 1e15, "another seed, another capture"),
    WS_OPTION_ENUM(synthetic_options, format, "pcap", "pcap|pcapng", "file format"),
    WS_OPTION_ENUM(synthetic_options, link, "ethernet", SYNTHETIC_LINKS, "link type"),
    WS_OPTION_BOOL(synthetic_options, nanoseconds, false, "time stamps in ns (default: microseconds)"),
    WS_OPTION_BOOL(synthetic_options, swapped, false, "byte order of the other kind of machine"),
    WS_OPTION_BOOL(synthetic_options, comments, false,
                   "pcapng: each packet's comment names its sample, 16 packets in a row, and a label of two"),
    WS_OPTION_INT(synthetic_options, snap_length, 262144, SYNTHETIC_LEAST_SNAP, 262144,
                  "bytes captured of a frame at most"),
    WS_OPTION_INT(synthetic_options, adversarial, 0, 0, SYNTHETIC_MOST_PAYLOAD,
                  "bytes of payload that imitate record headers, in some flows"),
    WS_OPTION_INT(synthetic_options, classes, 7, 2, SYNTHETIC_CLASSES, "classes of traffic, benign and attacks"),
    WS_OPTION_REQUIRED_PATH(synthetic_options, output, "the capture, -o FILE"),
    WS_OPTION_PATH(synthetic_options, truth, NULL, "CSV: counts and the 20 features of each flow"),
    WS_OPTION_PATH(synthetic_options, labels, NULL, "CSV: label and family of each flow"),
    WS_OPTION_BOOL(synthetic_options, help, false, "this text"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(synthetic_options), fields, "a synthetic capture"};

static ws_err print_help(void)
{
    ws_text text = {0};
    WS_TRY(ws_options_help(&table, false, &text));
    printf("make_capture [OPTIONS] -o FILE: a deterministic labelled capture with known ground truth\n%s"
           "example: make_capture --flows 3000 --seed 1 -o synthetic.pcap --truth truth.csv --labels labels.csv\n",
           ws_text_string(&text));
    ws_text_destroy(&text);
    return WS_OK;
}

static ws_err run(int argc, char **argv, ws_arena *arena)
{
    synthetic_options options = {0};
    ws_string_list positional = {0};
    for (int k = 0; k < argc; k++)
        if (strcmp(argv[k], "--help") == 0)
            return print_help();
    WS_TRY(ws_options_command_line(&table, argc, argv, arena, &options, &positional));
    WS_CHECK(positional.count == 0, ARGUMENT, "unexpected argument '%s'", positional.items[0]);
    synthetic_counts counts;
    WS_TRY(synthetic_write(&options, &counts));
    printf("flows %llu\nrecords %llu\npackets %llu\nnot_ip %llu\nfragment_later %llu\nprotocol_other %llu\n",
           (unsigned long long)counts.flows, (unsigned long long)counts.records, (unsigned long long)counts.packets,
           (unsigned long long)counts.not_ip, (unsigned long long)counts.fragment_later,
           (unsigned long long)counts.protocol_other);
    return WS_OK;
}

int main(int argc, char **argv)
{
    ws_arena *arena = NULL;
    ws_err error = ws_arena_create(&arena, 1 << 16);
    if (error == WS_OK)
        error = run(argc - 1, argv + 1, arena);
    if (error != WS_OK)
        ws_error_print(error, false);
    ws_arena_destroy(&arena);
    return ws_error_exit_status(error);
}
