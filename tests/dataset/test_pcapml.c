/* Labels from packet comments: dialects, options in any order and either byte order, samples in a flow, packets without.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "dataset/labels.h"

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

/* A UDP packet from 10.0.0.1:port to 192.168.1.2:53. */
static void put_packet(bytes *out, uint16_t port)
{
    put_ipv4(out, 17, 8 + 5, 0, 0);
    put_number(out, port, 2, true);
    put_number(out, 53, 2, true);
    put_number(out, 8 + 5, 2, true);
    put_fill(out, 0, 2 + 5);
}

/* A frame with the texts as comments behind another option. */
static void put_frame(bytes *out, bool big, const bytes *content, uint64_t microseconds, const char *const *comments)
{
    const bytes frame = *content;
    bytes body = {0};
    put_number(&body, 0, 4, big);
    put_number(&body, microseconds >> 32, 4, big);
    put_number(&body, microseconds & UINT32_MAX, 4, big);
    put_number(&body, frame.count, 4, big);
    put_number(&body, frame.count, 4, big);
    put(&body, frame.data, frame.count);
    put_fill(&body, 0, (4 - body.count % 4) % 4);
    put_number(&body, 2, 2, big); /* epb_flags */
    put_number(&body, 4, 2, big);
    put_number(&body, 0, 4, big);
    for (; *comments != NULL; comments++) {
        put_number(&body, 1, 2, big);
        put_number(&body, strlen(*comments), 2, big);
        put(&body, *comments, strlen(*comments));
        put_fill(&body, 0, (4 - strlen(*comments) % 4) % 4);
    }
    put_number(&body, 0, 4, big);
    put_block(out, big, 6, &body);
    bytes_free(&body);
}

static void put_commented(bytes *out, bool big, uint16_t port, uint64_t microseconds, const char *const *comments)
{
    bytes frame = {0};
    put_ethernet(&frame, 0x0800);
    put_packet(&frame, port);
    put_frame(out, big, &frame, microseconds, comments);
    bytes_free(&frame);
}

static void put_one(bytes *out, bool big, uint16_t port, uint64_t microseconds, const char *comment)
{
    put_commented(out, big, port, microseconds, (const char *const[]){comment, NULL});
}

static ws_label_source *open_file(const bytes *content)
{
    static const char *name;
    static ws_string_list inputs;
    ws_label_source *source;
    name = write_file(content);
    inputs = (ws_string_list){&name, 1};
    ok(ws_labels_open(&source, ws_dataset_find("pcapml"), NULL, &inputs));
    return source;
}

/* NULL where the flow has no label. */
static const char *label_of(ws_label_source *source, uint16_t port, int64_t first_us, int64_t last_us)
{
    ws_flow flow;
    int32_t class;
    uint8_t attempted;
    size_t count;
    memset(&flow, 0, sizeof flow);
    assert_true(ws_label_key(&flow.key, 17, "192.168.1.2", 53, "10.0.0.1", port));
    flow.first_ns = first_us * 1000;
    flow.last_ns = last_us * 1000;
    bool found = ws_labels_find(source, &flow, &class, &attempted);
    return found && class >= 0 ? ws_labels_levels(source, &count)->names[class] : NULL;
}

static void test_dialects(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        bytes file = {0};
        put_section(&file, big);
        put_interface(&file, big, 1, 0, -1, 0);
        put_one(&file, big, 1, 1000, "18205618432581910911,windows-10");
        put_one(&file, big, 2, 1000, "7,printer,probe-3");
        put_one(&file, big, 3, 1000, "s=0,proc=curl,dir=lan2wan,dst=example.com");
        put_one(&file, big, 4, 1000, "s=9,label=mail,proc=smtp");
        put_one(&file, big, 5, 1000, "42,chrome,d=e,dst=youtube.com");
        put_one(&file, big, 6, 1000, "no sample, no label");
        put_one(&file, big, 7, 1000, "5");
        put_one(&file, big, 8, 1000, "99999999999999999999,too large");
        put_commented(&file, big, 9, 1000, (const char *const[]){NULL});
        put_one(&file, big, 10, 1000, "s=3,label=odd");
        /* Of several comments the first that is pcapML's, wherever it stands. */
        put_commented(&file, big, 11, 1000, (const char *const[]){"seen twice", "11,behind", "12,last", NULL});
        put_commented(&file, big, 12, 1000, (const char *const[]){"", "a note, of someone", "s=5,proc=third", NULL});
        put_commented(&file, big, 13, 1000, (const char *const[]){"6,first", "7,second", NULL});
        put_commented(&file, big, 14, 1000, (const char *const[]){"one", "two", "three", NULL});
        ws_label_source *source = open_file(&file);
        static const char *const expected[] = {"windows-10", "printer", "curl", "smtp",   "chrome", NULL,    NULL,
                                               NULL,         NULL,      "odd",  "behind", "third",  "first", NULL};
        for (uint16_t port = 1; port <= 14; port++) {
            const char *label = label_of(source, port, 1000, 2000);
            if (expected[port - 1] == NULL)
                assert_null(label);
            else
                assert_string_equal(label, expected[port - 1]);
        }
        ws_labels_destroy(&source);
        bytes_free(&file);
    }
}

