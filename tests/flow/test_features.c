/* Flows and their 20-d and 9-d vectors against a slow, independent reference: packets grouped by key, replayed one key
 * at a time, features in plain double precision with libm. Random traffic with time-outs, RST, FIN exchanges and time
 * that goes back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "flow_fixture.h"

enum { PACKETS = 20000, KEYS = 60, CLOSE_EVERY = 1500 };

static void random_traffic(ws_packet *packets, uint64_t seed)
{
    int64_t now = 0;
    for (uint64_t i = 0; i < PACKETS; i++) {
        uint64_t r = ws_random_u64(seed, WS_RANDOM_TEST, 0, i), s = ws_random_u64(seed, WS_RANDOM_TEST, 1, i);
        unsigned key = (unsigned)(r % KEYS);
        bool tcp = key % 3 != 0;
        uint8_t flags = 0;
        if (tcp) {
            flags = WS_TCP_ACK;
            unsigned kind = (unsigned)(r >> 8) % 40;
            flags |= kind == 0   ? WS_TCP_RST
                     : kind < 4  ? WS_TCP_FIN
                     : kind < 8  ? WS_TCP_SYN
                     : kind < 20 ? WS_TCP_PSH
                                 : 0;
        }
        now += (int64_t)(s % 200000000) + ((r >> 16) % 300 == 0 ? SECONDS(100) : 0);
        int64_t time = (r >> 32) % 20 == 0 ? now - (int64_t)((s >> 30) % 3000000000u) : now;
        packets[i] = packet_make(i, time, (r >> 40) % 2, tcp ? 6 : 17, flags, (uint32_t)((r >> 44) % 1460));
        bool from_client = (r >> 40) % 2;
        *(from_client ? &packets[i].source_port : &packets[i].destination_port) = (uint16_t)(1000 + key);
        packets[i].window = tcp ? (uint16_t)(s >> 13) : 0;
        packets[i].sequence = (uint32_t)(s >> 20) % 3;
        packets[i].acknowledgement = (uint32_t)(s >> 24) % 3000;
    }
}

/* ---- the reference: flows of one key as lists of packet numbers ---- */
typedef struct reference_flow {
    int64_t *members;
    size_t count;
    int key;
    bool left;
} reference_flow;

static int key_number(const ws_packet *packet)
{
    return packet->source_port == 80 ? packet->destination_port : packet->source_port;
}

static bool from_client(const ws_packet *packet)
{
    return packet->source_port != 80;
}

/* Time of the packet that ended the flow by RST or FIN exchange, looking at all packets from the start. */
static bool reference_ended(const ws_packet *packets, const reference_flow *flow, int64_t *ended_ns)
{
    const ws_packet *fin[2] = {NULL, NULL};
    int second = -1;
    for (size_t i = 0; i < flow->count; i++) {
        const ws_packet *packet = &packets[flow->members[i]];
        if (packet->protocol != 6)
            return false;
        int side = from_client(packet);
        *ended_ns = packet->time_ns;
        if (packet->tcp_flags & WS_TCP_RST)
            return true;
        if (packet->tcp_flags & WS_TCP_FIN) {
            if (fin[side] == NULL && fin[!side] != NULL)
                second = side;
            fin[side] = packet;
        }
        if (second >= 0 && side != second && (packet->tcp_flags & WS_TCP_ACK)) {
            uint32_t end = fin[second]->sequence + fin[second]->payload_length + 1;
            if (packet->acknowledgement >= end) /* no wrap in this traffic */
                return true;
        }
    }
    return false;
}

static int64_t reference_newest(const ws_packet *packets, const reference_flow *flow)
{
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < flow->count; i++)
        if (packets[flow->members[i]].time_ns > newest)
            newest = packets[flow->members[i]].time_ns;
    return newest;
}

static bool reference_belongs(const ws_packet *packets, const reference_flow *flow, const ws_packet *packet)
{
    int64_t ended;
    if (reference_ended(packets, flow, &ended))
        return !(packet->tcp_flags & WS_TCP_SYN) && packet->time_ns - ended <= SECONDS(5);
    return packet->time_ns - reference_newest(packets, flow) < SECONDS(120) &&
           packet->time_ns - packets[flow->members[0]].time_ns < SECONDS(1800);
}

static bool reference_may_grow(const ws_packet *packets, const reference_flow *flow, int64_t now)
{
    int64_t ended;
    if (reference_ended(packets, flow, &ended))
        return now - ended <= SECONDS(5);
    return now - reference_newest(packets, flow) < SECONDS(120);
}

