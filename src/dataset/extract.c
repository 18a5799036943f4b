/* Captures to a store, by all ranks together: the run from first to last. See extract.h for who does what.
 *
 * Memory is bounded by one round of input, the live flows, and the rows that wait to be written; with a bound on memory, the
 * latter two by that: what does not fit goes through files.
 */
#include "dataset/extract_append.h"
#include "dataset/extract_checkpoint.h"
#include "dataset/label_rules.h"
#include "dataset/table.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Alone, a rank exchanges nothing, and its packets had better stay in the cache between reading and the flow table. With others, a
 * round costs some 20 calls that all make together: on one machine little, so that packets stay near; on several more. */
enum {
    ROUND_BYTES_A_RANK = 8 << 20,
    ROUND_BYTES_ONE_MACHINE = 4 << 20, /* of a rank; up to ROUND_MOST times as much, for so many records */
    ROUND_MOST = 4,
    ROUND_RECORDS = 40000,
    ROUND_BYTES_ALONE = 256 << 10,
    ROUND_BYTES_LEAST = 4096,
    ROUND_CONTENT = 8, /* times the round: how much a compressed input may hold in it */
};

ws_extract_phase extract_enter(extraction *x, ws_extract_phase phase)
{
    const double now = ws_clock_seconds();
    const ws_extract_phase before = x->phase;
    x->phase_seconds[before] += now - x->phase_start;
    x->phase_start = now;
    x->phase = phase;
    return before;
}

/* A setting of 0 leaves what is there. One of less than a nanosecond would be 0 as well, and say nothing. */
static ws_err nanoseconds(const char *name, double seconds, int64_t *out)
{
    const int64_t rounded = (int64_t)(seconds * 1e9 + 0.5);
    WS_CHECK(seconds <= 0 || rounded > 0, CONFIG, "%s: %g seconds are less than a nanosecond", name, seconds);
    if (seconds > 0)
        *out = rounded;
    return WS_OK;
}

static ws_err choose_bytes(extraction *x)
{
    ws_byte_view *view = &x->rules.bytes;
    if (x->options->bytes == NULL)
        return WS_OK;
    view->stripped = x->options->bytes_stripped;
    WS_TRY(ws_byte_view_read(x->options->bytes, view));
    if (view->packets > x->rules.max_packets) {
        ws_err error = WS_ERROR(ARGUMENT, "--bytes %s: bytes of %u packets, but %u packets of a flow are stored",
                                x->options->bytes, view->packets, x->rules.max_packets);
        WS_HINT("give --packets %u or more", view->packets);
        return error;
    }
    x->slot_size = ws_byte_slot_size(view);
    if (view->stripped == WS_STRIP_NOTHING && strcmp(x->options->endpoints, "plain") != 0 && x->comm->rank == 0)
        ws_warn("bytes_stripped=nothing: the store holds addresses in its bytes, whatever --endpoints says");
    return WS_OK;
}

/* Samples are no flows: what cuts flows, or tells their ends, is not for them. */
static ws_err choose_row(extraction *x)
{
    const ws_extract_options *options = x->options;
    if (options->rows == WS_ROW_FLOW || (options->rows == WS_ROW_AUTO && !x->adapter->samples))
        return WS_OK;
    WS_CHECK(x->adapter->samples, CONFIG, "rows sample: packets of data set %s name no samples", x->adapter->name);
    if (x->rules.window_ns > 0 || x->rules.direction_by_private || options->idle_timeout > 0 ||
        options->active_timeout > 0) {
        ws_err error = WS_ERROR(CONFIG, "window, time-outs and direction private are for rows that are flows");
        WS_HINT("a row of %s is a sample; --set rows=flow makes its flows rows", x->adapter->name);
        return error;
    }
    x->rules.keys_whole = true;
    return WS_OK;
}

