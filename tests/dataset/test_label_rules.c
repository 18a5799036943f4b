/* Label rules: every condition, its edges to the nanosecond, attempts, conflicts, and files that are wrong.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "dataset/label_rules.h"
#include "folder.h"

static char path[128];

static int set_up(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/rules.json", folder);
    return 0;
}

/* A flow whose first packet goes from source to destination. */
static ws_flow flow_of(const char *source, uint16_t source_port, const char *destination, uint16_t destination_port,
                       int64_t first_ns)
{
    ws_flow flow;
    memset(&flow, 0, sizeof flow);
    flow.first_ns = flow.last_ns = first_ns;
    flow.packets[0] = flow.packets[1] = 10;
    flow.payload_bytes[0] = 1000;
    flow.payload_bytes[1] = 2000;
    assert_true(ws_label_key(&flow.key, 6, source, source_port, destination, destination_port));
    ws_flow_key alone;
    assert_true(ws_label_key(&alone, 6, source, source_port, "::", 0)); /* the lowest endpoint there is */
    flow.forward_is_low =
        memcmp(flow.key.low_address, alone.high_address, 16) == 0 && flow.key.low_port == alone.high_port;
    return flow;
}

/* "class" or "class+attempted", "-" without class, NULL where no rule matches. */
static const char *label_at(ws_label_source *source, const char *level, ws_flow flow)
{
    static char text[128];
    size_t count;
    int32_t classes[WS_LABEL_LEVELS_MAX];
    uint8_t attempted;
    const ws_label_level *levels = ws_labels_levels(source, &count);
    if (!ws_labels_find(source, &flow, classes, &attempted))
        return NULL;
    for (size_t l = 0; l < count; l++)
        if (strcmp(levels[l].name, level) == 0) {
            snprintf(text, sizeof text, attempted ? "%s+%d" : "%s", classes[l] < 0 ? "-" : levels[l].names[classes[l]],
                     attempted);
            return text;
        }
    fail_msg("no level %s", level);
    return NULL;
}

static ws_label_source *open_rules(const char *family, const char *text, const ws_string_list *inputs)
{
    ws_label_rules *rules;
    ws_label_source *source;
    if (text != NULL)
        ok(ws_file_write(path, text, strlen(text)));
    ok(ws_label_rules_read(&rules, family, text != NULL ? path : NULL));
    ok(ws_labels_open_rules(&source, &rules, inputs));
    return source;
}

#define LABEL(flow, expected) assert_string_equal(label_at(source, "label", flow), expected)

static void test_names_and_folders(void **state)
{
    (void)state;
    static const char *const names[] = {"x/VPN_Email2a.pcap.gz", "x/email2a.pcap", "Tor/chat1.pcap",
                                        "NonTor/chat1.pcap", "x/other.pcap"};
    const ws_string_list inputs = {names, 5};
    ws_label_source *source =
        open_rules("generic",
                   "{\"levels\": [\"label\", \"kind\"], \"rules\": ["
                   "{\"name\": \"vpn\", \"input\": [\"vpn_email*.pcap\"], \"classes\": {\"label\": \"vpn email\"}},"
                   "{\"name\": \"plain\", \"input\": [\"*email*\"], \"classes\": {\"label\": \"email\"}},"
                   "{\"name\": \"tor\", \"directory\": [\"tor\"], \"classes\": {\"kind\": \"tor\"}},"
                   "{\"name\": \"nontor\", \"directory\": [\"nontor\"], \"input\": [\"chat*\"],"
                   " \"classes\": {\"kind\": \"clear\", \"label\": \"chat\"}}]}",
                   &inputs);
    ws_flow flow = flow_of("10.0.0.1", 1, "10.0.0.2", 2, 5);
    const char *const expected[] = {"vpn email", "email", "-", "chat", NULL};
    for (uint32_t i = 0; i < 5; i++) {
        flow.input = i;
        const char *found = label_at(source, "label", flow);
        if (expected[i] == NULL)
            assert_null(found);
        else
            assert_string_equal(found, expected[i]);
    }
    flow.input = 2;
    assert_string_equal(label_at(source, "kind", flow), "tor");
    ws_text json = {0};
    ws_label_counters total;
    ok(ws_labels_report_all(&world, source, &total, &json));
    assert_int_equal(total.flows, 6);
    assert_int_equal(total.matched, 5);
    cJSON *parsed = cJSON_Parse(ws_text_string(&json)), *rules = cJSON_GetObjectItem(parsed, "rules");
    assert_int_equal(cJSON_GetArraySize(rules), 4);
    cJSON *plain = cJSON_GetArrayItem(rules, 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(plain, "name")), "plain");
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(plain, "asked")), 2);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(plain, "matched")), 1);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(plain, "overridden")), 1);
    cJSON_Delete(parsed);
    ws_text_destroy(&json);
    ws_labels_destroy(&source);
}

