/* Labels find their flows: a CSV file of 5-tuples, and expected results as ndpiReader prints them.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "dataset/labels.h"
#include "folder.h"

static char path[128];

static int set_up(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/labels.csv", folder);
    return 0;
}

static ws_label_source *open_source(const char *dataset, const char *labels, const ws_string_list *inputs)
{
    ws_label_source *source;
    ok(ws_labels_open(&source, ws_dataset_find(dataset), labels, inputs));
    return source;
}

static ws_flow flow_of(uint32_t input, uint8_t protocol, const char *source, uint16_t source_port,
                       const char *destination, uint16_t destination_port, int64_t first_ns, int64_t last_ns)
{
    ws_flow flow;
    memset(&flow, 0, sizeof flow);
    flow.input = input;
    flow.first_ns = first_ns;
    flow.last_ns = last_ns;
    assert_true(ws_label_key(&flow.key, protocol, source, source_port, destination, destination_port));
    return flow;
}

/* The class name of a flow at a level, "" without label, NULL where no row matches. */
static const char *class_of(ws_label_source *source, const char *level, ws_flow flow)
{
    size_t count;
    int32_t classes[WS_LABEL_LEVELS_MAX];
    const ws_label_level *levels = ws_labels_levels(source, &count);
    uint8_t attempted;
    bool matched = ws_labels_find(source, &flow, classes, &attempted);
    for (size_t l = 0; l < count; l++) {
        assert_in_range(classes[l] + 1, 0, levels[l].classes);
        if (strcmp(levels[l].name, level) == 0)
            return !matched ? NULL : classes[l] < 0 ? "" : levels[l].names[classes[l]];
    }
    fail_msg("no level %s", level);
    return NULL;
}

static const char *const two_names[] = {"captures/a.pcap", "captures/b.pcap"};
static const ws_string_list two_inputs = {two_names, 2};

static void write_labels(const char *text)
{
    ok(ws_file_write(path, text, strlen(text)));
}

static void test_csv_rows(void **state)
{
    (void)state;
    write_labels("\xEF\xBB\xBF"
                 "label,capture,protocol,source,source_port,destination,destination_port,first_ns,family\r\n"
                 "Web,a.pcap,TCP,10.0.0.1,1000,10.0.0.2,80,,\"web, \"\"plain\"\"\"\r\n"
                 "\r\n"
                 "Early,a.pcap,6,10.0.0.1,2000,10.0.0.2,80,1000,x\r\n"
                 "Late,a.pcap,6,10.0.0.2,80,10.0.0.1,2000,5000,\r\n"
                 "Scan,a.pcap,udp,10.0.0.9,,10.0.0.8,,,y\r\n"
                 "Six,b.pcap,TCP,2001:db8::1,5,2001:db8::2,6,,\r\n"
                 "Elsewhere,c.pcap,TCP,10.0.0.1,1000,10.0.0.2,80,,zzz\r\n");
    ws_label_source *source = open_source("generic", path, &two_inputs);
    size_t count;
    const ws_label_level *levels = ws_labels_levels(source, &count);
    assert_int_equal(count, 2);
    assert_string_equal(levels[0].name, "label");
    assert_string_equal(levels[1].name, "family");
    /* sorted bytewise; nothing of the capture that is no input */
    const char *const classes[] = {"Early", "Late", "Scan", "Six", "Web"};
    assert_int_equal(levels[0].classes, 5);
    for (int c = 0; c < 5; c++)
        assert_string_equal(levels[0].names[c], classes[c]);
    assert_int_equal(levels[1].classes, 3);
    /* endpoints in either order */
    assert_string_equal(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 1000, "10.0.0.2", 80, 1, 2)), "Web");
    assert_string_equal(class_of(source, "family", flow_of(0, 6, "10.0.0.2", 80, "10.0.0.1", 1000, 1, 2)),
                        "web, \"plain\"");
    /* another protocol, port, input */
    assert_null(class_of(source, "label", flow_of(0, 17, "10.0.0.1", 1000, "10.0.0.2", 80, 1, 2)));
    assert_null(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 1001, "10.0.0.2", 80, 1, 2)));
    assert_null(class_of(source, "label", flow_of(1, 6, "10.0.0.1", 1000, "10.0.0.2", 80, 1, 2)));
    assert_string_equal(class_of(source, "label", flow_of(1, 6, "2001:db8::2", 6, "2001:db8::1", 5, 1, 2)), "Six");
    /* by time: the row whose time lies in the flow, or none */
    assert_string_equal(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 2000, "10.0.0.2", 80, 1000, 1000)),
                        "Early");
    assert_string_equal(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 2000, "10.0.0.2", 80, 900, 1500)), "Early");
    assert_string_equal(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 2000, "10.0.0.2", 80, 4000, 6000)), "Late");
    assert_string_equal(class_of(source, "family", flow_of(0, 6, "10.0.0.1", 2000, "10.0.0.2", 80, 4000, 6000)), "");
    assert_null(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 2000, "10.0.0.2", 80, 1001, 4999)));
    /* without ports: all flows between the two */
    assert_string_equal(class_of(source, "label", flow_of(0, 17, "10.0.0.8", 53, "10.0.0.9", 999, 1, 2)), "Scan");
    ws_label_counters total;
    ws_text json = {0};
    ok(ws_labels_report_all(&world, source, &total, &json));
    assert_int_equal(total.flows, 12);
    assert_int_equal(total.matched, 8);
    assert_int_equal(total.rows, 5);
    assert_int_equal(total.ambiguous, 0);
    assert_int_equal(total.malformed, 0);
    cJSON *parsed = cJSON_Parse(ws_text_string(&json));
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "inputs"), 1)->child), 2);
    cJSON_Delete(parsed);
    ws_text_destroy(&json);
    ws_labels_destroy(&source);
}

