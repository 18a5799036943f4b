/* ndpi: captures of nDPI's test suite, labelled by the expected results that nDPI keeps beside them (--labels DIR;
 * without it the folder `result` beside the folder of each capture). NAME.pcap.out holds one line a flow, as ndpiReader
 * prints it:
 *
 *     <tab>1<tab>TCP 192.0.2.1:1234 <-> [2001:db8::1]:443 [VLAN: 7][proto: 91.126/TLS.Google]...[cat: Web/5]...
 *
 * Levels: `category` (the name in cat) and `application` (the name in proto). nDPI's words for having no answer,
 * Unknown and Unspecified, are no classes: such flows are matched and stay without label. Flows of other protocols than
 * TCP and UDP are read as well, with the ports they show. Format as of nDPI 4.2 to 4.12.
 */
#include "dataset/labels.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const levels[] = {"category", "application"};
enum { CATEGORY, APPLICATION, LEVELS };

/* An endpoint "192.0.2.1:80" or "[2001:db8::1]:80", cut in place; *port 0 where there is none. False where it is
 * neither. */
static bool split_endpoint(char *text, char **address, uint16_t *port)
{
    char *colon = NULL;
    *address = text;
    if (text[0] == '[') {
        char *close = strchr(text, ']');
        if (close == NULL)
            return false;
        *address = text + 1;
        *close = '\0';
        colon = close[1] == ':' ? close + 1 : NULL;
        if (colon == NULL && close[1] != '\0')
            return false;
    } else {
        colon = strchr(text, ':');
    }
    *port = 0;
    if (colon == NULL)
        return true;
    *colon = '\0';
    int64_t number;
    if (!ws_parse_int64(colon + 1, &number) || number < 0 || number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* What stands behind the '/' in "[NAME: 91.126/TLS.Google]", in out; "" where the line has no such field or no answer.
 */
static void read_field(const char *line, const char *field, char *out, size_t capacity)
{
    out[0] = '\0';
    const char *at = strstr(line, field);
    if (at == NULL)
        return;
    at += strlen(field);
    size_t length = strcspn(at, "]");
    const char *slash = memchr(at, '/', length);
    if (slash == NULL)
        return;
    /* proto is numbers/name, cat is name/number */
    bool name_first = strcmp(field, "[cat: ") == 0;
    const char *begin = name_first ? at : slash + 1;
    size_t count = (size_t)(name_first ? slash - at : at + length - begin);
    if (count >= capacity)
        count = capacity - 1;
    memcpy(out, begin, count);
    out[count] = '\0';
    if (strcmp(out, "Unknown") == 0 || strcmp(out, "Unspecified") == 0)
        out[0] = '\0';
}

/* "<tab>NUMBER<tab>WORD ": a flow line. Summary tables of the same file begin alike but have a blank behind the number.
 */
static bool is_flow_line(const char *line)
{
    if (line[0] != '\t')
        return false;
    size_t digits = strspn(line + 1, "0123456789");
    return digits > 0 && line[1 + digits] == '\t' && line[2 + digits] > ' ' && strchr(line, '[') != NULL &&
           strstr(line, "[proto: ") != NULL;
}

/* NULL, or why the line cannot be read; *skip where it is of a protocol that never makes flows. */
static const char *read_flow(char *line, ws_label_row *row, bool *skip, char category[64], char application[64])
{
    memset(row, 0, sizeof *row);
    read_field(line, "[cat: ", category, 64);
    read_field(line, "[proto: ", application, 64);
    char *save = NULL;
    strtok_r(line, "\t", &save);
    char *protocol = strtok_r(NULL, " ", &save), *source = strtok_r(NULL, " ", &save),
         *arrow = strtok_r(NULL, " ", &save), *destination = strtok_r(NULL, " ", &save);
    if (destination == NULL || (strcmp(arrow, "<->") != 0 && strcmp(arrow, "->") != 0))
        return "not PROTOCOL ENDPOINT <-> ENDPOINT";
    uint8_t number = ws_label_protocol(protocol);
    *skip = number == 0;
    if (*skip)
        return NULL;
    char *source_address, *destination_address;
    uint16_t source_port, destination_port;
    if (!split_endpoint(source, &source_address, &source_port) ||
        !split_endpoint(destination, &destination_address, &destination_port) ||
        !ws_label_key(&row->key, number, source_address, source_port, destination_address, destination_port))
        return "an endpoint cannot be read";
    return NULL;
}

static ws_err read_file(ws_label_source *source, const char *path, uint32_t scope)
{
    char *text;
    size_t bytes;
    WS_TRY(ws_file_read(path, &text, &bytes));
    ws_err error = WS_OK;
    uint64_t number = 0;
    /* ndpiReader prints strings of packets as they are, so a line may hold any byte, NUL too. */
    for (char *line = text, *end = text + bytes; line < end && error == WS_OK;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        char *next = stop == NULL ? end : stop + 1;
        if (stop != NULL)
            *stop = '\0';
        number++;
        if (is_flow_line(line)) {
            ws_label_row row;
            char category[64], application[64];
            bool skip = false;
            const char *why = read_flow(line, &row, &skip, category, application);
            const char *const classes[LEVELS] = {category, application};
            if (why != NULL)
                ws_label_source_malformed(source, path, number, why);
            else if (!skip)
                error = ws_label_source_add(source, scope, &row, classes);
        }
        line = next;
    }
    free(text);
    WS_TRY(error);
    return WS_OK;
}

/* The result file of an input, malloc'ed. */
static char *result_path(const char *labels, const char *input)
{
    char *folder = ws_path_directory(input);
    char *name = ws_format("%s.out", ws_path_base(input));
    char *results = labels != NULL   ? ws_format("%s", labels)
                    : folder != NULL ? ws_format("%s/../result", folder)
                                     : NULL;
    char *path = results != NULL && name != NULL ? ws_path_join(results, name) : NULL;
    free(folder);
    free(name);
    free(results);
    return path;
}

static ws_err open_labels(ws_label_source *source, const char *labels, const ws_string_list *inputs)
{
    WS_CHECK(labels == NULL || ws_directory_exists(labels), IO, "%s is no folder of expected results (NAME.pcap.out)",
             labels);
    WS_TRY(ws_label_source_levels(source, levels, LEVELS));
    size_t found = 0;
    for (size_t i = 0; i < inputs->count; i++) {
        char *path = result_path(labels, inputs->items[i]);
        WS_CHECK(path != NULL, MEMORY, "no memory for the results of %s", inputs->items[i]);
        uint32_t scope;
        bool again = ws_label_source_find_scope(source, path, &scope);
        ws_err error = WS_OK;
        if (ws_file_exists(path)) {
            found++;
            error = ws_label_source_set_scope(source, i, path, &scope);
            if (error == WS_OK && !again)
                error = read_file(source, path, scope);
        }
        free(path);
        WS_TRY(error);
    }
    if (found == 0 && inputs->count > 0) {
        ws_err error = WS_ERROR(IO, "no input has expected results NAME.out in %s",
                                labels != NULL ? labels : "the folder ../result beside its own");
        WS_HINT("name the folder that holds NAME.pcap.out with --labels DIR, or use --dataset generic for captures "
                "without labels");
        return error;
    }
    return WS_OK;
}

const ws_dataset_adapter ws_dataset_ndpi = {
    .name = "ndpi",
    .help = "captures with nDPI's expected results (--labels DIR of NAME.pcap.out; default: ../result of each capture)",
    .open_labels = open_labels};