static void test_samples(void **state)
{
    (void)state;
    bytes file = {0};
    put_section(&file, false);
    put_interface(&file, false, 1, 0, -1, 0);
    put_one(&file, false, 1, 5000, "1,early"); /* the sample's packets, descending as some writers sort them */
    put_one(&file, false, 1, 1000, "1,early");
    put_one(&file, false, 1, 900000, "2,late");
    put_one(&file, false, 2, 1000, "3,same");
    put_one(&file, false, 2, 5000, "4,same");
    ws_label_source *source = open_file(&file);
    assert_string_equal(label_of(source, 1, 1000, 5000), "early");
    assert_string_equal(label_of(source, 1, 900000, 900000), "late");
    assert_null(label_of(source, 1, 400000, 500000)); /* the 5-tuple has two labels, and none begins here */
    assert_string_equal(label_of(source, 2, 400000, 500000), "same");
    ws_labels_destroy(&source);
    bytes_free(&file);
}

static void test_without_comments(void **state)
{
    (void)state;
    bytes file = {0};
    ws_label_source *source;
    put_section(&file, false);
    put_interface(&file, false, 1, 0, -1, 0);
    put_commented(&file, false, 9, 1000, (const char *const[]){NULL});
    const char *name = write_file(&file);
    const ws_string_list inputs = {&name, 1};
    assert_int_equal(ws_labels_open(&source, ws_dataset_find("pcapml"), NULL, &inputs), WS_E_FORMAT);
    ws_labels_destroy(&source);
    assert_int_equal(ws_labels_open(&source, ws_dataset_find("pcapml"), "labels.csv", &inputs), WS_E_IO);
    ws_labels_destroy(&source);
    bytes_free(&file);
}

/* Flows of packets in tunnels, and of protocols besides TCP and UDP, have labels where the run makes such flows. */
static void test_labels_of_the_flows_that_are_made(void **state)
{
    (void)state;
    bytes file = {0}, tunnel = {0}, echo = {0};
    put_section(&file, false);
    put_interface(&file, false, 1, 0, -1, 0);
    put_one(&file, false, 7, 1000, "1,plain");
    put_ethernet(&tunnel, 0x0800);
    put_ipv4(&tunnel, 4, 20 + 8 + 5, 0, 0);
    put_packet(&tunnel, 8);
    put_frame(&file, false, &tunnel, 2000, (const char *const[]){"2,tunnelled", NULL});
    put_ethernet(&echo, 0x0800);
    put_ipv4(&echo, 1, 8, 0, 0);
    put_hex(&echo, "0800 0000 0001 0001");
    put_frame(&file, false, &echo, 3000, (const char *const[]){"3,pinged", NULL});
    for (int with = 0; with < 2; with++) {
        const char *name = write_file(&file), *text = "icmp";
        const ws_string_list inputs = {&name, 1}, names = {&text, 1};
        ws_ip_protocols protocols = {{false}};
        ok(ws_ip_protocols_read(&names, &protocols));
        const ws_label_reading reading = {.inner_packets = with, .protocols = with ? &protocols : NULL};
        ws_label_source *source;
        ok(ws_labels_open_reading(&source, ws_dataset_find("pcapml"), NULL, &inputs, &reading));
        assert_string_equal(label_of(source, 7, 1000, 1000), "plain");
        const char *tunnelled = label_of(source, 8, 2000, 2000);
        assert_true(with ? tunnelled != NULL && strcmp(tunnelled, "tunnelled") == 0 : tunnelled == NULL);
        ws_flow flow = {.first_ns = 3000000, .last_ns = 3000000};
        int32_t class;
        uint8_t attempted;
        size_t count;
        assert_true(ws_label_key(&flow.key, 1, "192.168.1.2", 0, "10.0.0.1", 0));
        assert_int_equal(ws_labels_find(source, &flow, &class, &attempted), with);
        if (with)
            assert_string_equal(ws_labels_levels(source, &count)->names[class], "pinged");
        ws_labels_destroy(&source);
    }
    bytes_free(&echo);
    bytes_free(&tunnel);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dialects), cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_without_comments),
                                       cmocka_unit_test(test_labels_of_the_flows_that_are_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
