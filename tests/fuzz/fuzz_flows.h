/* What the fuzzers of labels share: some flows that label files may speak of. */
#ifndef WS_FUZZ_FLOWS_H
#define WS_FUZZ_FLOWS_H

#include "dataset/label_rules.h"
#include "fuzz/fuzz_capture.h"

enum { FUZZ_FLOWS = 4 };
static const char *const fuzz_input_names[] = {"/captures/Tor/monday.pcap", "/captures/tuesday.pcap.gz"};
static const ws_string_list fuzz_inputs = {fuzz_input_names, 2};

static inline void fuzz_flow(unsigned number, ws_flow *flow)
{
    static const char *const addresses[FUZZ_FLOWS][2] = {{"192.168.10.50", "172.16.0.1"},
                                                         {"10.0.0.1", "10.0.0.2"},
                                                         {"2001:db8::1", "2001:db8::2"},
                                                         {"10.0.0.2", "10.0.0.1"}};
    *flow = (ws_flow){.input = number & 1,
                      .first_ns = 1499160000000000000 + number * 3600000000000,
                      .last_ns = 1499160001000000000 + number * 3600000000000};
    FUZZ_CHECK(ws_label_key(&flow->key, number & 2 ? 17 : 6, addresses[number][0], (uint16_t)(40000 + number),
                            addresses[number][1], number & 1 ? 53 : 80));
    flow->forward_is_low = number & 2;
}

#endif