static ws_err choose_rules(extraction *x)
{
    const ws_extract_options *options = x->options;
    x->adapter = ws_dataset_find(options->dataset);
    if (x->adapter == NULL) {
        const char *names[64];
        size_t count = 0;
        while (ws_dataset_adapters[count] != NULL && count < 64) {
            names[count] = ws_dataset_adapters[count]->name;
            count++;
        }
        const char *closest = ws_closest_name(options->dataset, names, count);
        ws_err error = WS_ERROR(ARGUMENT, "--dataset %s: no such data set", options->dataset);
        if (closest != NULL)
            WS_HINT("did you mean %s? wiresweep list datasets shows all", closest);
        else
            WS_HINT("wiresweep list datasets shows all; `generic` takes any captures");
        return error;
    }
    x->rules = x->adapter->rules != NULL ? *x->adapter->rules : ws_flow_rules_default;
    if (options->label_rules != NULL || x->adapter->has_label_rules) {
        WS_TRY(ws_label_rules_read(&x->label_rules, x->adapter->name, options->label_rules));
        ws_label_rules_flow(x->label_rules, &x->rules);
    }
    WS_TRY(nanoseconds("idle_timeout", options->idle_timeout, &x->rules.idle_timeout_ns));
    WS_TRY(nanoseconds("active_timeout", options->active_timeout, &x->rules.active_timeout_ns));
    WS_TRY(nanoseconds("window", options->window, &x->rules.window_ns));
    x->rules.windows_alone = options->windows_alone;
    x->rules.direction_by_private =
        x->rules.direction_by_private || options->direction_by_private || options->window_captures;
    WS_CHECK(!options->window_captures || x->rules.window_ns > 0, CONFIG,
             "window_rule capture makes a row of each window; the setting window says how long one is");
    WS_TRY(ws_ip_protocols_read(&options->protocols, &x->protocols));
    if (x->adapter->protocol_untold)
        x->protocols.kept[WS_PROTOCOL_UNTOLD] = true;
    x->rules.max_packets = (uint32_t)options->packets;
    x->rules.by_time = x->adapter->by_time;
    x->stamps = options->stamps > 0 ? (ws_stamps)(options->stamps - 1) : x->adapter->stamps;
    WS_TRY(choose_bytes(x));
    x->rules.direction_by_syn = x->rules.direction_by_syn || options->direction_by_syn;
    WS_TRY(choose_row(x));
    return WS_OK;
}

/* In bytewise order and once each, however they were asked for. */
static ws_err choose_features(extraction *x)
{
    const ws_string_list *wanted = &x->options->features;
    WS_TRY(ws_arena_alloc(x->arena, &x->features, wanted->count + 1, sizeof *x->features));
    for (size_t i = 0; i < wanted->count; i++) {
        const ws_flow_features *table = ws_flow_features_find(wanted->items[i]);
        if (table == NULL) {
            ws_err error = WS_ERROR(CONFIG, "--features: there is no table \"%s\"", wanted->items[i]);
            WS_HINT("`wiresweep list features` shows the tables and their columns");
            return error;
        }
        size_t at = x->feature_count;
        while (at > 0 && strcmp(x->features[at - 1]->table.name, table->table.name) > 0)
            at--;
        if (table == &ws_features_flow20 || (at > 0 && x->features[at - 1] == table))
            continue;
        memmove(x->features + at + 1, x->features + at, (x->feature_count - at) * sizeof *x->features);
        x->features[at] = table;
        x->feature_count++;
    }
    return WS_OK;
}

/* Columns of packets that are not stored are zeros, as if the flow had ended. */
static void warn_of_packets(const extraction *x)
{
    for (size_t t = 0; t < x->feature_count && x->comm->rank == 0; t++)
        if (x->features[t]->packets > x->rules.max_packets)
            ws_warn("table %s needs %zu stored packets of a flow at least, and has zeros for those not stored: "
                    "--packets %zu",
                    x->features[t]->table.name, x->features[t]->packets, x->features[t]->packets);
}

/* A label file that is named comes before rules. */
static ws_err open_labels(extraction *x)
{
    if (x->label_rules != NULL && x->options->labels == NULL)
        return ws_labels_open_rules(&x->labels, &x->label_rules, &x->plain_paths);
    const ws_label_reading reading = {x->stamps, x->options->inner_packets, &x->protocols, x->rules.keys_whole,
                                      x->filter};
    WS_TRY(ws_labels_open_reading(&x->labels, x->adapter, x->options->labels,
                                  x->adapter->labels_inside ? &x->first_paths : &x->plain_paths, &reading));
    x->samples = ws_labels_samples(x->labels);
    return WS_OK;
}

