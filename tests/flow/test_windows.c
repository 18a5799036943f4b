/* Windows: what one 5-tuple has in one window is a flow, or flows are cut at the windows' edges. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "flow_fixture.h"

typedef struct bench {
    ws_flow_table *table;
    kept_flows kept;
    uint64_t ordinal;
} bench;

static void start(bench *b, double window, bool alone, int64_t origin_ns)
{
    ws_flow_rules rules = ws_flow_rules_default;
    rules.window_ns = SECONDS(window);
    rules.windows_alone = alone;
    memset(b, 0, sizeof *b);
    assert_int_equal(ws_flow_table_create(&b->table, &rules), WS_OK);
    ws_flow_table_set_window_origin(b->table, origin_ns);
}

static void send(bench *b, double seconds, bool from_client, uint8_t flags)
{
    ws_packet packet = packet_make(b->ordinal++, SECONDS(seconds), from_client, 6, flags, 100);
    assert_int_equal(ws_flow_table_add(b->table, &packet, 1), WS_OK);
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

static void end(bench *b)
{
    assert_int_equal(ws_flow_table_counters(b->table)->live, 0);
    kept_destroy(&b->kept);
    ws_flow_table_destroy(&b->table);
}

static void nothing_but_the_window_ends_a_flow(void **state)
{
    (void)state;
    bench b;
    start(&b, 1000, true, START_NS);
    send(&b, 0, true, WS_TCP_SYN);
    send(&b, 1, false, WS_TCP_RST);
    send(&b, 20, true, WS_TCP_SYN);  /* after RST and linger */
    send(&b, 500, true, WS_TCP_ACK); /* after the idle time-out */
    send(&b, 999.999, true, WS_TCP_ACK);
    send(&b, 1000, true, WS_TCP_ACK);
    close_at(&b, 1000, true);
    assert_int_equal(b.kept.count, 2);
    assert_int_equal(packets_of(&b, 0), 5);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_ACTIVE);
    assert_int_equal(packets_of(&b, 1), 1);
    assert_int_equal(b.kept.flows[1].end, WS_FLOW_END_INPUT);
    end(&b);
}

static void late_packets_go_to_their_own_window(void **state)
{
    (void)state;
    bench b;
    start(&b, 1, true, START_NS);
    send(&b, 0.5, true, 0);
    send(&b, 1.1, true, 0);
    send(&b, 0.9, false, 0); /* of the first window */
    send(&b, 2.2, true, 0);
    close_at(&b, 2.2, false);
    assert_int_equal(b.kept.count, 0); /* two windows are waited for */
    send(&b, 3.0, true, 0);
    close_at(&b, 3.0, false);
    assert_int_equal(b.kept.count, 1);
    assert_int_equal(packets_of(&b, 0), 2);
    assert_int_equal(b.kept.flows[0].packets[1], 1);
    close_at(&b, 3.0, true);
    assert_int_equal(b.kept.count, 4);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(packets_of(&b, i), 1);
    end(&b);
}

static void windows_before_the_origin_have_their_length_too(void **state)
{
    (void)state;
    bench b;
    start(&b, 1, true, START_NS + SECONDS(10));
    send(&b, 10.0, true, 0);
    send(&b, 9.9, true, 0); /* window -1 */
    send(&b, 9.1, true, 0);
    send(&b, 8.9, true, 0); /* window -2 */
    close_at(&b, 10, true);
    assert_int_equal(b.kept.count, 3);
    assert_int_equal(packets_of(&b, 0), 1);
    assert_int_equal(packets_of(&b, 1), 2);
    assert_int_equal(packets_of(&b, 2), 1);
    end(&b);
}

static void edges_cut_flows_that_rules_end_as_well(void **state)
{
    (void)state;
    bench b;
    start(&b, 10, false, START_NS + SECONDS(3));
    send(&b, 3, true, WS_TCP_SYN);
    send(&b, 4, false, WS_TCP_RST);
    send(&b, 4.5, true, WS_TCP_SYN); /* a new connection */
    send(&b, 12.9, true, WS_TCP_ACK);
    send(&b, 13, true, WS_TCP_ACK); /* a new window, counted from 3 s */
    close_at(&b, 13, true);
    assert_int_equal(b.kept.count, 3);
    assert_int_equal(packets_of(&b, 0), 2);
    assert_int_equal(b.kept.flows[0].end, WS_FLOW_END_RST);
    assert_int_equal(packets_of(&b, 1), 2);
    assert_int_equal(b.kept.flows[1].end, WS_FLOW_END_ACTIVE);
    assert_int_equal(packets_of(&b, 2), 1);
    end(&b);
}

typedef struct saved {
    uint8_t *bytes;
    size_t lengths[8], count, total;
} saved;

static ws_err keep_bytes(void *context, const ws_flow_key *key, const void *bytes, size_t count)
{
    saved *s = context;
    (void)key;
    memcpy(s->bytes + s->total, bytes, count);
    s->lengths[s->count++] = count;
    s->total += count;
    return WS_OK;
}

/* Several windows of one key live at once; all of them survive. */
static void windows_survive_being_saved(void **state)
{
    (void)state;
    bench b;
    saved s = {.bytes = malloc(1 << 16)};
    assert_non_null(s.bytes);
    start(&b, 1, true, START_NS);
    for (int k = 0; k < 4; k++)
        send(&b, 0.7 * k, true, 0); /* windows 0, 0, 1, 2 */
    assert_int_equal(ws_flow_table_save(b.table, keep_bytes, &s), WS_OK);
    assert_int_equal(s.count, 3);
    for (size_t i = 0, at = 0; i < s.count; at += s.lengths[i++])
        assert_int_equal(ws_flow_table_restore(b.table, s.bytes + at, s.lengths[i]), WS_OK);
    send(&b, 1.6, false, 0);
    close_at(&b, 2.1, true);
    assert_int_equal(b.kept.count, 3);
    assert_int_equal(packets_of(&b, 0), 2);
    assert_int_equal(packets_of(&b, 1), 2);
    assert_int_equal(packets_of(&b, 2), 1);
    free(s.bytes);
    end(&b);
}

static void sums_are_those_of_all_packets(void **state)
{
    (void)state;
    bench b;
    start(&b, 10, true, START_NS);
    for (int k = 0; k < 300; k++)
        send(&b, k / 64.0, k % 2 == 0, 0); /* 154 bytes on the wire each, 15.625 ms apart; 128 are stored */
    close_at(&b, 3, true);
    assert_int_equal(b.kept.count, 1);
    assert_int_equal(b.kept.flows[0].wire_bytes, 300 * 154);
    assert_int_equal(b.kept.flows[0].wire_squares, 300 * 154 * 154);
    assert_true(b.kept.flows[0].gap_squares == (ws_uint128)299 * 15625000 * 15625000);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_the_window_ends_a_flow),
        cmocka_unit_test(late_packets_go_to_their_own_window),
        cmocka_unit_test(windows_before_the_origin_have_their_length_too),
        cmocka_unit_test(edges_cut_flows_that_rules_end_as_well),
        cmocka_unit_test(windows_survive_being_saved),
        cmocka_unit_test(sums_are_those_of_all_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
