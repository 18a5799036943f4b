/* Packets of other IP protocols: counted by default, flows where they are asked for, with ports or with ports 0.
 * ctest: ranks=1,3 timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "dataset/dataset.h"

static ws_comm world;
static char folder[64];
static const pcap_kind kind = {.link_type = 1, .snap_length = 65535};

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

/* A packet of the protocol from 10.0.0.<from> to 10.0.0.<to>, `hex` behind the IP header. */
static void put_packet(bytes *out, int second, unsigned protocol, unsigned from, unsigned to, const char *hex)
{
    bytes frame = {0}, body = {0};
    put_hex(&body, hex);
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, protocol, body.count, 0, 0);
    memcpy(frame.data + frame.count - 8, (const uint8_t[]){10, 0, 0, (uint8_t)from, 10, 0, 0, (uint8_t)to}, 8);
    put(&frame, body.data, body.count);
    put_record(out, kind, (int64_t)(1500000000 + second) * 1000000000, frame.data, frame.count, frame.count);
    bytes_free(&frame);
    bytes_free(&body);
}

static void put_packet6(bytes *out, int second, unsigned next, const char *hex)
{
    bytes frame = {0}, body = {0};
    put_hex(&body, hex);
    put_ethernet(&frame, 0x86dd);
    put_ipv6(&frame, next, body.count);
    put(&frame, body.data, body.count);
    put_record(out, kind, (int64_t)(1500000000 + second) * 1000000000, frame.data, frame.count, frame.count);
    bytes_free(&frame);
    bytes_free(&body);
}

/* Twelve packets: a question and its answer each of ICMP, ICMPv6 (one way) and SCTP, GRE, protocol 253, UDP, and an SCTP
 * packet that the capture cuts before its ports. */
static void put_all(bytes *out)
{
    put_pcap_header(out, kind);
    put_packet(out, 0, 1, 1, 2, "0800 0000 0001 0001 6162636465");
    put_packet(out, 1, 1, 2, 1, "0000 0000 0001 0001 6162636465");
    put_packet(out, 2, 132, 1, 2, "1000 2000 00000000 00000000 00030010");
    put_packet(out, 3, 132, 2, 1, "2000 1000 00000000 00000000 00030010");
    put_packet(out, 4, 132, 1, 2, "1001 2000 00000000 00000000");
    put_packet(out, 5, 47, 1, 2, "0000 0800 4500");
    put_packet(out, 6, 253, 1, 2, "01020304");
    put_packet(out, 7, 17, 1, 2, "0035 0036 0008 0000");
    put_packet6(out, 8, 58, "8000 0000 0001 0001 61");
    put_packet6(out, 9, 60, "3a00 010400000000 8700 0000 00000000");
    put_packet(out, 10, 1, 1, 2, "0800"); /* too short for its header */
    put_packet(out, 11, 132, 1, 2, "");
}

static ws_extract_report extract(const char *const *names, size_t count)
{
    char input[128], output[128];
    const char *const inputs[] = {input};
    snprintf(input, sizeof input, "%s/a.pcap", folder);
    snprintf(output, sizeof output, "%s/a.h5", folder);
    const ws_extract_options options = {.dataset = "generic",
                                        .inputs = {inputs, 1},
                                        .output = output,
                                        .packets = 8,
                                        .endpoints = "plain",
                                        .protocols = {names, count}};
    ws_extract_report report;
    ok(ws_extract_all(&world, &options, &report));
    return report;
}

static int set_up(void **state)
{
    (void)state;
    char path[128];
    snprintf(folder, sizeof folder, "/tmp/wiresweep_protocols_XXXXXX");
    if (world.rank == 0) {
        bytes file = {0};
        if (mkdtemp(folder) == NULL)
            return -1;
        put_all(&file);
        snprintf(path, sizeof path, "%s/a.pcap", folder);
        ok(ws_file_write(path, (const char *)file.data, file.count));
        bytes_free(&file);
    }
    ok(ws_broadcast_all(&world, folder, sizeof folder, 0));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ok(ws_barrier_all(&world));
    if (world.rank == 0)
        ok(ws_directory_remove(folder));
    return 0;
}

static void others_are_counted_by_default(void **state)
{
    (void)state;
    const ws_extract_report report = extract(NULL, 0);
    assert_int_equal(report.records, 12);
    assert_int_equal(report.flows, 1);
    assert_int_equal(report.skipped[WS_SKIP_protocol_other], 11);
}