static size_t reference_flows(const ws_packet *packets, reference_flow *flows)
{
    size_t count = 0;
    int64_t now = INT64_MIN;
    for (int64_t i = 0; i < PACKETS; i++) {
        if (i > 0 && i % CLOSE_EVERY == 0)
            for (size_t k = 0; k < count; k++)
                if (!flows[k].left && !reference_may_grow(packets, &flows[k], now))
                    flows[k].left = true;
        reference_flow *mine = NULL;
        for (size_t k = 0; k < count; k++)
            if (flows[k].key == key_number(&packets[i]))
                mine = &flows[k]; /* the latest of the key */
        if (mine == NULL || mine->left || !reference_belongs(packets, mine, &packets[i])) {
            mine = &flows[count++];
            *mine = (reference_flow){.key = key_number(&packets[i])};
        }
        mine->members = realloc(mine->members, (mine->count + 1) * sizeof *mine->members);
        mine->members[mine->count++] = i;
        if (packets[i].time_ns > now)
            now = packets[i].time_ns;
    }
    return count;
}

/* ---- the reference features, column by column from lists of values ---- */
static double list_mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : 0;
}

static double list_std(const double *x, size_t n)
{
    double m = list_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - m) * (x[i] - m);
    return n ? sqrt(sum / (double)n) : 0;
}

static double list_max(const double *x, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++)
        m = fmax(m, x[i]);
    return m;
}

/* Gaps in us against the newest time before; early packets 0. */
static size_t gaps_of(const double *time_us, size_t n, double *gaps)
{
    double newest = n ? time_us[0] : 0;
    for (size_t i = 1; i < n; i++) {
        gaps[i - 1] = fmax(0, time_us[i] - newest);
        newest = fmax(newest, time_us[i]);
    }
    return n ? n - 1 : 0;
}

static void reference_features(const ws_packet *packets, const reference_flow *flow, double *out)
{
    size_t n = flow->count, side_count[2] = {0, 0};
    double *time = calloc(n, sizeof *time), *gaps = calloc(n, sizeof *gaps);
    double *length[2] = {calloc(n, sizeof(double)), calloc(n, sizeof(double))};
    double *side_time[2] = {calloc(n, sizeof(double)), calloc(n, sizeof(double))};
    double bytes[2] = {0, 0}, syn = 0, fin_rst = 0, psh = 0;
    const ws_packet *first = &packets[flow->members[0]];
    for (size_t i = 0; i < n; i++) {
        const ws_packet *packet = &packets[flow->members[i]];
        int side = from_client(packet) == from_client(first) ? 0 : 1;
        time[i] = (double)(packet->time_ns - first->time_ns) / 1e3;
        side_time[side][side_count[side]] = time[i];
        length[side][side_count[side]++] = packet->ip_length;
        bytes[side] += packet->ip_length;
        syn += !!(packet->tcp_flags & 2);
        fin_rst += !!(packet->tcp_flags & 1) + !!(packet->tcp_flags & 4);
        psh += !!(packet->tcp_flags & 8);
    }
    double duration = list_max(time, n);
    size_t gap_count = gaps_of(time, n, gaps);
    double gap_mean = list_mean(gaps, gap_count), gap_std = list_std(gaps, gap_count),
           gap_max = list_max(gaps, gap_count);
    double side_mean[2];
    for (int side = 0; side < 2; side++) {
        size_t count = gaps_of(side_time[side], side_count[side], gaps);
        side_mean[side] = list_mean(gaps, count);
    }
    double values[WS_FLOW20_COLUMNS] = {
        log(1 + duration),
        log(1 + (double)side_count[0]),
        log(1 + (double)side_count[1]),
        log(1 + bytes[0]),
        log(1 + bytes[1]),
        list_mean(length[0], side_count[0]) / 1500,
        list_std(length[0], side_count[0]) / 1500,
        list_mean(length[1], side_count[1]) / 1500,
        list_std(length[1], side_count[1]) / 1500,
        fmax(list_max(length[0], side_count[0]), list_max(length[1], side_count[1])) / 1500,
        log(1 + gap_mean),
        log(1 + gap_std),
        log(1 + gap_max),
        log(1 + side_mean[0]),
        log(1 + side_mean[1]),
        log(1 + (double)n / (duration / 1e6 + 0.001)),
        (bytes[0] - bytes[1]) / (bytes[0] + bytes[1]),
        log(1 + syn),
        log(1 + fin_rst),
        psh / (double)n,
    };
    memcpy(out, values, sizeof values);
    for (int side = 0; side < 2; side++) {
        free(length[side]);
        free(side_time[side]);
    }
    free(time);
    free(gaps);
}

static void assert_close(double got, double expected, const char *column)
{
    if (!(fabs(got - expected) <= 1e-6 * fmax(1, fabs(expected))))
        fail_msg("%s: %.9g, the reference has %.9g", column, got, expected);
}

static int by_first_ordinal(const void *a, const void *b)
{
    const ws_flow *x = a, *y = b;
    return x->first_ordinal < y->first_ordinal ? -1 : x->first_ordinal > y->first_ordinal;
}