static const char *const one_name[] = {"a.pcap"};
static const ws_string_list one_input = {one_name, 1};

static void test_conditions(void **state)
{
    (void)state;
    ws_label_source *source = open_rules(
        "generic",
        "{\"levels\": [\"label\"], \"attempted_level\": \"all\", \"rules\": ["
        "{\"name\": \"w\", \"from\": \"1970-01-01T01:00:00.000000100+01:00\", \"to\": \"200\","
        " \"source\": [\"10.0.0.0/24\"], \"destination_port\": [\"80\", \"8000-8080\", \"!8042\"], \"protocol\": "
        "[\"tcp\"], \"classes\": {\"label\": \"web\"}},"
        "{\"name\": \"six\", \"host\": [\"2001:db8::/33\"], \"classes\": {\"label\": \"six\"}},"
        "{\"name\": \"first\", \"source\": [\"10.9.0.1\"], \"direction\": \"forward\", \"forward_packets\": [\"11-\"],"
        " \"attempted_without_payload\": true, \"classes\": {\"label\": \"scan\"}},"
        "{\"name\": \"retry\", \"source\": [\"10.9.0.2\"], \"backward_payload\": [\"2000\"], \"attempted\": 1,"
        " \"classes\": {\"label\": \"bot\"}}],"
        "\"otherwise\": {\"name\": \"rest\", \"to\": \"1000\", \"classes\": {\"label\": \"benign\"}}}",
        &one_input);
    /* the window, both ends inclusive; prefixes; ports with a hole; either direction */
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 80, 100), "web");
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 80, 99), "benign");
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 80, 200), "web");
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 80, 201), "benign");
    LABEL(flow_of("10.0.1.7", 5, "1.1.1.1", 80, 150), "benign");
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 8000, 150), "web");
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 8042, 150), "benign");
    LABEL(flow_of("10.0.0.7", 5, "1.1.1.1", 8081, 150), "benign");
    LABEL(flow_of("1.1.1.1", 80, "10.0.0.7", 5, 150), "web");
    LABEL(flow_of("1.1.1.1", 5, "10.0.0.7", 80, 150), "benign");
    ws_flow udp = flow_of("10.0.0.7", 5, "1.1.1.1", 80, 150);
    udp.key.protocol = 17;
    LABEL(udp, "benign");
    assert_null(label_at(source, "label", flow_of("10.0.0.7", 5, "1.1.1.1", 80, 1001)));
    LABEL(flow_of("2001:db8:7fff::1", 5, "2001:db9::", 80, 150), "six");
    LABEL(flow_of("2001:db9::", 5, "2001:db8::1", 80, 150), "six");
    LABEL(flow_of("2001:db8:8000::1", 5, "2001:db9::", 80, 150), "benign");
    /* forward only; attempts have no class but in the level that shows them */
    ws_flow scan = flow_of("10.9.0.1", 5, "1.1.1.1", 9, 150);
    LABEL(scan, "benign");
    scan.packets[0] = 11;
    LABEL(scan, "scan");
    assert_string_equal(label_at(source, "all", scan), "scan");
    scan.payload_bytes[0] = 0;
    LABEL(scan, "-+1");
    assert_string_equal(label_at(source, "all", scan), "scan - Attempted+1");
    ws_flow back = flow_of("1.1.1.1", 9, "10.9.0.1", 5, 150);
    back.packets[0] = back.packets[1] = 50;
    LABEL(back, "benign");
    /* measured from the rule's source, whoever began */
    back = flow_of("1.1.1.1", 9, "10.9.0.2", 5, 150);
    LABEL(back, "benign");
    back.payload_bytes[0] = 2000;
    LABEL(back, "-+2");
    LABEL(flow_of("10.9.0.2", 5, "1.1.1.1", 9, 150), "-+2");
    ws_labels_destroy(&source);
}