enum { FIXED_BYTES = 96 << 20 }; /* the program, its libraries, buffers of a round; estimated */

/* Shares out what a process may take. */
static void share_memory(extraction *x, ws_store_writer_options *options)
{
    enum { PACKETS_LEAST = 1 << 15 }; /* rounds that end early are read again in part */
    const uint64_t memory = (uint64_t)x->options->memory;
    x->packet_limit = UINT64_MAX;
    if (memory == 0)
        return;
    const uint64_t rest = memory > 2 * (uint64_t)FIXED_BYTES ? memory - FIXED_BYTES : memory / 2;
    x->table_bytes = rest / 2;
    x->rows_bytes = rest / 8;
    options->window_bytes = rest / 16;
    options->id_bytes = rest / 16;
    x->packet_limit = rest / 4 / (2 * (sizeof(ws_packet) + x->slot_size)); /* of two rounds, see extract_hand_over */
    x->packet_limit = x->packet_limit > PACKETS_LEAST ? x->packet_limit : PACKETS_LEAST;
}

/* Those this rank is bound to, or its part of the machine; none for the threads that decompress where memory is short, since they
 * are ahead. */
static ws_err share_cores_all(extraction *x)
{
    enum { MEMORY_SHORT = 1 << 30 };
    int rank, ranks;
    cpu_set_t set;
    WS_TRY(ws_local_rank_all(x->comm, &rank, &ranks));
    const int all = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    if (usable * ranks > all)
        usable /= ranks;
    const bool is_short = x->options->memory > 0 && x->options->memory < MEMORY_SHORT;
    x->one_machine = ranks == x->comm->size;
    x->cores = usable < 1 ? 1 : usable;
    ws_stream_use_cores(is_short ? 1 : x->cores);
    return WS_OK;
}

static ws_err check_join(const extraction *x)
{
    WS_CHECK(x->tables == NULL || !extract_joins(x), ARGUMENT,
             "--join is for captures, whose flows may span files; the inputs are flow tables");
    WS_CHECK(!x->adapter->labels_inside || !extract_joins(x), ARGUMENT,
             "--join: the files of data set %s have labels of their own; they are inputs of their own",
             x->adapter->name);
    return WS_OK;
}

static ws_err prepare_all(extraction *x)
{
    WS_TRY(share_cores_all(x));
    WS_AGREE(x->comm, choose_rules(x));
    WS_AGREE(x->comm, x->comm->rank == 0 ? ws_output_check(x->options->output, WS_OUTPUT_STORE) : WS_OK);
    ws_err local = ws_arena_create(&x->arena, 1 << 16);
    if (local == WS_OK)
        local = choose_features(x);
    if (local == WS_OK && x->options->filter != NULL)
        local = ws_packet_filter_create(&x->filter, x->options->filter);
    if (local == WS_OK)
        local = ws_flow_table_create(&x->table, &x->rules);
    if (local == WS_OK && x->adapter->table != NULL)
        local = ws_table_configure(x->adapter->table, x->options->config, x->arena, &x->tables);
    if (local == WS_OK && x->options->reservoir > 0)
        local = extract_reservoir_create(&x->reservoir, x->options);
    if (local == WS_OK)
        local = extract_append_open(x);
    WS_AGREE(x->comm, local);
    WS_TRY(extract_inputs_open_all(x));
    if (x->inputs[0].form == 0)
        x->tables = NULL;
    WS_AGREE(x->comm, extract_hasher_start(&x->hasher, x, x->cores > 1 || x->tables != NULL));
    WS_AGREE(x->comm, check_join(x));
    return WS_OK;
}

bool extract_keeps_hosts(const extraction *x)
{
    const ws_extract_options *o = x->options;
    return o->append || o->key_file != NULL || (o->endpoints != NULL && strcmp(o->endpoints, "plain") == 0);
}

static ws_err check_append(extraction *x)
{
    ws_text options = {0};
    size_t count;
    const ws_label_level *levels = ws_labels_levels(x->labels, &count);
    ws_err error = extract_options_json(x, &options);
    if (error == WS_OK)
        error = extract_append_check(x, ws_text_string(&options), levels, count);
    ws_text_destroy(&options);
    WS_TRY(error);
    extract_append_release(x);
    return extract_append_classes(x, levels, count);
}

