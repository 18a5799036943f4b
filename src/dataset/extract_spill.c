/* More live flows than the memory may hold: nothing is evicted, all goes another way to the same rows.
 *
 * While an input is read, the live flows and all packets that follow are dealt out to files by a hash of their keys (a Grace
 * hash partition: Kitsuregawa, Tanaka, Moto-oka, 1983). At the end of the input each part goes through the table alone,
 * with the same closing points; a part that is still too large is dealt out again by another hash. A flow depends on the
 * packets of its key and on the closing points only, so its row is the same. Each part gives rows in row order; they are
 * merged from a file. A checkpoint does the same with what there is by then, and the flows that are live still go to files
 * again: so its rows are in the store, and all that the run must remember of the input's packets is those flows.
 */
#include "dataset/extract.h"

#include <stdlib.h>

enum { PARTS = 16, MOST_DEPTH = 6, BLOCK_PACKETS = 1024 };

typedef struct spill_part {
    extract_file flows, packets; /* a flow: the length of its bytes (uint32), its key, its bytes */
} spill_part;

typedef struct spill_level {
    extraction *x;
    int depth;
    size_t first_point; /* that its packets have not passed */
    spill_part parts[PARTS];
} spill_level;

typedef struct row_run {
    uint64_t begin, end; /* in the file of rows */
} row_run;

struct extract_spill {
    spill_level *level; /* that takes what is read now; NULL while the last one of the input is gone through */
    closing_point *points;
    size_t point_count, point_capacity;
    extract_file rows;
    row_run *runs;
    size_t run_count, run_capacity;
};

static spill_part *part_of(spill_level *level, const ws_flow_key *key)
{
    uint64_t hash = ws_mix64(ws_flow_key_hash(key) + (uint64_t)(level->depth + 1) * 0x9e3779b97f4a7c15u);
    return &level->parts[hash % PARTS];
}

static ws_err save_flow(void *context, const ws_flow_key *key, const void *bytes, size_t count)
{
    spill_level *level = context;
    extract_file *file = &part_of(level, key)->flows;
    const uint32_t length = (uint32_t)count;
    WS_TRY(extract_file_open(file, level->x->options->output));
    WS_TRY(extract_file_write(file, &length, sizeof length));
    WS_TRY(extract_file_write(file, key, sizeof *key));
    WS_TRY(extract_file_write(file, bytes, count));
    level->x->spilled_bytes += count;
    return WS_OK;
}

static ws_err spill_packets(spill_level *level, const ws_packet *packets, const uint8_t *slots, size_t count)
{
    const size_t slot_size = level->x->slot_size;
    for (size_t i = 0; i < count; i++) {
        ws_flow_key key;
        bool source_is_low;
        ws_flow_key_of(&packets[i], &key, &source_is_low);
        extract_file *file = &part_of(level, &key)->packets;
        WS_TRY(extract_file_open(file, level->x->options->output));
        WS_TRY(extract_file_write(file, &packets[i], sizeof packets[i]));
        WS_TRY(extract_file_write(file, slot_size > 0 ? slots + i * slot_size : NULL, slot_size));
    }
    level->x->spilled_bytes += count * (sizeof *packets + slot_size);
    return WS_OK;
}

static void level_destroy(spill_level **level)
{
    for (int p = 0; *level != NULL && p < PARTS; p++) {
        extract_file_close(&(*level)->parts[p].flows);
        extract_file_close(&(*level)->parts[p].packets);
    }
    free(*level);
    *level = NULL;
}

static ws_err level_create(spill_level **out, extraction *x, int depth, size_t first_point)
{
    WS_TRY(WS_NEW(*out));
    (*out)->x = x;
    (*out)->depth = depth;
    (*out)->first_point = first_point;
    return WS_OK;
}

/* A new level that has taken all live flows. */
static ws_err level_of_live(spill_level **out, extraction *x, int depth, size_t first_point)
{
    WS_TRY(level_create(out, x, depth, first_point));
    WS_TRY(ws_flow_table_save(x->table, save_flow, *out));
    return WS_OK;
}

void extract_spill_destroy(extract_spill **spill)
{
    if (*spill == NULL)
        return;
    level_destroy(&(*spill)->level);
    extract_file_close(&(*spill)->rows);
    free((*spill)->points);
    free((*spill)->runs);
    free(*spill);
    *spill = NULL;
}

/* ---------------------------------------------------------------- a part through the table */
static ws_err to_run(void *context, const ws_flow *flow)
{
    extract_spill *spill = context;
    WS_TRY(extract_file_write_row(&spill->rows, flow));
    return WS_OK;
}