#define KALI "172.16.0.1"
#define WEB "192.168.10.50"

/* The published windows, at their edges. */
static void test_cicids2017(void **state)
{
    (void)state;
    ws_label_source *source = open_rules("cicids2017", NULL, &one_input);
    static const struct {
        const char *label, *source, *destination;
        uint16_t source_port, port;
        int64_t from, to;
    } windows[] = {
        {"FTP-Patator", KALI, WEB, 50000, 21, 1499170672838272000, 1499174416931403000},
        {"SSH-Patator", KALI, WEB, 50000, 22, 1499188141049616000, 1499195059018486000},
        {"DoS Slowhttptest", KALI, WEB, 50000, 80, 1499260537936810000, 1499261869331517000},
        {"DoS GoldenEye", KALI, WEB, 50000, 80, 1499263803231753000, 1499264408915718000},
        {"Heartbleed", KALI, "192.168.10.51", 45022, 444, 1499278335650811000, 1499279563294455000},
        {"Web Attack - SQL Injection", KALI, WEB, 50000, 80, 1499348145732950000, 1499348575320284000},
        {"Infiltration", "192.168.10.8", "205.174.165.73", 50000, 444, 1499361542547210000, 1499366769364731000},
        {"Infiltration - Portscan", KALI, "192.168.10.51", 50122, 99, 1499360431706755000, 1499360445728887000},
        {"Portscan", KALI, WEB, 50000, 99, 1499446532117090000, 1499447948582083000},
        {"Portscan", KALI, WEB, 50000, 99, 1499449905450532000, 1499451841699238000},
        {"DDoS", KALI, WEB, 50000, 80, 1499453791796937000, 1499454972216560000}};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        const int64_t times[4] = {windows[w].from - 1, windows[w].from, windows[w].to, windows[w].to + 1};
        for (int t = 0; t < 4; t++)
            LABEL(flow_of(windows[w].source, windows[w].source_port, windows[w].destination, windows[w].port, times[t]),
                  t == 1 || t == 2 ? windows[w].label : "BENIGN");
        LABEL(flow_of("192.168.10.99", windows[w].source_port, windows[w].destination, windows[w].port, times[1]),
              "BENIGN");
    }
    ws_labels_destroy(&source);
}

static void test_cicids2017_attempts(void **state)
{
    (void)state;
    ws_label_source *source = open_rules("cicids2017", NULL, &one_input);
    assert_true(ws_labels_tell_attempts(source));
    /* no payload: category 0; but a port scan needs none */
    ws_flow flow = flow_of(KALI, 50000, WEB, 21, 1499170672838272000);
    flow.payload_bytes[0] = 0;
    LABEL(flow, "-+1");
    assert_string_equal(label_at(source, "label_attempted", flow), "FTP-Patator - Attempted+1");
    flow = flow_of(KALI, 50000, WEB, 99, 1499446532117090000);
    flow.payload_bytes[0] = 0;
    LABEL(flow, "Portscan");
    /* the mis-launched Slowloris before its window, and the artefacts in it */
    LABEL(flow_of(KALI, 50000, WEB, 80, 1499258926211817000), "-+6");
    LABEL(flow_of(KALI, 50000, WEB, 80, 1499258934539219999), "-+6");
    LABEL(flow_of(KALI, 50000, WEB, 80, 1499258934539220000), "DoS Slowloris");
    LABEL(flow_of(KALI, 33360, WEB, 80, 1499259934539220000), "-+3");
    LABEL(flow_of(KALI, 54114, WEB, 80, 1499259934539220000), "-+5");
    /* Hulk: start-up flows but two, then those that sent less than a request */
    flow = flow_of(KALI, 50000, WEB, 80, 1499262203194704000);
    LABEL(flow, "-+5");
    LABEL(flow_of(KALI, 48678, WEB, 80, 1499262203194704000), "DoS Hulk");
    flow.first_ns = 1499262299999999999;
    LABEL(flow, "DoS Hulk");
    flow.payload_bytes[0] = 281;
    LABEL(flow, "-+4");
    flow.payload_bytes[0] = 282;
    LABEL(flow, "DoS Hulk");
    flow.payload_bytes[0] = 0;
    LABEL(flow, "-+1");
    /* web attacks by the number of forward packets */
    flow = flow_of(KALI, 50000, WEB, 80, 1499343567660566000);
    flow.packets[0] = 20;
    LABEL(flow, "-+4");
    flow.packets[0] = 21;
    LABEL(flow, "Web Attack - Brute Force");
    flow.packets[0] = flow.packets[1] = 5;
    LABEL(flow, "-+5");
    LABEL(flow_of(KALI, 44464, WEB, 80, 1499343567660566000), "Web Attack - Brute Force");
    flow = flow_of(KALI, 50000, WEB, 80, 1499346935283859000);
    flow.packets[0] = 150;
    LABEL(flow, "Web Attack - XSS");
    flow.packets[0] = 149;
    LABEL(flow, "-+4");
    /* bots that call in vain */
    LABEL(flow_of("192.168.10.15", 5, "205.174.165.73", 8080, 1499436122903736000), "Botnet");
    LABEL(flow_of("192.168.10.15", 5, "205.174.165.73", 8080, 1499436122903736001), "-+2");
    LABEL(flow_of("192.168.10.15", 5, "205.174.165.73", 8080, 1499457684606663001), "BENIGN");
    /* the third port scan: of the flows to the web server those of a size are left out */
    flow = flow_of("192.168.10.8", 5, WEB, 80, 1499364314425162000);
    LABEL(flow, "Infiltration - Portscan");
    flow.longest_payload[1] = 408;
    LABEL(flow, "Infiltration - Portscan");
    flow.longest_payload[0] = 408;
    LABEL(flow, "BENIGN");
    /* another year is none of this data set's */
    assert_null(label_at(source, "label", flow_of(KALI, 5, WEB, 80, 1599436122903736000)));
    ws_labels_destroy(&source);
}

