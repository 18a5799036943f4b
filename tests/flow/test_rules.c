/* Where flows begin and end, one rule a test, on hand-made packets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "flow_fixture.h"

enum { SYN = WS_TCP_SYN, ACK = WS_TCP_ACK, FIN = WS_TCP_FIN, RST = WS_TCP_RST, TCP = 6, UDP = 17 };

typedef struct bench {
    ws_flow_table *table;
    kept_flows kept;
    uint64_t ordinal;
} bench;

static void bench_start(bench *b, const ws_flow_rules *rules)
{
    memset(b, 0, sizeof *b);
    assert_int_equal(ws_flow_table_create(&b->table, rules), WS_OK);
}

static void put(bench *b, const ws_packet *packet)
{
    assert_int_equal(ws_flow_table_add(b->table, packet, 1), WS_OK);
}

static void send(bench *b, double seconds, bool from_client, uint8_t protocol, uint8_t flags)
{
    ws_packet packet = packet_make(b->ordinal++, SECONDS(seconds), from_client, protocol, flags, 0);
    put(b, &packet);
}

/* TCP with sequence numbers, for the FIN exchange. */
static void send_tcp(bench *b, double seconds, bool from_client, uint8_t flags, uint32_t sequence,
                     uint32_t acknowledgement)
{
    ws_packet packet = packet_make(b->ordinal++, SECONDS(seconds), from_client, TCP, flags, 0);
    packet.sequence = sequence;
    packet.acknowledgement = acknowledgement;
    put(b, &packet);
}

static void close_at(bench *b, double newest_seconds, bool input_ends)
{
    assert_int_equal(
        ws_flow_table_close(b->table, b->ordinal, START_NS + SECONDS(newest_seconds), input_ends, keep_flow, &b->kept),
        WS_OK);
}

static uint64_t packets_of(const bench *b, size_t flow)
{
    return b->kept.flows[flow].packets[0] + b->kept.flows[flow].packets[1];
}

static void bench_end(bench *b)
{
    const ws_flow_counters *counters = ws_flow_table_counters(b->table);
    uint64_t packets = 0, bytes = 0;
    for (size_t i = 0; i < b->kept.count; i++) {
        packets += packets_of(b, i);
        bytes += b->kept.flows[i].bytes[0] + b->kept.flows[i].bytes[1];
    }
    assert_int_equal(counters->live, 0);
    assert_int_equal(counters->flows, b->kept.count);
    assert_int_equal(counters->packets, packets);
    assert_int_equal(counters->bytes, bytes);
    kept_destroy(&b->kept);
    ws_flow_table_destroy(&b->table);
    assert_null(b->table);
}

static void idle_gap_of_exactly_the_time_out_ends_the_flow(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    ws_packet packet = packet_make(0, 0, true, UDP, 0, 10);
    put(&b, &packet);
    packet = packet_make(1, SECONDS(120) - 1, false, UDP, 0, 10);
    put(&b, &packet);
    packet = packet_make(2, SECONDS(240) - 1, true, UDP, 0, 10); /* gap exactly 120 s */
    put(&b, &packet);
    b.ordinal = 3;
    close_at(&b, 240, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 2);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_IDLE);
    assert_int_equal(packets_of(&b, 1), 1);
    assert_int_equal(b.kept.flows[1].first_ordinal, 2);
    assert_int_equal(b.kept.flows[1].end, WS_FLOW_END_INPUT);
    bench_end(&b);
}

static void active_age_of_exactly_the_time_out_ends_the_flow(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    for (int i = 0; i < 30; i++)
        send(&b, i * 60, i % 2 == 0, UDP, 0);
    ws_packet last = packet_make(b.ordinal++, SECONDS(1800) - 1, false, UDP, 0, 0);
    put(&b, &last);
    send(&b, 1800, false, UDP, 0); /* age exactly 1800 s: a new flow, whose forward sender is the server */
    close_at(&b, 1800, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 31);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_ACTIVE);
    assert_true(b.kept.flows[0].forward_is_low);
    assert_int_equal(packets_of(&b, 1), 1);
    assert_false(b.kept.flows[1].forward_is_low);
    bench_end(&b);
}