static ws_err pass_point(extraction *x, size_t point)
{
    const closing_point *at = &x->spill->points[point];
    WS_TRY(ws_flow_table_close(x->table, at->ordinal, at->newest_ns, at->input_ends, to_run, x->spill));
    return WS_OK;
}

static bool is_full(const extraction *x, int depth)
{
    return depth < MOST_DEPTH && !x->rules.by_time && ws_flow_table_bytes(x->table) > x->table_bytes;
}

static ws_err each_saved_flow(extract_reader *reader, ws_flow_save_sink sink, void *context)
{
    uint8_t *bytes = NULL;
    size_t capacity = 0;
    ws_err error = WS_OK;
    while (error == WS_OK && extract_reader_more(reader)) {
        uint32_t length;
        ws_flow_key key;
        error = extract_reader_read(reader, &length, sizeof length);
        if (error == WS_OK)
            error = extract_reader_read(reader, &key, sizeof key);
        if (error == WS_OK)
            error = WS_GROW(bytes, capacity, length);
        if (error == WS_OK)
            error = extract_reader_read(reader, bytes, length);
        if (error == WS_OK)
            error = sink(context, &key, bytes, length);
    }
    free(bytes);
    return error;
}

static ws_err restore_flow(void *context, const ws_flow_key *key, const void *bytes, size_t count)
{
    const extraction *x = context;
    (void)key;
    return ws_flow_table_restore(x->table, bytes, count);
}

/* Packets of a part, as they come out of its file. */
typedef struct packet_block {
    ws_packet *packets; /* [BLOCK_PACKETS] */
    uint8_t *slots;     /* likewise; NULL where no bytes are kept */
} packet_block;

static void block_destroy(packet_block *block)
{
    free(block->packets);
    free(block->slots);
}

static ws_err block_create(const extraction *x, packet_block *out)
{
    WS_TRY(WS_NEW_ARRAY(out->packets, BLOCK_PACKETS));
    if (x->slot_size > 0)
        WS_TRY(ws_alloc(&out->slots, BLOCK_PACKETS, x->slot_size));
    return WS_OK;
}

static ws_err read_packet(const extraction *x, extract_reader *reader, packet_block *block, size_t at)
{
    WS_TRY(extract_reader_read(reader, &block->packets[at], sizeof *block->packets));
    if (x->slot_size > 0)
        WS_TRY(extract_reader_read(reader, block->slots + at * x->slot_size, x->slot_size));
    return WS_OK;
}

ws_err extract_add(extraction *x, const ws_packet *packets, const uint8_t *slots, size_t count)
{
    if (slots == NULL)
        return ws_flow_table_add(x->table, packets, count);
    return ws_flow_table_add_bytes(x->table, packets, slots, count);
}

/* The packet lies behind the point, where there is one. */
static bool is_behind(const extraction *x, const ws_packet *packet, size_t point)
{
    return point < x->spill->point_count && packet->ordinal >= x->spill->points[point].ordinal;
}

/* Feeds a block, point by point. */
static ws_err feed_block(extraction *x, const packet_block *block, size_t count, size_t *point)
{
    const ws_packet *packets = block->packets;
    for (size_t i = 0, from = 0; i <= count; i++) {
        if (i < count && !is_behind(x, &packets[i], *point))
            continue;
        WS_TRY(
            extract_add(x, packets + from, block->slots == NULL ? NULL : block->slots + from * x->slot_size, i - from));
        from = i;
        for (; i < count && is_behind(x, &packets[i], *point); ++*point)
            WS_TRY(pass_point(x, *point));
    }
    return WS_OK;
}

static ws_err process_level(extraction *x, spill_level *level);

/* The rest of a part, and the flows that are live by now, as a level of their own. */
static ws_err deal_again(extraction *x, extract_reader *reader, int depth, size_t point, packet_block *block)
{
    spill_level *level = NULL;
    ws_err error = level_of_live(&level, x, depth, point);
    while (error == WS_OK && extract_reader_more(reader)) {
        error = read_packet(x, reader, block, 0);
        if (error == WS_OK)
            error = spill_packets(level, block->packets, block->slots, 1);
    }
    if (error == WS_OK)
        error = process_level(x, level);
    level_destroy(&level);
    return error;
}

/* A part whose packets are taken by their times: all of them at once. */
static ws_err read_ordered(extraction *x, extract_reader *reader, packet_block *block)
{
    while (extract_reader_more(reader)) {
        WS_TRY(read_packet(x, reader, block, 0));
        WS_TRY(extract_order_add(x, block->packets, block->slots, 1));
    }
    WS_TRY(extract_order_feed(x));
    return WS_OK;
}