static void test_csv_bad_rows_are_counted(void **state)
{
    (void)state;
    write_labels("capture,protocol,source,source_port,destination,destination_port,label\n"
                 "a.pcap,TCP,10.0.0.1,1000,10.0.0.2,80,First\n"
                 "a.pcap,TCP,10.0.0.2,80,10.0.0.1,1000,Second\n"  /* the same key with another label */
                 "a.pcap,TCP,10.0.0.1,1000,10.0.0.2,80,First\n"   /* repeated, but not ambiguous */
                 "a.pcap,TCP,10.0.0.1,1000,10.0.0.2,80\n"         /* ragged */
                 "a.pcap,TCP,10.0.0.1,1000,10.0.0.2,80,First,x\n" /* ragged */
                 "a.pcap,TCP,10.0.0.999,1000,10.0.0.2,80,Bad\n"   /* no address */
                 "a.pcap,TCP,10.0.0.1,99999,10.0.0.2,80,Bad\n"    /* no port */
                 "a.pcap,TCP,10.0.0.1,,10.0.0.2,80,Bad\n"         /* one port only */
                 "a.pcap,XTP,10.0.0.1,1,10.0.0.2,80,Bad\n");
    ws_label_source *source = open_source("generic", path, &two_inputs);
    size_t count;
    assert_int_equal(ws_labels_levels(source, &count)[0].classes, 2);
    assert_string_equal(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 1000, "10.0.0.2", 80, 1, 2)), "First");
    ws_label_counters total;
    ok(ws_labels_report_all(&world, source, &total, NULL));
    assert_int_equal(total.rows, 3);
    assert_int_equal(total.ambiguous, 1);
    assert_int_equal(total.malformed, 6);
    ws_labels_destroy(&source);
}

static void refused(const char *text, const char *message)
{
    ws_label_source *source;
    write_labels(text);
    assert_int_not_equal(ws_labels_open(&source, ws_dataset_find("generic"), path, &two_inputs), WS_OK);
    if (strstr(ws_error_message(), message) == NULL)
        fail_msg("told \"%s\"", ws_error_message());
    ws_labels_destroy(&source);
}

static void test_csv_without_a_readable_row(void **state)
{
    (void)state;
    write_labels("capture,protocol,source,source_port,destination,destination_port,label,family\n"
                 "a.pcap,TCP,300.0.0.1,1000,10.0.0.2,80,Web,\n");
    ws_label_source *source = open_source("generic", path, &two_inputs);
    size_t count;
    const ws_label_level *levels = ws_labels_levels(source, &count);
    assert_int_equal(count, 2);
    assert_int_equal(levels[0].classes, 0);
    assert_int_equal(levels[1].classes, 0);
    assert_null(class_of(source, "label", flow_of(0, 6, "10.0.0.1", 1000, "10.0.0.2", 80, 1, 2)));
    ws_label_counters total;
    ok(ws_labels_report_all(&world, source, &total, NULL));
    assert_int_equal(total.malformed, 1);
    ws_labels_destroy(&source);
}

