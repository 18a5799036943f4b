/* The inputs of an extraction: found and sorted once, opened and checked before anything is written, dealt out to the
 * ranks. Reads file headers only; records are read by extract_read.c, whole files for their hashes by extract_hash.c.
 */
#include "dataset/table.h"

#include <inttypes.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <stdlib.h>

/* The first rank looks, the others hear: a directory that changes meanwhile must not look different to two ranks. Behind each path
 * is the reason why it cannot be read, if any. */
static ws_err list_paths_all(extraction *x)
{
    ws_text joined = {0};
    ws_string_list found = {0}, reasons = {0};
    ws_err local = WS_OK;
    if (x->comm->rank == 0) {
        local = ws_inputs_expand_named(&x->options->inputs, x->tables != NULL, x->arena, &found,
                                       x->options->skip_unreadable ? &reasons : NULL);
        for (size_t i = 0; local == WS_OK && i < found.count; i++) {
            const char *reason = reasons.count > 0 ? reasons.items[i] : "";
            ws_text_append_bytes(&joined, found.items[i], strlen(found.items[i]) + 1);
            ws_text_append_bytes(&joined, reason, strlen(reason) + 1);
        }
        if (local == WS_OK)
            local = ws_text_check(&joined);
    }
    char *all = NULL;
    size_t bytes = 0;
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_gather_all(x->comm, joined.data, joined.length, (void **)&all, &bytes, NULL);
    ws_text_destroy(&joined);
    WS_TRY(error);

    size_t texts = 0;
    for (size_t i = 0; i < bytes; i++)
        texts += all[i] == '\0';
    const size_t count = texts / 2;
    const char **items = NULL;
    local = ws_arena_alloc(x->arena, &items, texts, sizeof *items);
    const char *at = all;
    for (size_t i = 0; local == WS_OK && i < texts; i++, at += strlen(at) + 1)
        if ((items[i / 2 + i % 2 * count] = ws_arena_strdup(x->arena, at)) == NULL)
            local = WS_ERROR(MEMORY, "out of memory for %zu input names", count);
    free(all);
    WS_AGREE(x->comm, local);
    WS_CHECK(count > 0, ARGUMENT, "no inputs were found");
    x->paths = (ws_string_list){items, count};
    x->reasons = items + count;
    return WS_OK;
}

/* What the rank that looked at a file tells the others; followed by message and hint, each with its NUL. */
typedef struct header_news {
    uint64_t bytes, first_record, form;
    int64_t first_ns;
    uint32_t index, message_bytes, hint_bytes, record_header;
    uint16_t error; /* ws_err */
    bool splittable, compressed;
} header_news;

static ws_err look_at_table(const extraction *x, const char *path, header_news *news)
{
    ws_arena *arena;
    ws_table_plan plan;
    struct stat status;
    WS_TRY(ws_arena_create(&arena, 1 << 16));
    ws_err error = ws_table_read_header(path, x->tables, arena, &plan);
    if (error == WS_OK && stat(path, &status) != 0)
        error = WS_ERROR(IO, "%s: %s", path, strerror(errno));
    if (error == WS_OK) {
        news->bytes = (uint64_t)status.st_size;
        news->first_record = plan.data_begin;
        news->form = plan.form;
        news->splittable = !plan.compressed;
    }
    ws_arena_destroy(&arena);
    return error;
}

/* Of a file of one link type that is not decoded: every record will only be counted, which is better said at once. */
static void warn_of_link_type(const ws_capture *capture)
{
    ws_packet packet;
    if (capture->link_type < 0 ||
        ws_packet_decode((const uint8_t *)"", 0, 0, capture->link_type, 0, &packet) != WS_SKIP_link_unsupported)
        return;
    const char *name = pcap_datalink_val_to_name(capture->link_type);
    ws_warn("%s: link type %d (%s) is not decoded: its records are only counted", capture->path, capture->link_type,
            name != NULL ? name : "unknown to libpcap");
}

/* Time of the first record; INT64_MAX: there is none. */
static ws_err find_first_time(ws_capture *capture, ws_stamps stamps, int64_t *out)
{
    ws_walk *walk = NULL;
    ws_record record;
    bool more = false;
    *out = INT64_MAX;
    capture->stamps = stamps;
    ws_err error = ws_walk_create(&walk, capture, 0);
    if (error == WS_OK)
        error = ws_walk_range(walk, capture->first_record, capture->bytes);
    if (error == WS_OK)
        error = ws_walk_next(walk, &record, &more);
    if (error == WS_OK && more)
        *out = record.time_ns;
    ws_walk_destroy(&walk);
    WS_TRY(error);
    return WS_OK;
}