static ws_err feed_part(extraction *x, const spill_level *level, extract_reader *reader, packet_block *block)
{
    size_t point = level->first_point, held = 0;
    const row_run begun = {.begin = x->spill->rows.bytes};
    if (x->rules.by_time)
        WS_TRY(read_ordered(x, reader, block));
    while (extract_reader_more(reader) && !is_full(x, level->depth)) {
        for (held = 0; held < BLOCK_PACKETS && extract_reader_more(reader); held++)
            WS_TRY(read_packet(x, reader, block, held));
        WS_TRY(feed_block(x, block, held, &point));
    }
    const bool full = is_full(x, level->depth);
    for (; !full && point < x->spill->point_count; point++)
        WS_TRY(pass_point(x, point));
    WS_TRY(WS_GROW(x->spill->runs, x->spill->run_capacity, x->spill->run_count + 1));
    if (x->spill->rows.bytes > begun.begin)
        x->spill->runs[x->spill->run_count++] = (row_run){begun.begin, x->spill->rows.bytes};
    if (full)
        WS_TRY(deal_again(x, reader, level->depth + 1, point, block));
    if (x->spill->level != NULL) /* the input goes on, and what is live with it */
        WS_TRY(ws_flow_table_save(x->table, save_flow, x->spill->level));
    return WS_OK;
}

static ws_err process_level(extraction *x, spill_level *level)
{
    extract_reader flows = {0}, packets = {0};
    packet_block block = {0};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, block_create(x, &block));
    for (int p = 0; p < PARTS; p++) {
        spill_part *part = &level->parts[p];
        WS_TRY_GOTO(done, extract_reader_open(&flows, &part->flows, 0, part->flows.bytes));
        WS_TRY_GOTO(done, each_saved_flow(&flows, restore_flow, x));
        extract_reader_close(&flows);
        extract_file_close(&part->flows);
        WS_TRY_GOTO(done, extract_reader_open(&packets, &part->packets, 0, part->packets.bytes));
        WS_TRY_GOTO(done, feed_part(x, level, &packets, &block));
        extract_reader_close(&packets);
        extract_file_close(&part->packets);
    }
done:
    extract_reader_close(&flows);
    extract_reader_close(&packets);
    block_destroy(&block);
    return error;
}

/* ---------------------------------------------------------------- rows of all parts in one order */
typedef struct run_head {
    extract_reader reader;
    ws_flow flow; /* the next row, where any is left */
    ws_flow_packet *packets;
    bool any;
} run_head;

static ws_err advance(run_head *head)
{
    head->any = extract_reader_more(&head->reader);
    if (head->any)
        WS_TRY(extract_reader_read_row(&head->reader, &head->flow, head->packets));
    return WS_OK;
}

static ws_err heads_open(extraction *x, run_head *heads)
{
    for (size_t r = 0; r < x->spill->run_count; r++) {
        const row_run *run = &x->spill->runs[r];
        WS_TRY(WS_NEW_ARRAY(heads[r].packets, extract_row_room(x)));
        WS_TRY(extract_reader_open(&heads[r].reader, &x->spill->rows, run->begin, run->end));
        WS_TRY(advance(&heads[r]));
    }
    return WS_OK;
}

static bool comes_first(const ws_flow *a, const ws_flow *b)
{
    return a->left_at != b->left_at ? a->left_at < b->left_at : a->first_ordinal < b->first_ordinal;
}

