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

/* A UDP packet from 10.0.0.1:port to 192.168.1.2:53, with the texts as comments behind another option. */
static void put_commented(bytes *out, bool big, uint16_t port, uint64_t microseconds, const char *const *comments)
{
    bytes frame = {0}, body = {0};
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 17, 8 + 5, 0, 0);
    put_number(&frame, port, 2, true);
    put_number(&frame, 53, 2, true);
    put_number(&frame, 8 + 5, 2, true);
    put_fill(&frame, 0, 2 + 5);
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
    bytes_free(&frame);
    bytes_free(&body);
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
        ws_label_source *source = open_file(&file);
        static const char *const expected[] = {"windows-10", "printer", "curl", "smtp", "chrome",
                                               NULL,         NULL,      NULL,   NULL,   "odd"};
        for (uint16_t port = 1; port <= 10; port++) {
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
    assert_int_equal(ws_labels_open(&source, ws_dataset_find("pcapml"), "labels.csv", &inputs), WS_E_ARGUMENT);
    ws_labels_destroy(&source);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dialects), cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_without_comments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