static void only_what_is_named_is_kept(void **state)
{
    (void)state;
    const char *const names[] = {"sctp", "253"};
    const ws_extract_report report = extract(names, 2);
    assert_int_equal(report.flows, 4); /* two of SCTP, 253, UDP */
    assert_int_equal(report.packets, 5);
    assert_int_equal(report.skipped[WS_SKIP_protocol_other], 6);
    assert_int_equal(report.skipped[WS_SKIP_transport_malformed], 1);
}

static void all_are_kept_by_their_keys(void **state)
{
    (void)state;
    const char *const all = "all";
    const ws_extract_report report = extract(&all, 1);
    assert_int_equal(report.skipped[WS_SKIP_protocol_other], 0);
    assert_int_equal(report.skipped[WS_SKIP_transport_malformed], 2);
    assert_int_equal(report.flows, 7);
    if (world.rank != 0)
        return;
    static const struct {
        uint8_t protocol;
        uint64_t forward, backward, payload;
        const char *source;
    } expected[] = {{1, 1, 1, 5, "10.0.0.1:0"},      {132, 1, 1, 4, "10.0.0.1:4096"}, {132, 1, 0, 0, "10.0.0.1:4097"},
                    {47, 1, 0, 2, "10.0.0.1:0"},     {253, 1, 0, 4, "10.0.0.1:0"},    {17, 1, 0, 0, "10.0.0.1:53"},
                    {58, 2, 0, 1, "[2001:db8::1]:0"}};
    char path[128];
    ws_store store;
    uint8_t protocol[7];
    uint64_t forward[7], backward[7], payload[7];
    char source[7][56];
    snprintf(path, sizeof path, "%s/a.h5", folder);
    ok(ws_store_open(&store, path));
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, sizeof source[0]);
    ok(ws_store_read(&store, "/flows/protocol", H5T_NATIVE_UINT8, 0, 7, protocol));
    ok(ws_store_read(&store, "/flows/packets_forward", H5T_NATIVE_UINT64, 0, 7, forward));
    ok(ws_store_read(&store, "/flows/packets_backward", H5T_NATIVE_UINT64, 0, 7, backward));
    ok(ws_store_read(&store, "/flows/payload_forward", H5T_NATIVE_UINT64, 0, 7, payload));
    ok(ws_store_read(&store, "/flows/source", text, 0, 7, source));
    for (int i = 0; i < 7; i++) {
        assert_int_equal(protocol[i], expected[i].protocol);
        assert_int_equal(forward[i], expected[i].forward);
        assert_int_equal(backward[i], expected[i].backward);
        assert_int_equal(payload[i], expected[i].payload);
        assert_string_equal(source[i], expected[i].source);
    }
    H5Tclose(text);
    ws_store_close(&store);
}

/* Ports that the capture does not reach are no ports 0. */
static void cut_ports_are_a_reason(void **state)
{
    (void)state;
    bytes frame = {0};
    ws_packet packet;
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 132, 28, 0, 0);
    put_fill(&frame, 0, 28);
    assert_int_equal(ws_packet_decode(frame.data, 14 + 20 + 3, 62, 1, 0, &packet), WS_SKIP_protocol_other);
    assert_int_equal(ws_packet_decode_other(frame.data, &packet), WS_SKIP_transport_truncated);
    assert_int_equal(ws_packet_decode(frame.data, 14 + 20 + 4, 62, 1, 0, &packet), WS_SKIP_protocol_other);
    assert_int_equal(ws_packet_decode_other(frame.data, &packet), WS_SKIP_NONE);
    assert_int_equal(packet.header_length, 32);
    assert_int_equal(packet.payload_length, 16);
    bytes_free(&frame);
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "ICMPX", "256", "-1", "1x", "tcp udp", "icmpicmpicmpicmpicmp"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ws_ip_protocols protocols = {0};
        const ws_string_list list = {&wrong[i], 1};
        assert_int_equal(ws_ip_protocols_read(&list, &protocols), WS_E_ARGUMENT);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_counted_by_default),   cmocka_unit_test(only_what_is_named_is_kept),
        cmocka_unit_test(all_are_kept_by_their_keys),      cmocka_unit_test(cut_ports_are_a_reason),
        cmocka_unit_test(names_that_are_none_are_refused),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    ws_cluster_stop();
    return failed != 0;
}