static ws_err merge_runs(extraction *x, ws_flow_sink sink)
{
    run_head *heads = NULL;
    const size_t count = x->spill->run_count;
    WS_TRY(WS_NEW_ARRAY(heads, count));
    ws_err error = heads_open(x, heads);
    while (error == WS_OK) {
        run_head *first = NULL;
        for (size_t r = 0; r < count; r++)
            if (heads[r].any && (first == NULL || comes_first(&heads[r].flow, &first->flow)))
                first = &heads[r];
        if (first == NULL)
            break;
        error = sink(x, &first->flow);
        if (error == WS_OK)
            error = advance(first);
    }
    for (size_t r = 0; r < count; r++) {
        extract_reader_close(&heads[r].reader);
        free(heads[r].packets);
    }
    free(heads);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* All that waits in files through the table, up to the last closing point; flows that are live behind it go to `next`. */
static ws_err pass_level(extraction *x, spill_level *next, ws_flow_sink sink)
{
    extract_spill *spill = x->spill;
    spill_level *level = spill->level;
    spill->level = next;
    ws_err error = process_level(x, level);
    level_destroy(&level);
    spill->point_count = 0;
    if (error == WS_OK)
        error = merge_runs(x, sink);
    extract_file_close(&spill->rows);
    spill->run_count = 0;
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* ---------------------------------------------------------------- what the round calls */
static ws_err spill_begin(extraction *x)
{
    WS_TRY(WS_NEW(x->spill));
    WS_TRY(extract_file_open(&x->spill->rows, x->options->output));
    WS_TRY(level_of_live(&x->spill->level, x, 0, 0));
    return WS_OK;
}

ws_err extract_feed(extraction *x, const ws_packet *packets, const uint8_t *slots, size_t count)
{
    if (x->rules.by_time && x->table_bytes == 0)
        return extract_order_add(x, packets, slots, count);
    if (x->rules.by_time && x->spill == NULL && count > 0)
        WS_TRY(spill_begin(x));
    while (x->spill == NULL && count > 0) {
        size_t here = x->table_bytes == 0 || count < BLOCK_PACKETS ? count : BLOCK_PACKETS;
        WS_TRY(extract_add(x, packets, slots, here));
        packets += here;
        slots = slots == NULL ? NULL : slots + here * x->slot_size;
        count -= here;
        if (x->table_bytes > 0 && is_full(x, 0))
            WS_TRY(spill_begin(x));
    }
    if (count > 0)
        WS_TRY(spill_packets(x->spill->level, packets, slots, count));
    return WS_OK;
}

ws_err extract_close(extraction *x, const closing_point *point, ws_flow_sink sink)
{
    extract_spill *spill = x->spill;
    if (x->rules.by_time && !point->input_ends)
        return WS_OK;
    if (spill == NULL) {
        WS_TRY(extract_order_feed(x));
        WS_TRY(ws_flow_table_close(x->table, point->ordinal, point->newest_ns, point->input_ends, sink, x));
        return WS_OK;
    }
    WS_TRY(WS_GROW(spill->points, spill->point_capacity, spill->point_count + 1));
    spill->points[spill->point_count++] = *point;
    if (!point->input_ends)
        return WS_OK;
    WS_TRY(pass_level(x, NULL, sink));
    extract_spill_destroy(&x->spill);
    return WS_OK;
}

bool extract_spill_holds_rows(const extraction *x)
{
    return x->spill != NULL && x->spill->point_count > 0;
}

/* ---------------------------------------------------------------- what a checkpoint calls */
ws_err extract_spill_settle(extraction *x, ws_flow_sink sink)
{
    spill_level *next = NULL;
    if (x->spill == NULL || x->rules.by_time)
        return WS_OK;
    WS_TRY(level_create(&next, x, 0, 0));
    WS_TRY(pass_level(x, next, sink));
    WS_TRY(extract_file_open(&x->spill->rows, x->options->output));
    return WS_OK;
}

static ws_err copy_part(const extraction *x, spill_part *part, ws_flow_save_sink flow, extract_packet_sink packet,
                        void *context)
{
    extract_reader reader = {0};
    packet_block block = {0};
    ws_err error = extract_reader_open(&reader, &part->flows, 0, part->flows.bytes);
    if (error == WS_OK)
        error = each_saved_flow(&reader, flow, context);
    extract_reader_close(&reader);
    if (error == WS_OK)
        error = block_create(x, &block);
    if (error == WS_OK)
        error = extract_reader_open(&reader, &part->packets, 0, part->packets.bytes);
    while (error == WS_OK && extract_reader_more(&reader)) {
        error = read_packet(x, &reader, &block, 0);
        if (error == WS_OK)
            error = packet(context, block.packets, block.slots, x->slot_size);
    }
    extract_reader_close(&reader);
    block_destroy(&block);
    return error;
}

ws_err extract_live_copy(extraction *x, ws_flow_save_sink flow, extract_packet_sink packet, void *context)
{
    const packet_buffer *waiting = &x->ordered;
    for (int p = 0; x->spill != NULL && p < PARTS; p++)
        WS_TRY(copy_part(x, &x->spill->level->parts[p], flow, packet, context));
    for (size_t i = 0; i < waiting->count; i++)
        WS_TRY(packet(context, &waiting->packets[i], x->slot_size > 0 ? waiting->slots + i * x->slot_size : NULL,
                      x->slot_size));
    WS_TRY(ws_flow_table_copy(x->table, flow, context));
    return WS_OK;
}

ws_err extract_live_restore(extraction *x, const ws_flow_key *key, const void *bytes, size_t count)
{
    if (x->spill != NULL)
        return save_flow(x->spill->level, key, bytes, count);
    WS_TRY(ws_flow_table_restore(x->table, bytes, count));
    if (x->table_bytes > 0 && is_full(x, 0))
        WS_TRY(spill_begin(x));
    return WS_OK;
}