static ws_err prepare_captures_all(extraction *x)
{
    const ws_feature_table **tables = NULL;
    WS_AGREE(x->comm, open_labels(x));
    WS_AGREE(x->comm, check_append(x));
    warn_of_packets(x);
    WS_AGREE(x->comm, ws_arena_alloc(x->arena, &tables, x->feature_count, sizeof *tables));
    WS_TRY(extract_deal_open_all(x));
    WS_TRY(extract_rows_open_all(x));
    WS_TRY(extract_folder_open_all(x));
    ws_store_writer_options options = {.path = x->options->output,
                                       .dataset = x->options->dataset,
                                       .inputs = &x->group_names,
                                       .endpoints = x->options->endpoints,
                                       .key_file = x->options->key_file,
                                       .folder = x->checkpoint->folder,
                                       .segment = x->checkpoint->last,
                                       .append_to = x->append != NULL ? x->options->output : NULL,
                                       .keep_hosts = extract_keeps_hosts(x)};
    options.bytes = x->slot_size > 0 ? &x->rules.bytes : NULL;
    for (size_t t = 0; t < x->feature_count; t++)
        tables[t] = &x->features[t]->table;
    options.more_features = tables;
    options.more_count = x->feature_count;
    share_memory(x, &options);
    options.levels = ws_labels_levels(x->labels, &options.level_count);
    options.tells_attempts = ws_labels_tell_attempts(x->labels);
    WS_TRY(ws_store_writer_create_all(&x->writer, x->comm, &options));
    WS_TRY(extract_checkpoint_restore_all(x));
    return WS_OK;
}

uint64_t extract_round_bytes(const extraction *x)
{
    uint64_t bytes = (uint64_t)x->options->round_bytes;
    if (bytes == 0 && x->comm->size == 1)
        bytes = ROUND_BYTES_ALONE;
    if (bytes == 0)
        bytes = (x->one_machine ? ROUND_BYTES_ONE_MACHINE : ROUND_BYTES_A_RANK) * (uint64_t)x->comm->size;
    return bytes > ROUND_BYTES_LEAST ? bytes : ROUND_BYTES_LEAST;
}

/* Where records are large, a round of the same bytes holds few, and ranks meet too often for what they have to exchange. A round
 * holds as many whole blocks of the input's hash for each rank: one that two rounds had parts of would be read again at the end. (Of an
 * input behind others some are: it does not begin where a block does.) */
static uint64_t next_round_bytes(const extraction *x)
{
    const uint64_t least = extract_round_bytes(x), ranks = (uint64_t)x->comm->size;
    if (x->options->round_bytes != 0 || !x->one_machine || ranks == 1 || x->records_read == 0)
        return least;
    const uint64_t bytes = x->bytes_read / x->records_read * ROUND_RECORDS * ranks, most = least * ROUND_MOST;
    const uint64_t blocks = ranks * WS_INPUT_HASH_BLOCK, whole = (bytes + blocks - 1) / blocks * blocks;
    return whole < least ? least : whole > most ? most : whole;
}

static ws_err rounds_all(extraction *x, ws_progress *progress)
{
    x->content_limit = extract_round_bytes(x) * ROUND_CONTENT;
    while (x->round_begin < x->total_bytes) {
        WS_TRY(extract_checkpoint_pause_all(x));
        const uint64_t step = next_round_bytes(x);
        x->round_end = step < x->total_bytes - x->round_begin ? x->round_begin + step : x->total_bytes;
        extract_enter(x, WS_EXTRACT_PHASE_read);
        WS_TRY(extract_round_read_all(x));
        extract_enter(x, WS_EXTRACT_PHASE_table);
        WS_TRY(extract_round_route_all(x));
        while (x->first_input < x->input_count && x->first_base + x->inputs[x->first_input].bytes <= x->round_end) {
            extract_input_release(&x->inputs[x->first_input]);
            x->first_base += x->inputs[x->first_input++].bytes;
        }
        x->bytes_read += x->round_end - x->round_begin;
        x->round_begin = x->round_end;
        ws_progress_update(progress, (double)x->round_end / 1e6, NULL);
    }
    WS_TRY(extract_route_finish_all(x));
    WS_TRY(extract_checkpoint_pause_all(x));
    if (x->reservoir != NULL)
        WS_TRY(extract_reservoir_drain_all(x));
    WS_TRY(extract_rows_settle_all(x, WS_OK, true));
    return WS_OK;
}