static void longest_payload_is_told_by_direction(void **state)
{
    (void)state;
    static const uint16_t payloads[][2] = {{7, 1}, {300, 1}, {500, 0}, {299, 1}, {20, 0}}; /* bytes, from the client */
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        ws_packet packet = packet_make(b.ordinal++, SECONDS(i), payloads[i][1] != 0, UDP, 0, payloads[i][0]);
        put(&b, &packet);
    }
    close_at(&b, 5, true);
    assert_int_equal(b.kept.flows[0].payload_bytes[0], 606);
    assert_int_equal(b.kept.flows[0].longest_payload[0], 300);
    assert_int_equal(b.kept.flows[0].longest_payload[1], 500);
    bench_end(&b);
}

static void rst_ends_and_late_packets_linger_five_seconds(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send(&b, 0, true, TCP, SYN);
    send(&b, 1, false, TCP, RST | ACK);
    send(&b, 3, true, TCP, ACK);
    send(&b, 6, true, TCP, ACK); /* exactly 5 s after the RST: still of the flow */
    send(&b, 6.1, true, TCP, ACK);
    close_at(&b, 7, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 4);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_RST);
    assert_int_equal(packets_of(&b, 1), 1);
    bench_end(&b);
}

static void syn_after_rst_starts_a_new_flow_at_once(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send(&b, 0, true, TCP, SYN);
    send(&b, 0.1, false, TCP, RST | ACK);
    send(&b, 0.2, true, TCP, SYN);
    send(&b, 0.3, false, TCP, SYN | ACK);
    close_at(&b, 1, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 2);
    assert_int_equal(packets_of(&b, 1), 2);
    bench_end(&b);
}

static void syn_without_an_end_before_it_stays_in_the_flow(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send(&b, 0, true, TCP, SYN);
    send(&b, 1, true, TCP, SYN);
    send(&b, 3, true, TCP, SYN);
    close_at(&b, 3, true);
    assert_int_equal(b.kept.count, 1);
    assert_int_equal(packets_of(&b, 0), 3);
    bench_end(&b);
}

static void fin_both_ways_and_the_last_acknowledged_ends(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send_tcp(&b, 0, true, FIN | ACK, 1000, 5000);
    send_tcp(&b, 1, false, ACK, 5000, 1001);
    send_tcp(&b, 2, false, FIN | ACK, 5000, 1001);
    send_tcp(&b, 3, true, ACK, 1001, 5000); /* does not cover the server's FIN */
    send_tcp(&b, 10, true, ACK, 1001, 5001);
    send_tcp(&b, 14, false, ACK, 5001, 1001); /* lingers */
    send_tcp(&b, 16, false, ACK, 5001, 1001); /* 6 s after the end: another flow */
    close_at(&b, 16, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 6);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_FIN);
    assert_int_equal(packets_of(&b, 1), 1);
    bench_end(&b);
}

static void fin_of_one_side_only_does_not_end(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send_tcp(&b, 0, true, FIN | ACK, 1000, 5000);
    send_tcp(&b, 1, true, FIN | ACK, 1000, 5000);
    send_tcp(&b, 2, false, ACK, 5000, 1001);
    send_tcp(&b, 60, false, ACK, 5000, 1001);
    send_tcp(&b, 61, true, SYN, 9000, 0);
    close_at(&b, 62, true);
    assert_int_equal(b.kept.count, 1);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_INPUT);
    bench_end(&b);
}

static void fin_exchange_works_when_sequence_numbers_wrap(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send_tcp(&b, 0, true, FIN | ACK, 7, UINT32_MAX);
    send_tcp(&b, 1, false, FIN | ACK, UINT32_MAX, 8); /* its end is sequence number 0 */
    send_tcp(&b, 2, true, ACK, 8, 0);
    send_tcp(&b, 3, true, SYN, 99, 0);
    close_at(&b, 4, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 3);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_FIN);
    bench_end(&b);
}