static void test_cicddos2019(void **state)
{
    (void)state;
    ws_label_source *source = open_rules("cicddos2019", NULL, &one_input);
    const int64_t portmap = 1541248980000000000; /* 2018-11-03 09:43 at UTC-3 */
    LABEL(flow_of("172.16.0.5", 5, "192.168.50.4", 80, portmap), "Portmap");
    LABEL(flow_of("192.168.50.4", 80, "172.16.0.5", 5, portmap), "Portmap"); /* the victim's answer */
    LABEL(flow_of("192.168.50.5", 80, "8.8.8.8", 53, portmap), "BENIGN");
    LABEL(flow_of("172.16.0.5", 5, "192.168.50.4", 80, portmap - 3600 * INT64_C(1000000000)), "-");
    assert_string_equal(
        label_at(source, "attack", flow_of("172.16.0.5", 5, "192.168.50.4", 80, portmap - 3600 * INT64_C(1000000000))),
        "attack");
    LABEL(flow_of("172.16.0.5", 5, "192.168.50.1", 80, 1543674900000000000), "NTP"); /* 2018-12-01 10:35 at UTC-4 */
    ws_labels_destroy(&source);
}

/* Every family's file reads, and the names that the data sets use find their class. */
static void test_families(void **state)
{
    (void)state;
    static const struct {
        const char *family, *input, *label;
    } files[] = {{"iscxvpn2016", "vpn_skype_files1a.pcap", "file"},
                 {"iscxvpn2016", "vpn_hangouts_audio2.pcap", "voip"},
                 {"iscxvpn2016", "VPN_youtube_A.pcap", "streaming"},
                 {"iscxvpn2016", "AIMchat1.pcapng", "chat"},
                 {"iscxvpn2016", "skype_video2b.pcap", "streaming"},
                 {"iscxvpn2016", "Torrent01.pcapng", "p2p"},
                 {"iscxtor2016", "Tor/FILE-TRANSFER_gate_SFTP_filetransfer.pcap", "file"},
                 {"iscxtor2016", "BROWSING_gate_SSL_Browsing.pcap", "browsing"},
                 {"iscxtor2016", "NonTor/skypechat.pcap", "chat"},
                 /* folders above those of the data set say nothing */
                 {"iscxtor2016", "/data/tor/NonTor/chat1.pcap", "nontor chat"},
                 {"iscxtor2016", "/data/tor/Tor/chat1.pcap", "tor chat"},
                 {"ciciot2022", "/srv/brother/1-Power/Other/a.pcap", "Power-Other"},
                 {"ciciot2022", "/srv/brother/2-Idle/a.pcap", NULL},
                 {"ustc_tfc2016", "Malware/Nsis-ay.pcap", "Nsis-ay"},
                 {"ustc_tfc2016", "Benign/Weibo-3.pcap", "Weibo"},
                 {"ciciot2022", "6-Attacks/1-Flood/cam1.pcap", "Flood"},
                 {"ciciot2022", "1-Power/Cameras/amcrest.pcap", "Power-Cameras"}};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        const ws_string_list inputs = {&files[f].input, 1};
        ws_label_source *source = open_rules(files[f].family, NULL, &inputs);
        const bool detailed = files[f].label != NULL && strchr(files[f].label, ' ') != NULL;
        const char *found = label_at(source, detailed ? "detailed" : "label", flow_of("10.0.0.1", 5, "10.0.0.2", 6, 5));
        if ((found == NULL) != (files[f].label == NULL))
            fail_msg("%s: %s rule of %s matches", files[f].input, found == NULL ? "no" : "a", files[f].family);
        if (found != NULL)
            assert_string_equal(found, files[f].label);
        ws_labels_destroy(&source);
    }
    for (size_t a = 0; ws_dataset_adapters[a] != NULL; a++)
        assert_true(!ws_dataset_adapters[a]->has_label_rules || ws_label_rules_exist(ws_dataset_adapters[a]->name));
}