static ws_err look_at_capture(const extraction *x, const char *path, header_news *news)
{
    ws_capture capture;
    if (x->adapter->tables_only && !ws_capture_is_other(path)) {
        ws_err error = WS_ERROR(FORMAT, "%s: no flow table, and %s has no captures", path, x->adapter->name);
        WS_HINT(
            "captures are read by --dataset generic, and by the families that `wiresweep list datasets` says so of");
        return error;
    }
    WS_TRY(ws_capture_open(&capture, path));
    news->bytes = capture.stored_bytes;
    news->first_record = capture.first_record;
    news->record_header = capture.record_header;
    news->splittable = capture.splittable;
    news->compressed = capture.stream != NULL;
    warn_of_link_type(&capture);
    ws_err error = extract_joins(x) ? find_first_time(&capture, x->stamps, &news->first_ns) : WS_OK;
    ws_capture_close(&capture);
    WS_TRY(error);
    return WS_OK;
}

static void look_at_header(const extraction *x, const char *path, uint32_t index, ws_text *news)
{
    header_news one = {.index = index};
    bool table = x->tables != NULL && x->reasons[index][0] == '\0' && ws_table_is_text(path);
    if (table && !x->adapter->tables_only && ws_capture_is_lines(path))
        table = false;
    ws_err error = x->reasons[index][0] != '\0' ? WS_ERROR(IO, "%s", x->reasons[index])
                   : table                      ? look_at_table(x, path, &one)
                                                : look_at_capture(x, path, &one);
    const char *message = error == WS_OK ? "" : ws_error_message(), *hint = error == WS_OK ? "" : ws_error_hint();
    one.message_bytes = (uint32_t)strlen(message) + 1;
    one.hint_bytes = (uint32_t)strlen(hint) + 1;
    one.error = (uint16_t)error;
    ws_text_append_bytes(news, &one, sizeof one);
    ws_text_append_bytes(news, message, one.message_bytes);
    ws_text_append_bytes(news, hint, one.hint_bytes);
    ws_error_clear();
}

/* The news of all files by index: pointers into `all`. */
static ws_err sort_news(const extraction *x, const char *all, size_t bytes, const char **by_index)
{
    for (size_t at = 0; at < bytes;) {
        header_news one;
        memcpy(&one, all + at, sizeof one);
        WS_CHECK(one.index < x->paths.count, INTERNAL, "news of input %u of %zu", one.index, x->paths.count);
        by_index[one.index] = all + at;
        at += sizeof one + one.message_bytes + one.hint_bytes;
    }
    return WS_OK;
}

static ws_err refuse(const header_news *one, const char *news)
{
    const char *message = news + sizeof *one;
    return ws_error_set((ws_err)one->error, message, message + one->message_bytes, "");
}

static ws_err skip_input(extraction *x, const char *path, const char *reason)
{
    const char *copy = ws_arena_strdup(x->arena, reason);
    WS_CHECK(copy != NULL, MEMORY, "out of memory for the list of unreadable inputs");
    x->skipped[x->skipped_count++] = (skipped_input){path, copy};
    return WS_OK;
}

const char *extract_path_tail(const char *path, int parts)
{
    const char *at = path + strlen(path);
    while (at > path && (at[-1] != '/' || --parts > 0))
        at--;
    return at;
}

typedef struct input_name {
    const char *name;
    size_t input;
    int parts; /* of the path */
} input_name;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const input_name *)a)->name, ((const input_name *)b)->name);
}

static ws_err strip_suffixes(const extraction *x, ws_string_list *out)
{
    const char **plain = NULL;
    WS_TRY(ws_arena_alloc(x->arena, &plain, x->input_count, sizeof *plain));
    for (size_t i = 0; i < x->input_count; i++) {
        char *copy;
        const size_t length = ws_input_name_length(x->inputs[i].path);
        WS_TRY(ws_arena_alloc(x->arena, &copy, length + 1, 1));
        memcpy(copy, x->inputs[i].path, length);
        plain[i] = copy;
    }
    *out = (ws_string_list){plain, x->input_count};
    return WS_OK;
}

/* The name that the next round of comparing knows the input by: one folder more, and where there is none, with its
 * compression suffix ("a.pcap" and "a.pcap.gz" side by side). */