static void an_early_packet_has_gap_zero_and_is_counted(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send(&b, 100, true, UDP, 0);
    send(&b, 90, false, UDP, 0);
    send(&b, 215, false, UDP, 0); /* 115 s after the newest, 125 s after the last */
    close_at(&b, 215, true);
    assert_int_equal(b.kept.count, 1);
    assert_int_equal(ws_flow_table_counters(b.table)->negative_gaps, 1);
    const ws_flow *flow = &b.kept.flows[0];
    assert_int_equal(flow->first_ns, START_NS + SECONDS(100));
    assert_int_equal(flow->last_ns, START_NS + SECONDS(215));
    assert_int_equal(flow->stored[1].offset_ns, -SECONDS(10));
    float out[WS_PACKET9_COLUMNS];
    ws_packet9(flow->stored, 1, out);
    assert_true(out[1] == 0);
    bench_end(&b);
}

static void forward_is_the_sender_of_the_first_packet_or_of_the_syn(void **state)
{
    (void)state;
    for (int by_syn = 0; by_syn < 2; by_syn++) {
        ws_flow_rules rules = ws_flow_rules_default;
        rules.direction_by_syn = by_syn;
        bench b;
        bench_start(&b, &rules);
        send(&b, 0, false, TCP, SYN | ACK); /* the SYN came later or was lost */
        send(&b, 1, true, TCP, ACK);
        send(&b, 2, true, TCP, ACK);
        close_at(&b, 2, true);
        assert_int_equal(b.kept.count, 1);
        const ws_flow *flow = &b.kept.flows[0];
        assert_int_equal(flow->forward_is_low, by_syn); /* the client is the low endpoint */
        assert_int_equal(flow->packets[0], by_syn ? 2 : 1);
        assert_int_equal(flow->packets[1], by_syn ? 1 : 2);
        assert_int_equal(flow->stored[0].direction, by_syn ? -1 : 1);
        assert_int_equal(flow->stored[1].direction, by_syn ? 1 : -1);
        bench_end(&b);
    }
}

static void closing_points_let_go_what_no_packet_may_join(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    send(&b, 0, true, UDP, 0);
    send(&b, 10, true, TCP, SYN);
    send(&b, 11, false, TCP, RST);
    close_at(&b, 16, false); /* the linger of the RST ends with exactly 5 s */
    assert_int_equal(b.kept.count, 0);
    close_at(&b, 16.1, false);
    assert_int_equal(b.kept.count, 1);
    assert_int_equal(b.kept.flows[0].first_ordinal, 1);
    assert_int_equal(b.kept.flows[0].left_at, 3);
    ws_packet packet = packet_make(b.ordinal++, SECONDS(17), true, TCP, ACK, 0);
    put(&b, &packet);
    close_at(&b, 119.9, false);
    assert_int_equal(b.kept.count, 1);
    close_at(&b, 120, false);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(b.kept.flows[1].end, WS_FLOW_END_IDLE);
    send(&b, 60, true, UDP, 0); /* time went back, but its flow has left */
    close_at(&b, 121, true);
    assert_int_equal(b.kept.count, 4);
    assert_int_equal(b.kept.flows[2].first_ordinal, 3);
    assert_int_equal(b.kept.flows[3].first_ordinal, 4);
    bench_end(&b);
}

static void flows_are_handed_out_by_first_ordinal(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    uint64_t ordinal = 0;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 5000; i++, ordinal += 1 + (uint64_t)i % 3) {
            ws_packet packet = packet_make(ordinal, SECONDS(round), true, UDP, 0, 0);
            packet.source_port = (uint16_t)(i * 7919);
            put(&b, &packet);
        }
    b.ordinal = ordinal;
    close_at(&b, 3, true);
    assert_int_equal(b.kept.count, 5000);
    for (size_t i = 1; i < b.kept.count; i++)
        assert_true(b.kept.flows[i].first_ordinal > b.kept.flows[i - 1].first_ordinal);
    bench_end(&b);
}