static ws_err run_all(extraction *x, ws_extract_report *report)
{
    WS_TRY(prepare_all(x));
    if (x->tables != NULL) {
        WS_CHECK(x->options->reservoir == 0 && x->options->window == 0, CONFIG,
                 "the settings reservoir and window are for captures; the inputs are flow tables");
        WS_CHECK(x->options->bytes == NULL && x->options->protocols.count == 0 && x->feature_count == 0, ARGUMENT,
                 "--bytes, --protocols and --features are for captures; the inputs are flow tables");
        return ws_table_extract_all(x, report);
    }
    WS_TRY(prepare_captures_all(x));
    ws_progress *progress = NULL;
    WS_TRY(ws_progress_start(&progress, x->comm, "extract", "MB", (double)x->total_bytes / 1e6));
    ws_err error = rounds_all(x, progress);
    ws_progress_finish(&progress);
    WS_TRY(error);
    extract_enter(x, WS_EXTRACT_PHASE_finish);
    WS_TRY(extract_finish_all(x, report));
    extract_enter(x, WS_EXTRACT_PHASE_finish);
    memcpy(report->phase_seconds, x->phase_seconds, sizeof report->phase_seconds);
    report->exchanged_bytes = x->exchanged_bytes;
    report->spilled_bytes = x->spilled_bytes;
    WS_TRY(ws_sum_u64_all(x->comm, &report->spilled_bytes, 1));
    int64_t peak = (int64_t)ws_peak_memory_bytes();
    WS_TRY(ws_max_i64_all(x->comm, &peak, 1));
    report->peak_memory_bytes = (uint64_t)peak;
    report->peak_live_flows = ws_flow_table_counters(x->table)->peak_live;
    return WS_OK;
}

static void extraction_destroy(extraction *x, ws_err outcome)
{
    extract_hasher_destroy(&x->hasher); /* first: it reads the inputs */
    for (size_t i = 0; i < x->input_count; i++) {
        extract_input_release(&x->inputs[i]);
        free(x->inputs[i].blocks);
    }
    free(x->round_blocks);
    free(x->met);
    ws_store_writer_destroy(&x->writer);
    extract_folder_close(x, outcome);
    extract_append_close(x);
    ws_labels_destroy(&x->labels);
    ws_label_rules_destroy(&x->label_rules);
    ws_flow_table_destroy(&x->table);
    ws_packet_filter_destroy(&x->filter);
    extract_rows_destroy(&x->rows);
    extract_sorter_destroy(&x->sorter);
    extract_reservoir_destroy(&x->reservoir);
    extract_file_close(&x->overflow);
    extract_spill_destroy(&x->spill);
    free(x->pieces);
    free(x->points);
    free(x->packets);
    free(x->slots);
    packet_buffer_destroy(&x->ordered);
    extract_hand_over_destroy(&x->hand_over);
    free(x->round_damage);
    free(x->damage);
    ws_arena_destroy(&x->arena);
}

ws_err ws_extract_all(const ws_comm *comm, const ws_extract_options *options, ws_extract_report *report)
{
    memset(report, 0, sizeof *report);
    const double start = ws_clock_seconds();
    extraction x = {.comm = comm, .options = options, .phase_start = start};
    ws_err error = run_all(&x, report);
    if (error == WS_OK && x.skipped_count > 0) {
        error = WS_ERROR(PARTIAL, "%zu of %zu inputs could not be read and were left out; the first: %s",
                         x.skipped_count, x.skipped_count + x.input_count, x.skipped[0].reason);
        WS_HINT("wiresweep inspect --json %s lists them under counters.inputs_skipped", options->output);
    }
    extraction_destroy(&x, error);
    report->seconds = ws_clock_seconds() - start;
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}