static void test_csv_files_that_are_none(void **state)
{
    (void)state;
    refused("", "empty");
    refused("capture,protocol,source,destination\n", "no label column");
    refused("capture,protocol,source,label\n", "no column destination");
    refused("capture,protocol,source,destination,label,label\n", "twice");
    refused("capture,capture,protocol,source,destination,label\n", "twice");
    refused("capture,protocol,source,destination,label\n\"never closed\n", ":2:");
    ws_label_source *source;
    assert_int_equal(ws_labels_open(&source, ws_dataset_find("generic"), "/nowhere/l.csv", &two_inputs), WS_E_IO);
    ws_labels_destroy(&source);
    source = open_source("generic", NULL, &two_inputs); /* no labels asked for, none given */
    size_t count;
    ws_labels_levels(source, &count);
    assert_int_equal(count, 0);
    ws_labels_destroy(&source);
}

static const char ndpi_results[] =
    "Guessed flow protos:\t0\n\nDPI Packets (TCP):\t12\t(6.00 pkts/flow)\n\nTLS                  91           4000     "
    "     2\n"
    "\n\tHost \t\tflows\n\t1\t 192.0.2.1             \t 2      \n"
    "\t1\tTCP 192.0.2.1:1234 <-> 198.51.100.7:443 [VLAN: 7][proto: 91.126/TLS.Google][IP: 126/Google][Encrypted][cat: "
    "Web/5][7 pkts/987 bytes <-> 5 pkts/270 bytes][Plen Bins: 0,1]\n"
    "\t2\tUDP [2001:db8::1]:5353 -> [ff02::fb]:5353 [proto: 8/MDNS][ClearText][cat: Network/14][1 pkts/90 bytes -> 0 "
    "pkts/0 bytes]\n"
    "\t3\tUDP 192.0.2.9:700 -> 192.0.2.8:800 [proto: GTP:5/DNS][cat: Network/14][1 pkts/90 bytes]\n"
    "\t4\tICMP 192.0.2.1 -> 192.0.2.3 [proto: 81/ICMP][cat: Network/14][1 pkts/90 bytes]\n"
    "\t5\tVRRP 192.0.2.1:0 -> 224.0.0.18:0 [proto: 73/VRRP][cat: Network/14][1 pkts/90 bytes]\n"
    "\t6\tTCP 192.0.2.1:1234 <-> 198.51.100.7:443 [VLAN: 8][proto: 7/HTTP][cat: Web/5][7 pkts/987 bytes]\n"
    "\t7\tTCP 192.0.2.1:nonsense <-> 198.51.100.7:443 [proto: 7/HTTP][cat: Web/5][7 pkts/987 bytes]\n"
    "\nUndetected flows:\n"
    "\t1\tUDP 192.0.2.5:1 -> 192.0.2.6:2 [proto: 0/Unknown][ClearText][Confidence: Unknown][2 pkts/92 bytes]\n"
    "\t2\tTCP 192.0.2.5:1 -> 192.0.2.6:2 [proto: 9/NTP][cat: Unspecified/0][2 pkts/92 bytes]\n";

static void check_ndpi(ws_label_source *source, uint32_t input)
{
    ws_flow web = flow_of(input, 6, "198.51.100.7", 443, "192.0.2.1", 1234, 1, 2);
    assert_string_equal(class_of(source, "category", web), "Web");
    assert_string_equal(class_of(source, "application", web), "TLS.Google"); /* the first of two */
    ws_flow mdns = flow_of(input, 17, "2001:db8::1", 5353, "ff02::fb", 5353, 1, 2);
    assert_string_equal(class_of(source, "application", mdns), "MDNS");
    assert_string_equal(class_of(source, "application", flow_of(input, 17, "192.0.2.8", 800, "192.0.2.9", 700, 1, 2)),
                        "DNS");
    assert_string_equal(class_of(source, "category", flow_of(input, 1, "192.0.2.1", 0, "192.0.2.3", 0, 1, 2)),
                        "Network");
    /* no answer is no class */
    assert_string_equal(class_of(source, "application", flow_of(input, 17, "192.0.2.5", 1, "192.0.2.6", 2, 1, 2)), "");
    assert_string_equal(class_of(source, "category", flow_of(input, 6, "192.0.2.5", 1, "192.0.2.6", 2, 1, 2)), "");
    assert_string_equal(class_of(source, "application", flow_of(input, 6, "192.0.2.5", 1, "192.0.2.6", 2, 1, 2)),
                        "NTP");
    assert_null(class_of(source, "category", flow_of(input, 6, "192.0.2.5", 1, "192.0.2.6", 3, 1, 2)));
}