static void lengthen_name(const extraction *x, const ws_string_list *plain_paths, input_name *name)
{
    const char *path = plain_paths->items[name->input], *longer = extract_path_tail(path, ++name->parts);
    name->name = longer != name->name ? longer : x->inputs[name->input].path;
}

/* Names as stored: base names without compression suffix, so that a store does not depend on where its inputs lay nor on
 * whether they were compressed. Where some are alike, those get one folder more, until no two are: rows are named by
 * them (row_hash). */
static ws_err name_inputs(extraction *x)
{
    const size_t count = x->input_count;
    const char **names = NULL;
    input_name *sorted = NULL;
    ws_string_list plain_paths;
    WS_TRY(strip_suffixes(x, &plain_paths));
    WS_TRY(ws_arena_alloc(x->arena, &names, count, sizeof *names));
    WS_TRY(ws_arena_alloc(x->arena, &sorted, count, sizeof *sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = (input_name){.name = ws_path_base(plain_paths.items[i]), .input = i, .parts = 1};
    for (bool alike = true; alike;) {
        alike = false;
        qsort(sorted, count, sizeof *sorted, compare_names);
        for (size_t first = 0, next = 0; first < count; first = next) {
            for (next = first + 1; next < count && compare_names(&sorted[first], &sorted[next]) == 0;)
                next++;
            alike = alike || next - first > 1;
            for (size_t k = first; k < next && next - first > 1; k++)
                lengthen_name(x, &plain_paths, &sorted[k]);
        }
    }
    for (size_t k = 0; k < count; k++)
        names[sorted[k].input] = sorted[k].name;
    x->names = (ws_string_list){names, count};
    return extract_join_names(x, &plain_paths);
}

/* Of one kind: captures, or tables with the same columns as the first one. */
static ws_err check_kind(extraction *x, const extract_input *input, const char *path, uint64_t form, bool *same)
{
    *same = form == input->form;
    if (*same)
        return WS_OK;
    ws_err error = input->form == 0 || form == 0
                       ? WS_ERROR(FORMAT, "%s and %s: one is a capture and the other a flow table", input->path, path)
                       : WS_ERROR(FORMAT, "%s and %s: tables with different columns", input->path, path);
    WS_HINT("a store has one kind of rows: extract them to stores of their own");
    if (!x->options->skip_unreadable)
        return error;
    WS_TRY(skip_input(x, path, ws_error_message()));
    ws_error_clear();
    return WS_OK;
}

/* Fills x->inputs from the news, the same on all ranks. */
static ws_err take_news(extraction *x, const char *const *by_index)
{
    const size_t count = x->paths.count;
    WS_TRY(ws_arena_alloc(x->arena, &x->inputs, count, sizeof *x->inputs));
    WS_TRY(ws_arena_alloc(x->arena, &x->skipped, count, sizeof *x->skipped));
    for (size_t i = 0; i < count; i++) {
        header_news one;
        memcpy(&one, by_index[i], sizeof one);
        if (one.error != WS_OK) {
            if (!x->options->skip_unreadable)
                return refuse(&one, by_index[i]);
            WS_TRY(skip_input(x, x->paths.items[i], by_index[i] + sizeof one));
            continue;
        }
        bool same = true;
        if (x->input_count > 0)
            WS_TRY(check_kind(x, &x->inputs[0], x->paths.items[i], one.form, &same));
        if (!same)
            continue;
        extract_input *input = &x->inputs[x->input_count];
        *input = (extract_input){.path = x->paths.items[i],
                                 .bytes = one.bytes,
                                 .first_record = one.first_record,
                                 .form = one.form,
                                 .record_header = one.record_header,
                                 .splittable = one.splittable,
                                 .compressed = one.compressed,
                                 .stamps = x->stamps,
                                 .next_offset = one.first_record,
                                 .next_position = one.compressed ? 0 : one.first_record,
                                 .first_ns = one.first_ns,
                                 .capture = {.file = -1}};
        x->input_count++;
        x->total_bytes += one.bytes;
    }
    if (x->input_count == 0) {
        ws_err error =
            WS_ERROR(FORMAT, "none of the %zu inputs can be read; the first: %s", count, x->skipped[0].reason);
        return error;
    }
    WS_TRY(extract_join_inputs(x));
    WS_TRY(name_inputs(x));
    return WS_OK;
}

static int least_loaded(const uint64_t *load, int ranks)
{
    int least = 0;
    for (int r = 1; r < ranks; r++)
        if (load[r] < load[least])
            least = r;
    return least;
}

typedef struct dealt_input {
    uint64_t bytes;
    size_t input;
} dealt_input;

static int larger_first(const void *a, const void *b)
{
    const dealt_input *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->input < y->input ? -1 : x->input > y->input;
}

/* Largest first, each to the rank that has least so far (Graham, 1969): the last ones even out. */
static void deal(dealt_input *inputs, size_t count, int ranks, uint64_t *load, int *rank_of)
{
    qsort(inputs, count, sizeof *inputs, larger_first);
    for (size_t i = 0; i < count; i++) {
        rank_of[inputs[i].input] = least_loaded(load, ranks);
        load[rank_of[inputs[i].input]] += inputs[i].bytes;
    }
}

/* Who reads the inputs that cannot be split, evenly within about every round, since all ranks wait for its end; and who
 * hashes what, which goes on all the time. */
static ws_err deal_out(extraction *x)
{
    const int ranks = x->comm->size;
    const uint64_t round = extract_round_bytes(x);
    uint64_t *load = NULL, held = 0;
    int *rank_of = NULL;
    dealt_input *inputs = NULL;
    size_t count = 0;
    WS_TRY(ws_arena_alloc(x->arena, &load, (size_t)ranks * 2, sizeof *load));
    WS_TRY(ws_arena_alloc(x->arena, &rank_of, x->input_count, sizeof *rank_of));
    WS_TRY(ws_arena_alloc(x->arena, &inputs, x->input_count, sizeof *inputs));
    for (size_t i = 0; i < x->input_count; i++) {
        rank_of[i] = -1;
        if (!x->inputs[i].splittable)
            inputs[count++] = (dealt_input){x->inputs[i].bytes, i};
        held += x->inputs[i].bytes;
        if (held < round && i + 1 < x->input_count)
            continue;
        deal(inputs, count, ranks, load, rank_of);
        count = 0;
        held = 0;
    }
    for (size_t i = 0; i < x->input_count; i++) {
        x->inputs[i].reader = rank_of[i];
        inputs[i] = (dealt_input){x->inputs[i].bytes, i};
    }
    deal(inputs, x->input_count, ranks, load + ranks, rank_of);
    for (size_t i = 0; i < x->input_count; i++)
        x->inputs[i].hasher = rank_of[i];
    return WS_OK;
}

ws_err extract_inputs_open_all(extraction *x)
{
    WS_TRY(list_paths_all(x));
    ws_text news = {0};
    for (size_t i = (size_t)x->comm->rank; i < x->paths.count; i += (size_t)x->comm->size)
        look_at_header(x, x->paths.items[i], (uint32_t)i, &news);
    char *all = NULL;
    size_t bytes = 0;
    const char **by_index = NULL;
    ws_err local = ws_text_check(&news);
    if (local == WS_OK)
        local = ws_arena_alloc(x->arena, &by_index, x->paths.count, sizeof *by_index);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_gather_all(x->comm, news.data, news.length, (void **)&all, &bytes, NULL);
    ws_text_destroy(&news);
    WS_TRY(error);
    local = sort_news(x, all, bytes, by_index);
    if (local == WS_OK)
        local = take_news(x, by_index);
    if (local == WS_OK)
        local = deal_out(x);
    free(all);
    WS_AGREE(x->comm, local);
    return WS_OK;
}

ws_err extract_input_use(extract_input *input, uint32_t index)
{
    if (input->walk != NULL)
        return WS_OK;
    if (input->capture.file < 0)
        WS_TRY(ws_capture_open(&input->capture, input->path));
    input->capture.stamps = input->stamps;
    WS_CHECK(input->capture.stored_bytes >= input->bytes, IO,
             "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes before", input->path, input->capture.stored_bytes,
             input->bytes);
    /* What was appended since the start is not part of this run. */
    WS_CHECK(!input->compressed || input->capture.stored_bytes == input->bytes, IO,
             "%s: had %" PRIu64 " bytes before and has %" PRIu64 " now", input->path, input->bytes,
             input->capture.stored_bytes);
    if (!input->compressed)
        input->capture.bytes = input->bytes;
    WS_TRY(ws_walk_create(&input->walk, &input->capture, index));
    return WS_OK;
}

void extract_input_release(extract_input *input)
{
    ws_walk_destroy(&input->walk);
    if (input->capture.file >= 0)
        ws_capture_close(&input->capture);
}