static void stored_packets_are_bounded_but_counts_are_not(void **state)
{
    (void)state;
    ws_flow_rules rules = ws_flow_rules_default;
    rules.max_packets = 5;
    bench b;
    bench_start(&b, &rules);
    for (int i = 0; i < 23; i++)
        send(&b, i, i % 3 == 0, UDP, 0);
    close_at(&b, 23, true);
    assert_int_equal(b.kept.flows[0].packet_count, 5);
    assert_int_equal(packets_of(&b, 0), 23);
    for (int i = 0; i < 5; i++)
        assert_int_equal(b.kept.flows[0].stored[i].offset_ns, SECONDS(i));
    bench_end(&b);
}

static void a_flow_never_spans_two_inputs(void **state)
{
    (void)state;
    bench b;
    bench_start(&b, &ws_flow_rules_default);
    ws_packet packet = packet_make(7, 0, true, UDP, 0, 0);
    put(&b, &packet);
    packet = packet_make(0, SECONDS(1), true, UDP, 0, 0);
    packet.input = 1;
    assert_int_equal(ws_flow_table_add(b.table, &packet, 1), WS_E_INTERNAL); /* input 0 was not closed */
    b.ordinal = 8;
    close_at(&b, 0, true);
    put(&b, &packet);
    b.ordinal = 1;
    close_at(&b, 1, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(b.kept.flows[0].input, 0);
    assert_int_equal(b.kept.flows[1].input, 1);
    bench_end(&b);
}

static void keys_do_not_depend_on_direction(void **state)
{
    (void)state;
    ws_packet there = packet_make(0, 0, true, TCP, 0, 0), back = packet_make(1, 0, false, TCP, 0, 0);
    ws_flow_key one, other;
    bool one_low, other_low;
    ws_flow_key_of(&there, &one, &one_low);
    ws_flow_key_of(&back, &other, &other_low);
    assert_memory_equal(&one, &other, sizeof one);
    assert_true(one_low);
    assert_false(other_low);
    assert_int_equal(ws_flow_key_hash(&one), ws_flow_key_hash(&other));
    /* The same address at both ends: the lower port is the lower endpoint. */
    memcpy(there.destination, there.source, 16);
    ws_flow_key_of(&there, &one, &one_low);
    assert_false(one_low);
    assert_int_equal(one.low_port, 80);
    back.protocol = UDP;
    ws_flow_key_of(&back, &one, &one_low);
    assert_int_not_equal(ws_flow_key_hash(&one), ws_flow_key_hash(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_gap_of_exactly_the_time_out_ends_the_flow),
        cmocka_unit_test(active_age_of_exactly_the_time_out_ends_the_flow),
        cmocka_unit_test(longest_payload_is_told_by_direction),
        cmocka_unit_test(rst_ends_and_late_packets_linger_five_seconds),
        cmocka_unit_test(syn_after_rst_starts_a_new_flow_at_once),
        cmocka_unit_test(syn_without_an_end_before_it_stays_in_the_flow),
        cmocka_unit_test(fin_both_ways_and_the_last_acknowledged_ends),
        cmocka_unit_test(fin_of_one_side_only_does_not_end),
        cmocka_unit_test(fin_exchange_works_when_sequence_numbers_wrap),
        cmocka_unit_test(an_early_packet_has_gap_zero_and_is_counted),
        cmocka_unit_test(forward_is_the_sender_of_the_first_packet_or_of_the_syn),
        cmocka_unit_test(closing_points_let_go_what_no_packet_may_join),
        cmocka_unit_test(flows_are_handed_out_by_first_ordinal),
        cmocka_unit_test(stored_packets_are_bounded_but_counts_are_not),
        cmocka_unit_test(a_flow_never_spans_two_inputs),
        cmocka_unit_test(keys_do_not_depend_on_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