static void test_ndpi_results(void **state)
{
    (void)state;
    char pcaps[100], results[100], file[160], capture[160], without[160];
    snprintf(pcaps, sizeof pcaps, "%s/pcap", folder);
    snprintf(results, sizeof results, "%s/result", folder);
    ok(ws_directory_create(pcaps));
    ok(ws_directory_create(results));
    snprintf(file, sizeof file, "%s/some.pcap.out", results);
    ok(ws_file_write(file, ndpi_results, sizeof ndpi_results - 1));
    snprintf(capture, sizeof capture, "%s/some.pcap", pcaps);
    snprintf(without, sizeof without, "%s/other.pcap", pcaps);
    const char *const names[] = {without, capture};
    const ws_string_list inputs = {names, 2};
    for (int given = 0; given < 2; given++) {
        ws_label_source *source = open_source("ndpi", given ? results : NULL, &inputs);
        check_ndpi(source, 1);
        assert_null(class_of(source, "category", flow_of(0, 6, "192.0.2.1", 1234, "198.51.100.7", 443, 1, 2)));
        ws_label_counters total;
        ok(ws_labels_report_all(&world, source, &total, NULL));
        assert_int_equal(total.ambiguous, 1);
        assert_int_equal(total.malformed, 1);
        assert_int_equal(total.rows, 7);
        ws_labels_destroy(&source);
    }
    ws_label_source *source;
    const ws_string_list only_without = {names, 1};
    assert_int_not_equal(ws_labels_open(&source, ws_dataset_find("ndpi"), NULL, &only_without), WS_OK);
    assert_non_null(strstr(ws_error_hint(), "--labels"));
    ws_labels_destroy(&source);
    assert_int_not_equal(ws_labels_open(&source, ws_dataset_find("ndpi"), file, &inputs), WS_OK);
    ws_labels_destroy(&source);
}

/* Every flow line of every results file is understood: as many rows as lines that begin like a TCP or UDP flow. */
static void test_ndpi_real_results(void **state)
{
    (void)state;
    char results[512], command[1200];
    const char *shared = getenv("WIRESWEEP_SHARED_DATA");
    snprintf(results, sizeof results, "%s/labelled-pcap/ntop+nDPI/tests/cfgs/default/result",
             shared == NULL ? "" : shared);
    DIR *directory = opendir(results);
    if (directory == NULL) {
        print_message("no expected results at %s\n", results);
        skip();
    }
    char *names[2048];
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL && count < 2048;) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".out") == 0)
            names[count++] = ws_format("%.*s", (int)length - 4, entry->d_name);
    }
    closedir(directory);
    const ws_string_list inputs = {(const char *const *)names, count};
    ws_label_source *source = open_source("ndpi", results, &inputs);
    ws_label_counters total;
    ok(ws_labels_report_all(&world, source, &total, NULL));
    snprintf(command, sizeof command,
             "cat '%s'/*.out | grep -a -c -P '^\\t[0-9]+\\t(TCP|UDP|ICMP|ICMPV6|IGMP|SCTP|[1-9][0-9]*) '", results);
    FILE *pipe = popen(command, "r");
    unsigned long lines = 0;
    assert_int_equal(fscanf(pipe, "%lu", &lines), 1);
    pclose(pipe);
    assert_true(lines > 100);
    assert_int_equal(total.malformed, 0);
    assert_int_equal(total.rows, lines);
    ws_labels_destroy(&source);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_csv_bad_rows_are_counted),
        cmocka_unit_test(test_csv_without_a_readable_row),
        cmocka_unit_test(test_csv_files_that_are_none),
        cmocka_unit_test(test_ndpi_results),
        cmocka_unit_test(test_ndpi_real_results),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, set_up, remove_folder);
    ws_cluster_stop();
    return failed != 0;
}