static void run_table(const ws_packet *packets, kept_flows *kept)
{
    ws_flow_rules rules = ws_flow_rules_default;
    rules.max_packets = PACKETS;
    ws_flow_table *table = NULL;
    assert_int_equal(ws_flow_table_create(&table, &rules), WS_OK);
    int64_t newest = INT64_MIN;
    for (uint64_t i = 0; i < PACKETS; i++) {
        if (i > 0 && i % CLOSE_EVERY == 0)
            assert_int_equal(ws_flow_table_close(table, i, newest, false, keep_flow, kept), WS_OK);
        assert_int_equal(ws_flow_table_add(table, &packets[i], 1), WS_OK);
        if (packets[i].time_ns > newest)
            newest = packets[i].time_ns;
    }
    assert_int_equal(ws_flow_table_close(table, PACKETS, newest, true, keep_flow, kept), WS_OK);
    ws_flow_table_destroy(&table);
    qsort(kept->flows, kept->count, sizeof *kept->flows, by_first_ordinal);
}

static void flows_and_features_equal_the_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        ws_packet *packets = calloc(PACKETS, sizeof *packets);
        reference_flow *flows = calloc(PACKETS, sizeof *flows);
        random_traffic(packets, seed);
        size_t count = reference_flows(packets, flows);
        kept_flows kept = {0};
        run_table(packets, &kept);
        assert_true(count > 500);
        assert_int_equal(kept.count, count);
        for (size_t k = 0; k < count; k++) {
            const ws_flow *flow = &kept.flows[k];
            double expected[WS_FLOW20_COLUMNS];
            assert_int_equal(flow->first_ordinal, flows[k].members[0]);
            assert_int_equal(flow->packet_count, flows[k].count);
            reference_features(packets, &flows[k], expected);
            for (int c = 0; c < WS_FLOW20_COLUMNS; c++)
                assert_close(flow->features[c], expected[c], ws_flow20_names[c]);
            float again[WS_FLOW20_COLUMNS];
            ws_flow20_from_packets(flow->stored, flow->packet_count, again);
            assert_memory_equal(again, flow->features, sizeof again);
            free(flows[k].members);
        }
        kept_destroy(&kept);
        free(flows);
        free(packets);
    }
}

static void packet_vectors_hold_the_values_of_the_packets(void **state)
{
    (void)state;
    ws_flow_packet stored[3] = {
        {.offset_ns = 0, .ip_length = 60, .window = 65535, .tcp_flags = WS_TCP_SYN, .direction = 1},
        {.offset_ns = 1500, .ip_length = 1500, .window = 7, .tcp_flags = WS_TCP_SYN | WS_TCP_ACK, .direction = -1},
        {.offset_ns = 2001500,
         .ip_length = 40,
         .window = 0,
         .tcp_flags = WS_TCP_FIN | WS_TCP_RST | WS_TCP_PSH,
         .direction = 1}};
    const double expected[3][WS_PACKET9_COLUMNS] = {
        {log(61), 0, 1, log(65536), 1, 0, 0, 0, 0},
        {log(1501), log(2.5), -1, log(8), 1, 1, 0, 0, 0}, /* 1500 ns are 1.5 us: fractions count */
        {log(41), log(2001), 1, 0, 0, 0, 1, 1, 1}};
    for (uint32_t k = 0; k < 3; k++) {
        float out[WS_PACKET9_COLUMNS];
        ws_packet9(stored, k, out);
        for (int c = 0; c < WS_PACKET9_COLUMNS; c++)
            assert_close(out[c], expected[k][c], ws_packet9_names[c]);
    }
}

static void a_flow_of_one_packet_has_no_gaps_and_no_deviation(void **state)
{
    (void)state;
    ws_flow_packet only = {.ip_length = 1500, .direction = 1, .tcp_flags = WS_TCP_PSH};
    float out[WS_FLOW20_COLUMNS];
    ws_flow20_from_packets(&only, 1, out);
    const double expected[WS_FLOW20_COLUMNS] = {
        [1] = log(2), [3] = log(1501), [5] = 1, [9] = 1, [15] = log(1001), [16] = 1, [19] = 1};
    for (int c = 0; c < WS_FLOW20_COLUMNS; c++)
        assert_close(out[c], expected[c], ws_flow20_names[c]);
}

static void sums_stay_exact_where_doubles_would_not(void **state)
{
    (void)state;
    /* A million packets of nearly the same length and gap: the naive sum of squares loses the deviation. */
    enum { COUNT = 1000000 };
    ws_flow_packet *stored = calloc(COUNT, sizeof *stored);
    int64_t time = 0;
    for (int i = 0; i < COUNT; i++) {
        stored[i] = (ws_flow_packet){.offset_ns = time, .direction = 1, .ip_length = i % 2 ? 65535 : 65534};
        time += i % 2 ? 119000000000 : 119000002000; /* 119 s, and 2 us more */
    }
    float out[WS_FLOW20_COLUMNS];
    ws_flow20_from_packets(stored, COUNT, out);
    assert_close(out[6], 0.5 / 1500, "std_len_f");
    assert_close(out[11], log(2), "log_iat_std"); /* deviation 1 us */
    free(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_and_features_equal_the_reference),
        cmocka_unit_test(packet_vectors_hold_the_values_of_the_packets),
        cmocka_unit_test(a_flow_of_one_packet_has_no_gaps_and_no_deviation),
        cmocka_unit_test(sums_stay_exact_where_doubles_would_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