/* Each fault is named with its line, and all of them at once. */
static void test_wrong_files(void **state)
{
    (void)state;
    static const char text[] = "{\"levels\": [\"label\"],\n"
                               "\"rules\": [\n"
                               "{\"name\": \"a\", \"form\": \"5\", \"classes\": {\"label\": \"x\"}},\n"
                               "{\"name\": \"b\", \"from\": \"yesterday\", \"classes\": {\"label\": \"x\"}},\n"
                               "{\"name\": \"c\", \"source\": [\"10.0.0.300\"], \"classes\": {\"label\": \"x\"}},\n"
                               "{\"name\": \"d\", \"source_port\": [\"9-1\"], \"classes\": {\"label\": \"x\"}},\n"
                               "{\"name\": \"e\", \"classes\": {\"colour\": \"x\"}},\n"
                               "{\"name\": \"f\"},\n"
                               "{\"name\": \"g\", \"from\": \"7\", \"to\": \"6\", \"classes\": {\"label\": \"x\"}},\n"
                               "{\"name\": \"h\", \"protocol\": [\"carrier pigeon\"], \"classes\": {\"label\": 3}}\n"
                               "]}";
    static const char *const expected[] = {
        ":3:", "form",   "from", ":4:",     "yesterday", ":5:",           "10.0.0.300", ":6:",    "9-1",
        ":7:", "colour", ":8:",  "classes", ":9:",       "match nothing", ":10:",       "pigeon", "9 errors"};
    ok(ws_file_write(path, text, strlen(text)));
    ws_label_rules *rules = NULL;
    assert_int_equal(ws_label_rules_read(&rules, "generic", path), WS_E_CONFIG);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (strstr(ws_error_message(), expected[i]) == NULL)
            fail_msg("no \"%s\" in: %s", expected[i], ws_error_message());
    ws_label_rules_destroy(&rules);
    static const char *const worse[] = {"{\"rules\": []}",
                                        "{\"levels\": [], \"rules\": []}",
                                        "{\"levels\": [\"attempted\"], \"rules\": []}",
                                        "{\"levels\": [\"a\", \"a\"], \"rules\": []}",
                                        "{\"levels\": [\"a\"], \"rules\": {}}",
                                        "{\"levels\": [\"a\"], \"rules\": [3]}",
                                        "{\"levels\": [\"a\"], \"rules\": [}"};
    for (size_t i = 0; i < sizeof worse / sizeof *worse; i++) {
        ok(ws_file_write(path, worse[i], strlen(worse[i])));
        ws_err error = ws_label_rules_read(&rules, "generic", path);
        if (error == WS_OK)
            fail_msg("accepted: %s", worse[i]);
        assert_int_equal(error, WS_E_CONFIG);
        assert_non_null(strstr(ws_error_message(), "rules.json:1:"));
        ws_label_rules_destroy(&rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_and_folders, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_conditions, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_cicids2017, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_cicids2017_attempts, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_cicddos2019, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_families, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_wrong_files, set_up, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
