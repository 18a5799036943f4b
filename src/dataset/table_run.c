/* table_run: the tables of an extraction to its store, by all ranks in rounds.
 *
 * A round is a byte range of the inputs one behind the other. Its plain files are cut evenly among the ranks: a rank
 * reads the records that begin in its share, starting behind the first line end, which is a guess, since a line end may
 * lie within quotes. Where the rank before it ended proves or refutes the guess; refuted shares are read again from the
 * true boundary. So the first rank's true start proves all, and the cuts change nothing. A compressed file is one
 * stream that one rank reads. Rows are written in the order of files and records, whoever read them.
 */
#include "dataset/extract_append.h"
#include "dataset/extract_checkpoint.h"
#include "dataset/table.h"

#include <stdlib.h>

/* Compressed text is several times longer than its file. */
enum { ROUND_BYTES_A_RANK = 16 << 20, COMPRESSION = 8, ROUND_BYTES_LEAST = 4096 };

/* Adjacent bytes of a round that are read in one way: plain files by all ranks, or one compressed file by one. */
typedef struct table_segment {
    uint64_t begin, end;        /* in the concatenation of the inputs */
    size_t first_input, reader; /* compressed: the file and its rank */
    bool compressed;
    /* Of this rank. */
    uint64_t from, reached; /* record starts: its first, and the first at or behind its end */
    ws_table_rows rows;
    struct table_piece *pieces; /* by input */
    size_t piece_count, piece_capacity;
} table_segment;

typedef struct table_piece {
    uint32_t input, rank;
    uint64_t records, first_row, row_count;
    ws_table_counts counts;
} table_piece;

typedef struct table_round {
    ws_table_run *run;
    uint64_t begin, end, carry; /* carry: true start of the next record of plain files */
    size_t first_input;         /* the input that holds `begin` */
    uint64_t first_base;
    table_segment *segments;
    size_t segment_count, segment_capacity;
} table_round;

static void clear_segment(table_segment *segment)
{
    segment->rows.count = segment->rows.packet_count = 0;
    segment->piece_count = 0;
}

static void segments_destroy(table_round *round)
{
    for (size_t s = 0; s < round->segment_capacity; s++) {
        ws_table_rows_destroy(&round->segments[s].rows);
        free(round->segments[s].pieces);
    }
    free(round->segments);
    round->segments = NULL;
}

static ws_err add_segment(table_round *round, table_segment segment)
{
    size_t before = round->segment_capacity;
    WS_TRY(WS_GROW(round->segments, round->segment_capacity, round->segment_count + 1));
    memset(round->segments + before, 0, (round->segment_capacity - before) * sizeof *round->segments);
    table_segment *place = &round->segments[round->segment_count++];
    segment.rows = place->rows; /* memory is kept from round to round */
    segment.pieces = place->pieces;
    segment.piece_capacity = place->piece_capacity;
    *place = segment;
    clear_segment(place);
    return WS_OK;
}

