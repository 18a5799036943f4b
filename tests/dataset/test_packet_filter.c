/* Filter expressions on frames of link types whose files libpcap's compiler, which knows this machine only, would misread. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "dataset/packet_filter.h"

/* A link header, and whether IPv6 follows it. */
static const struct {
    int link_type;
    const char *header;
    bool ipv6;
} cases[] = {
    {1, "020000000001 020000000002 0800", false},
    {1, "020000000001 020000000002 86dd", true},
    {101, "", false},
    {12, "", true},
    {14, "", false},
    /* Null: each system's number of IPv6, as a little-endian and as a big-endian machine writes it, and an EtherType */
    {0, "02000000", false},
    {0, "00000002", false},
    {0, "0a000000", true},
    {0, "18000000", true},
    {0, "0000001c", true},
    {0, "1e000000", true},
    {0, "0000001e", true},
    {0, "000086dd", true},
    {108, "00000002", false},
    {108, "00000018", true},
    {108, "0000001e", true},
    {109, "02000000 00000000 00000000", false},
    {109, "18000000 00000000 00000000", true},
    {100, "aaaa03000000 0800", false},
    {100, "aaaa03000000 86dd", true},
    {106, "aaaa03000000 0800", false},
    {113, "0000 0001 0006 0200000000010000 86dd", true},
    {276, "0800 0000 00000001 0001 00 06 0200000000010000", false},
};

static bool accepts(const char *expression, size_t which, const bytes *frame)
{
    ws_packet_filter *filter;
    bool yes = false;
    assert_int_equal(ws_packet_filter_create(&filter, expression), WS_OK);
    if (ws_packet_filter_accepts(filter, frame->data, (uint32_t)frame->count, (uint32_t)frame->count,
                                 cases[which].link_type, &yes) != WS_OK)
        fail_msg("case %zu: %s", which, ws_error_message());
    ws_packet_filter_destroy(&filter);
    return yes;
}

static void every_link_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes frame = {0};
        put_hex(&frame, cases[i].header);
        if (cases[i].ipv6)
            put_ipv6(&frame, 17, 8);
        else
            put_ipv4(&frame, 17, 8, 0, 0);
        put_hex(&frame, "1234 0035 0008 0000");
        const struct {
            const char *expression;
            bool expected;
        } questions[] = {{"udp", true},          {"udp port 53", true},  {"tcp", false},    {"ip6", cases[i].ipv6},
                         {"udp port 54", false}, {"ip", !cases[i].ipv6}, {"not udp", false}};
        for (size_t q = 0; q < sizeof questions / sizeof *questions; q++)
            if (accepts(questions[q].expression, i, &frame) != questions[q].expected)
                fail_msg("case %zu, link type %d: %s is wrong", i, cases[i].link_type, questions[q].expression);
        bytes_free(&frame);
    }
}

/* Frames that end inside their link header match nothing and are not read beyond their end. */
static void cut_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes frame = {0}, whole = {0};
        put_hex(&whole, cases[i].header);
        for (size_t length = 0; length < whole.count; length++) {
            put(&frame, whole.data, length);
            assert_false(accepts("udp", i, &frame));
            bytes_free(&frame);
        }
        bytes_free(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_link_type), cmocka_unit_test(cut_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