/* Cuts the round into segments. */
static ws_err plan_round(table_round *round)
{
    const extraction *x = round->run->x;
    uint64_t base = round->first_base;
    round->segment_count = 0;
    for (size_t i = round->first_input; i < x->input_count && base < round->end; base += x->inputs[i++].bytes) {
        const extract_input *input = &x->inputs[i];
        uint64_t begin = base > round->begin ? base : round->begin, end = base + input->bytes;
        end = end < round->end ? end : round->end;
        if (end <= begin)
            continue;
        table_segment *last = round->segment_count > 0 ? &round->segments[round->segment_count - 1] : NULL;
        if (input->splittable && last != NULL && !last->compressed)
            last->end = end;
        else
            WS_TRY(add_segment(round, (table_segment){.begin = begin,
                                                      .end = end,
                                                      .first_input = i,
                                                      .compressed = !input->splittable,
                                                      .reader = input->splittable ? 0 : (size_t)input->reader}));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- reading */
static ws_err skip_records(ws_table_text *text, uint64_t count)
{
    ws_table_record record;
    bool more = true;
    for (uint64_t k = 0; k < count && more; k++)
        WS_TRY(ws_table_text_next(text, &record, &more));
    return WS_OK;
}

/* Header and text of an input, once. */
static ws_err use_input(ws_table_run *run, size_t i)
{
    extraction *x = run->x;
    const char *path = x->inputs[i].path;
    if (run->plans[i].field_count == 0) {
        WS_TRY(ws_table_read_header(path, x->tables, x->arena, &run->plans[i]));
        WS_CHECK(run->plans[i].columns == run->features.columns && run->plans[i].level_count == run->level_count &&
                     run->plans[i].data_begin == x->inputs[i].first_record,
                 IO, "%s: its header was changed while it was read", path);
    }
    if (run->texts[i] == NULL) {
        WS_TRY(ws_table_text_open(&run->texts[i], path, run->plans[i].separator, WS_TABLE_COLUMNS_MAX));
        WS_TRY(ws_table_text_seek(run->texts[i], x->inputs[i].first_record,
                                  x->inputs[i].splittable ? x->inputs[i].bytes : UINT64_MAX));
        if (!x->inputs[i].splittable) /* an earlier run read some */
            WS_TRY(skip_records(run->texts[i], x->inputs[i].records));
    }
    return WS_OK;
}

static void release_input(ws_table_run *run, size_t i)
{
    ws_table_text_close(&run->texts[i]);
}

/* Reads records of an input while `more` says so: up to the one that begins at or behind `end` of the file. */
static ws_err read_records(ws_table_run *run, table_segment *segment, size_t i, uint64_t end)
{
    WS_TRY(WS_GROW(segment->pieces, segment->piece_capacity, segment->piece_count + 1));
    table_piece *piece = &segment->pieces[segment->piece_count++];
    *piece =
        (table_piece){.input = (uint32_t)i, .rank = (uint32_t)run->x->comm->rank, .first_row = segment->rows.count};
    ws_table_text *text = run->texts[i];
    ws_table_record record;
    bool more = true;
    while (ws_table_text_file_position(text) < end) {
        WS_TRY(ws_table_text_next(text, &record, &more));
        if (!more)
            break;
        WS_TRY(ws_table_add_row(&run->maker, &run->plans[i], &record, run->x->inputs[i].group, piece->records,
                                &segment->rows, &piece->counts));
        piece->records++;
    }
    piece->row_count = segment->rows.count - piece->first_row;
    return WS_OK;
}

/* This rank's share of a segment of plain files. */
static void own_share(const table_segment *segment, const ws_comm *comm, uint64_t *begin, uint64_t *end)
{
    ws_even_split(segment->end - segment->begin, comm->size, comm->rank, begin, end);
    *begin += segment->begin;
    *end += segment->begin;
}

/* Reads [from, end) of plain files, `guess`: from is no record's start but somewhere behind one. Sets from, reached. */
static ws_err read_plain(table_round *round, table_segment *segment, uint64_t from, uint64_t end, bool guess)
{
    ws_table_run *run = round->run;
    const extraction *x = run->x;
    uint64_t base = round->first_base;
    size_t i = round->first_input;
    clear_segment(segment);
    segment->from = from;
    segment->reached = from > end ? from : end;
    bool started = false;
    for (; i < x->input_count && base < end; base += x->inputs[i++].bytes) {
        const extract_input *input = &x->inputs[i];
        uint64_t next = base + input->bytes, at = from > base ? from - base : 0, stop = end - base;
        if (next <= from || input->bytes == 0)
            continue;
        bool seek_line = guess && at > input->first_record;
        at = at > input->first_record ? at : input->first_record;
        WS_TRY(use_input(run, i));
        WS_TRY(seek_line ? ws_table_text_seek_line(run->texts[i], at, input->bytes)
                         : ws_table_text_seek(run->texts[i], at, input->bytes));
        guess = false;
        if (!started)
            segment->from = base + ws_table_text_position(run->texts[i]);
        started = true;
        WS_TRY(read_records(run, segment, i, stop < input->bytes ? stop : input->bytes));
        segment->reached = base + ws_table_text_position(run->texts[i]);
        if (segment->reached >= next)
            release_input(run, i);
        from = next;
    }
    return WS_OK;
}

/* A header, or the end of a file, is no record: the place behind it, or behind the next file's header, is meant. */
static uint64_t record_start(const table_round *round, uint64_t at)
{
    const extraction *x = round->run->x;
    uint64_t base = round->first_base;
    for (size_t i = round->first_input; i < x->input_count; base += x->inputs[i++].bytes)
        if (at < base + x->inputs[i].bytes && x->inputs[i].splittable)
            return at < base + x->inputs[i].first_record ? base + x->inputs[i].first_record : at;
        else if (at < base + x->inputs[i].bytes)
            return at > base ? at : base;
    return at;
}

static ws_err read_compressed(table_round *round, table_segment *segment)
{
    ws_table_run *run = round->run;
    const extraction *x = run->x;
    size_t i = segment->first_input;
    uint64_t base = round->first_base;
    for (size_t k = round->first_input; k < i; k++)
        base += x->inputs[k].bytes;
    if (segment->reader != (size_t)x->comm->rank)
        return WS_OK;
    bool rest = segment->end == base + x->inputs[i].bytes;
    WS_TRY(use_input(run, i));
    WS_TRY(read_records(run, segment, i, rest ? UINT64_MAX : segment->end - base));
    if (rest)
        release_input(run, i);
    return WS_OK;
}

static ws_err read_segments(table_round *round)
{
    for (size_t s = 0; s < round->segment_count; s++) {
        table_segment *segment = &round->segments[s];
        uint64_t begin, end;
        if (segment->compressed) {
            WS_TRY(read_compressed(round, segment));
            continue;
        }
        own_share(segment, round->run->x->comm, &begin, &end);
        bool first = begin == segment->begin;
        if (first && round->carry > begin)
            begin = round->carry;
        WS_TRY(read_plain(round, segment, begin, end, !first));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- proof */
typedef struct share_ends {
    uint64_t from, reached;
} share_ends;

/* Reads again what began at a wrong guess. *again: on any rank. */
static ws_err prove_all(table_round *round, share_ends *own, share_ends *all, bool *again)
{
    const ws_comm *comm = round->run->x->comm;
    size_t count = round->segment_count, ranks = (size_t)comm->size;
    for (size_t s = 0; s < count; s++)
        own[s] =
            (share_ends){record_start(round, round->segments[s].from), record_start(round, round->segments[s].reached)};
    WS_TRY(ws_gather_equal_all(comm, own, count * sizeof *own, all));
    ws_err local = WS_OK;
    *again = false;
    for (size_t s = 0; s < count; s++) {
        table_segment *segment = &round->segments[s];
        for (size_t r = 1; r < ranks && !segment->compressed; r++) {
            uint64_t begin, end, true_start = all[(r - 1) * count + s].reached;
            if (all[r * count + s].from == true_start)
                continue;
            *again = true;
            round->run->x->boundary_repairs += r == (size_t)comm->rank;
            if (r != (size_t)comm->rank || local != WS_OK)
                continue;
            own_share(segment, comm, &begin, &end);
            local = read_plain(round, segment, true_start, end, false);
        }
        if (!segment->compressed)
            round->carry = all[(ranks - 1) * count + s].reached;
    }
    WS_AGREE(comm, local);
    return WS_OK;
}

static ws_err prove_boundaries_all(table_round *round)
{
    const ws_comm *comm = round->run->x->comm;
    share_ends *own = NULL, *all = NULL;
    ws_err local = WS_NEW_ARRAY(own, round->segment_count);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(all, round->segment_count * (size_t)comm->size);
    ws_err error = ws_agree_all(comm, local);
    /* Each pass proves at least one more rank. */
    for (bool again = true; again && error == WS_OK;)
        error = prove_all(round, own, all, &again);
    free(own);
    free(all);
    return error;
}

/* ---------------------------------------------------------------- numbers of records, and the store */
static ws_err gather_pieces(table_round *round, table_piece **all, size_t *count)
{
    table_piece *own = NULL;
    size_t own_count = 0, capacity = 0, bytes;
    ws_err local = WS_OK;
    for (size_t s = 0; s < round->segment_count && local == WS_OK; s++) {
        const table_segment *segment = &round->segments[s];
        local = WS_GROW(own, capacity, own_count + segment->piece_count + 1);
        if (local == WS_OK && segment->piece_count > 0)
            memcpy(own + own_count, segment->pieces, segment->piece_count * sizeof *own);
        own_count += segment->piece_count;
    }
    ws_err error = ws_agree_all(round->run->x->comm, local);
    if (error == WS_OK)
        error = ws_gather_all(round->run->x->comm, own, own_count * sizeof *own, (void **)all, &bytes, NULL);
    *count = error == WS_OK ? bytes / sizeof **all : 0;
    free(own);
    return error;
}

static void number_piece(table_round *round, const table_piece *piece, uint64_t first)
{
    for (size_t s = 0; s < round->segment_count; s++) {
        table_segment *segment = &round->segments[s];
        for (size_t p = 0; p < segment->piece_count; p++)
            for (uint64_t k = 0; segment->pieces[p].input == piece->input && k < piece->row_count; k++)
                segment->rows.flows[piece->first_row + k].first_ordinal += first;
    }
}

/* Rows get the numbers of their records in their files: those of lower ranks come first. */
static ws_err number_rows_all(table_round *round)
{
    ws_table_run *run = round->run;
    table_piece *all = NULL;
    size_t count;
    WS_TRY(gather_pieces(round, &all, &count));
    for (size_t p = 0; p < count; p++) {
        extract_input *input = &run->x->inputs[all[p].input];
        uint64_t *sum = (uint64_t *)&run->counts[all[p].input];
        for (size_t c = 0; c < sizeof(ws_table_counts) / sizeof(uint64_t); c++)
            sum[c] += ((const uint64_t *)&all[p].counts)[c];
        if (all[p].rank == (uint32_t)run->x->comm->rank && input->records > 0)
            number_piece(round, &all[p], input->records);
        input->records += all[p].records;
    }
    free(all);
    return WS_OK;
}

static ws_err write_segment_all(ws_table_run *run, const ws_table_rows *rows)
{
    int32_t *labels = NULL;
    ws_row_source *sources = NULL;
    const size_t levels = run->level_count;
    ws_err local = WS_NEW_ARRAY(labels, rows->count * levels);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(sources, rows->count);
    if (local == WS_OK)
        ws_row_sources_list(rows->flows, rows->count, rows->packets, NULL, sources);
    for (size_t i = 0; local == WS_OK && i < rows->count; i++)
        for (size_t l = 0; l < levels; l++) {
            int32_t name = rows->labels[i * levels + l];
            labels[l * rows->count + i] = name < 0 ? -1 : run->classes[run->global[name]].index;
        }
    ws_err error = ws_agree_all(run->x->comm, local);
    const ws_store_block block = {.rows = sources,
                                  .count = rows->count,
                                  .labels = labels,
                                  .attempted = rows->attempted,
                                  .features = rows->values};
    if (error == WS_OK)
        error = ws_store_writer_append_all(run->x->writer, &block);
    free(labels);
    free(sources);
    return error;
}

static ws_err take_names(table_round *round, bool *used)
{
    const ws_table_run *run = round->run;
    for (size_t s = 0; s < round->segment_count; s++) {
        const ws_table_rows *rows = &round->segments[s].rows;
        for (size_t k = 0; k < rows->count * run->level_count; k++)
            if (rows->labels[k] >= 0)
                used[rows->labels[k]] = true;
    }
    return WS_OK;
}

static ws_err round_all(table_round *round)
{
    ws_table_run *run = round->run;
    const ws_comm *comm = run->x->comm;
    WS_AGREE(comm, plan_round(round));
    ws_err local = read_segments(round);
    WS_AGREE(comm, local == WS_OK ? ws_store_writer_push(run->x->writer) : local);
    WS_TRY(prove_boundaries_all(round));
    WS_TRY(number_rows_all(round));
    bool *used = NULL;
    local = WS_NEW_ARRAY(used, ws_table_names_count(run->maker.names));
    if (local == WS_OK)
        local = take_names(round, used);
    ws_err error = ws_agree_all(comm, local);
    if (error == WS_OK)
        error = ws_table_agree_names_all(run, used);
    free(used);
    WS_TRY(error);
    for (size_t s = 0; s < round->segment_count; s++)
        WS_TRY(write_segment_all(run, &round->segments[s].rows));
    return WS_OK;
}

static ws_err rounds_all(ws_table_run *run, table_round *round, ws_progress *progress)
{
    extraction *x = run->x;
    uint64_t step = (uint64_t)x->options->round_bytes;
    if (step == 0)
        step = (uint64_t)ROUND_BYTES_A_RANK * (uint64_t)x->comm->size;
    bool compressed = false;
    for (size_t i = 0; i < x->input_count; i++)
        compressed = compressed || !x->inputs[i].splittable;
    if (x->options->round_bytes == 0 && compressed)
        step /= COMPRESSION;
    step = step < ROUND_BYTES_LEAST ? ROUND_BYTES_LEAST : step;
    *round = (table_round){.run = run,
                           .begin = x->round_begin,
                           .carry = run->carry,
                           .first_input = x->first_input,
                           .first_base = x->first_base};
    while (round->begin < x->total_bytes) {
        WS_TRY(extract_checkpoint_pause_all(x));
        round->end = step < x->total_bytes - round->begin ? round->begin + step : x->total_bytes;
        WS_TRY(round_all(round));
        while (round->first_input < x->input_count &&
               round->first_base + x->inputs[round->first_input].bytes <= round->end) {
            release_input(run, round->first_input);
            round->first_base += x->inputs[round->first_input++].bytes;
        }
        round->begin = x->round_begin = round->end;
        x->first_input = round->first_input;
        x->first_base = round->first_base;
        run->carry = round->carry;
        ws_progress_update(progress, (double)round->end / 1e6, NULL);
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- the run */
/* Classes of a store that is added to come first, with the numbers that its rows have. */
static ws_err follow_store(ws_table_run *run)
{
    extraction *x = run->x;
    ws_text options = {0};
    int32_t number;
    ws_err error = ws_table_options_json(x, &options);
    if (error == WS_OK)
        error = extract_append_check(x, ws_text_string(&options), run->levels, run->level_count);
    ws_text_destroy(&options);
    WS_TRY(error);
    WS_TRY(extract_append_check_columns(x, &run->features));
    extract_append_release(x);
    for (size_t l = 0; x->append != NULL && l < run->level_count; l++) {
        const ws_label_level *level = ws_store_level(&x->append->store, run->levels[l].name);
        for (size_t c = 0; c < level->classes; c++)
            WS_TRY(ws_table_add_class(run, l, level->names[c], &number));
    }
    return WS_OK;
}

static ws_err prepare(ws_table_run *run)
{
    extraction *x = run->x;
    const size_t count = x->input_count;
    WS_TRY(ws_arena_alloc(x->arena, &run->plans, count, sizeof *run->plans));
    WS_TRY(ws_arena_alloc(x->arena, &run->texts, count, sizeof *run->texts));
    WS_TRY(ws_arena_alloc(x->arena, &run->counts, count, sizeof *run->counts));
    WS_TRY(ws_table_names_create(&run->maker.names));
    WS_TRY(WS_NEW_ARRAY(run->maker.numbers, 3 * WS_TABLE_LIST_MAX));
    run->maker.packets = (size_t)x->options->packets;
    run->maker.warns = x->comm->rank == 0;
    run->maker.skip_not_finite = x->options->skip_not_finite;
    ws_table_plan *plan = &run->plans[0];
    WS_TRY(ws_table_read_header(x->inputs[0].path, x->tables, x->arena, plan));
    if (plan->unknown[0] != '\0')
        ws_info("%s: columns left out: %s", x->inputs[0].path, plan->unknown);
    run->features = (ws_feature_table){x->tables->feature_table, plan->columns, plan->names, plan->units};
    run->level_count = plan->level_count;
    WS_TRY(ws_arena_alloc(x->arena, &run->levels, plan->level_count, sizeof *run->levels));
    for (size_t l = 0; l < plan->level_count; l++)
        run->levels[l].name = (char *)(uintptr_t)plan->levels[l];
    return follow_store(run);
}

static ws_err run_all(ws_table_run *run, ws_extract_report *report)
{
    extraction *x = run->x;
    WS_CHECK(x->options->filter == NULL, ARGUMENT, "--filter chooses packets; %s is a flow table", x->inputs[0].path);
    WS_CHECK(x->options->labels == NULL, ARGUMENT,
             "--labels speaks of captures; %s is a flow table with its own labels", x->inputs[0].path);
    WS_AGREE(x->comm, prepare(run));
    WS_TRY(extract_folder_open_all(x));
    const ws_store_writer_options options = {.path = x->options->output,
                                             .dataset = x->options->dataset,
                                             .inputs = &x->group_names,
                                             .endpoints = x->options->endpoints,
                                             .key_file = x->options->key_file,
                                             .levels = run->levels,
                                             .level_count = run->level_count,
                                             .tells_attempts = run->plans[0].attempted_level >= 0,
                                             .features = &run->features,
                                             .folder = x->checkpoint->folder,
                                             .segment = x->checkpoint->last,
                                             .append_to = x->append != NULL ? x->options->output : NULL,
                                             .keep_hosts = extract_keeps_hosts(x)};
    WS_TRY(ws_store_writer_create_all(&x->writer, x->comm, &options));
    WS_TRY(extract_checkpoint_restore_all(x));
    ws_progress *progress = NULL;
    WS_TRY(ws_progress_start(&progress, x->comm, "extract", "MB", (double)x->total_bytes / 1e6));
    table_round round = {.run = run};
    ws_err error = rounds_all(run, &round, progress);
    segments_destroy(&round);
    ws_progress_finish(&progress);
    WS_TRY(error);
    return ws_table_finish_all(run, report);
}

ws_err ws_table_extract_all(extraction *x, ws_extract_report *report)
{
    ws_table_run run = {.x = x};
    x->table_run = &run;
    ws_err error = run_all(&run, report);
    for (size_t i = 0; run.texts != NULL && i < x->input_count; i++)
        release_input(&run, i);
    ws_table_names_destroy(&run.maker.names);
    ws_text_destroy(&run.maker.scratch);
    free(run.maker.numbers);
    free(run.global);
    free(run.classes);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}
