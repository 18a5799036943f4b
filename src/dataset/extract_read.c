/* One round of an extraction: a fixed stretch of the inputs, laid end to end, is read by all ranks at once.
 *
 * An input that can be split is cut into adjacent pieces, one a rank. A piece that begins inside the round starts at a
 * guess (ws_capture_resync) and the walks prove it: the first piece starts at a true record start, so where the walk of
 * each piece ends exactly at the next one's start, all starts are true. Where not, the next piece is walked again from
 * where the walk before it ended, and the repair is counted. A guess can cost time, never change a result. An input
 * that cannot be split is read by one rank, which keeps its walk from round to round; a compressed one by its compressed
 * bytes.
 *
 * Record numbers follow from the record counts of all pieces; with them the points where flows leave, and the newest
 * time before each. Packets stay in x->packets, or in the parcels for their owners, piece by piece in the order of x->pieces.
 */
#include "dataset/extract.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- cutting the round into pieces */
/* [*begin, *end): what is still to be read of the input in this round, from a true record start. */
static bool input_range(const extraction *x, const extract_input *input, uint64_t base, uint64_t *begin, uint64_t *end)
{
    uint64_t stop = x->round_end - base;
    *end = stop < input->bytes ? stop : input->bytes;
    *begin = input->next_offset;
    return x->round_begin < base + input->bytes && input->next_position < *end;
}

static ws_err add_piece(extraction *x, uint32_t input, int rank, uint64_t begin, uint64_t end, bool interior)
{
    WS_TRY(WS_GROW(x->pieces, x->piece_capacity, x->piece_count + 1));
    x->pieces[x->piece_count++] = (extract_piece){.input = input,
                                                  .group = x->inputs[input].group,
                                                  .records_before = x->groups[x->inputs[input].group].records,
                                                  .rank = rank,
                                                  .begin = begin,
                                                  .end = end,
                                                  .interior = interior,
                                                  .walk = true};
    return WS_OK;
}

/* cut[r]: where rank r's share of the splittable bytes begins, so that with what it reads alone all have about as much.
 */
static void share_bytes(const uint64_t *alone, uint64_t splittable, uint64_t all, int ranks, uint64_t *cut)
{
    double even = (double)all / ranks, free_space = 0, before = 0;
    for (int r = 0; r < ranks; r++)
        free_space += (double)alone[r] < even ? even - (double)alone[r] : 0;
    for (int r = 0; r < ranks; r++) {
        cut[r] = free_space > 0 ? (uint64_t)((double)splittable * (before / free_space)) : 0;
        before += (double)alone[r] < even ? even - (double)alone[r] : 0;
    }
    cut[0] = 0;
    cut[ranks] = splittable;
    for (int r = 1; r < ranks; r++)
        cut[r] = cut[r] > splittable ? splittable : cut[r] < cut[r - 1] ? cut[r - 1] : cut[r];
}

/* Where a large piece begins that is to begin about there: at a block of the input's hash, so that one rank reads all of it. The ends of
 * the range stay: ranks that have nothing of it have nothing of it then either. */
static uint64_t block_near(uint64_t offset, uint64_t begin, uint64_t end)
{
    const uint64_t at = (offset + WS_INPUT_HASH_BLOCK / 2) / WS_INPUT_HASH_BLOCK * WS_INPUT_HASH_BLOCK;
    if (offset == begin || offset == end)
        return offset;
    return at < begin ? begin : at > end ? end : at;
}

/* Adds the pieces of a splittable range that begins at `position` of the splittable bytes. */
static ws_err cut_range(extraction *x, uint32_t input, uint64_t begin, uint64_t end, uint64_t position,
                        const uint64_t *cut)
{
    for (int r = 0; r < x->comm->size; r++) {
        uint64_t low = cut[r] > position ? cut[r] - position : 0;
        uint64_t high = cut[r + 1] > position ? cut[r + 1] - position : 0;
        low = begin + (low < end - begin ? low : end - begin);
        high = begin + (high < end - begin ? high : end - begin);
        if (end - begin >= (uint64_t)x->comm->size * 2 * WS_INPUT_HASH_BLOCK) {
            low = block_near(low, begin, end);
            high = block_near(high, begin, end);
        }
        if (low < high)
            WS_TRY(add_piece(x, input, r, low, high, low > begin));
    }
    return WS_OK;
}

static ws_err cut_round(extraction *x)
{
    x->piece_count = 0;
    const int ranks = x->comm->size;
    uint64_t *alone = NULL, *cut = NULL, splittable = 0, all = 0, begin, end, base = x->first_base, position = 0;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(alone, (size_t)ranks));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(cut, (size_t)ranks + 1));
    x->last_input = x->first_input;
    for (size_t i = x->first_input; i < x->input_count && base < x->round_end; base += x->inputs[i++].bytes) {
        const extract_input *input = &x->inputs[i];
        x->last_input = i;
        if (!input_range(x, input, base, &begin, &end))
            continue;
        *(input->splittable ? &splittable : &alone[input->reader]) += end - input->next_position;
        all += end - input->next_position;
    }
    share_bytes(alone, splittable, all, ranks, cut);
    base = x->first_base;
    for (size_t i = x->first_input; i <= x->last_input; base += x->inputs[i++].bytes) {
        const extract_input *input = &x->inputs[i];
        if (!input_range(x, input, base, &begin, &end))
            continue;
        if (input->splittable) {
            WS_TRY_GOTO(done, cut_range(x, (uint32_t)i, begin, end, position, cut));
            position += end - begin;
        } else {
            WS_TRY_GOTO(done, add_piece(x, (uint32_t)i, input->reader, begin, end, false));
        }
    }
done:
    free(alone);
    free(cut);
    return error;
}

/* ---------------------------------------------------------------- guessed starts */
/* A rank has at most one interior piece: its share is contiguous. */
static ws_err guess_start(extraction *x, uint64_t *guess)
{
    *guess = UINT64_MAX;
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        if (piece->rank != x->comm->rank || !piece->interior)
            continue;
        WS_TRY(extract_input_use(&x->inputs[piece->input], piece->input));
        WS_TRY(ws_capture_resync(&x->inputs[piece->input].capture, piece->begin, guess));
    }
    return WS_OK;
}

static ws_err place_starts_all(extraction *x)
{
    uint64_t mine = UINT64_MAX, *guesses = NULL;
    ws_err local = guess_start(x, &mine);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(guesses, (size_t)x->comm->size);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_gather_equal_all(x->comm, &mine, sizeof mine, guesses);
    /* From the right: a guess at or behind the next start leaves its piece nothing. */
    uint64_t next = 0;
    for (size_t k = x->piece_count; error == WS_OK && k-- > 0;) {
        extract_piece *piece = &x->pieces[k];
        bool last = k + 1 == x->piece_count || x->pieces[k + 1].input != piece->input;
        if (!last)
            piece->end = next;
        if (piece->interior)
            piece->begin = guesses[piece->rank];
        piece->empty = !x->inputs[piece->input].compressed && piece->begin >= piece->end;
        next = piece->empty ? piece->end : piece->begin;
    }
    free(guesses);
    return error;
}

/* ---------------------------------------------------------------- walking */
static ws_err count_record(extraction *x, extract_piece *piece, const ws_record *record)
{
    extract_counts *counts = &piece->counts;
    counts->records++;
    counts->captured += record->captured_length;
    bool accepted = true;
    if (x->filter != NULL)
        WS_TRY(ws_packet_filter_accepts(x->filter, record->frame, record->captured_length, record->wire_length,
                                        record->link_type, &accepted));
    if (x->packet_count == x->packet_capacity)
        WS_TRY(WS_GROW(x->packets, x->packet_capacity, x->packet_count + 1));
    ws_packet *packet = &x->packets[x->packet_count];
    ws_skip skip = WS_SKIP_filtered;
    if (accepted)
        skip = (x->options->inner_packets ? ws_packet_decode_inner : ws_packet_decode)(
            record->frame, record->captured_length, record->wire_length, record->link_type, record->time_ns, packet);
    if (skip == WS_SKIP_protocol_other && (x->samples != NULL || x->protocols.kept[packet->protocol]))
        skip = ws_packet_decode_other(record->frame, packet);
    if (skip == WS_SKIP_NONE && x->samples != NULL) {
        bool found;
        WS_TRY(x->samples->find(x->samples->context, piece->group, record, packet, &found));
        skip = found ? WS_SKIP_NONE : WS_SKIP_no_sample;
    }
    if (skip != WS_SKIP_NONE) {
        counts->skipped[skip]++;
        counts->skipped_captured[skip] += record->captured_length;
        return WS_OK;
    }
    if (x->slot_size > 0) {
        WS_TRY(WS_GROW(x->slots, x->slot_capacity, (x->packet_count + 1) * x->slot_size));
        ws_byte_view_take(&x->rules.bytes, record->frame, packet, x->slots + x->packet_count * x->slot_size);
    }
    packet->input = piece->group;
    if (x->options->window_captures)
        ws_packet_join_capture(packet);
    packet->ordinal = piece->records_before + counts->records - 1; /* until the pieces before it are counted */
    if (x->comm->size > 1)
        packet->input = (uint32_t)(piece - x->pieces);
    if (packet->time_ns > piece->newest_ns)
        piece->newest_ns = packet->time_ns;
    if (counts->packets == 0)
        piece->first_ns = packet->time_ns;
    x->packet_count++;
    counts->packets++;
    counts->packets_captured += record->captured_length;
    counts->packets_ip += packet->ip_length;
    return WS_OK;
}

static ws_err keep_damage(extraction *x, extract_piece *piece, const ws_walk *walk)
{
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    piece->first_damage = x->round_damage_count;
    piece->damage_count = count;
    if (count == 0)
        return WS_OK;
    WS_TRY(WS_GROW(x->round_damage, x->round_damage_capacity, x->round_damage_count + count));
    memcpy(x->round_damage + x->round_damage_count, damage, count * sizeof *damage);
    x->round_damage_count += count;
    piece->counts.damage_runs = count;
    for (size_t i = 0; i < count; i++)
        piece->counts.damage_bytes += damage[i].bytes;
    return WS_OK;
}

/* Whether the walk of a compressed input has had its part of the round. */
static bool part_is_done(const extraction *x, const extract_piece *piece)
{
    const extract_input *input = &x->inputs[piece->input];
    return input->compressed && (ws_walk_position(input->walk) >= piece->end ||
                                 ws_walk_offset(input->walk) - piece->begin >= x->content_limit ||
                                 x->packed_packets + piece->counts.packets >= x->packet_limit);
}

/* About 50 microseconds; packets are dealt out while they are in the first cache, but not right behind the decoder, on whose narrow
 * stores their key's wide loads would wait. */
enum { PUSH_RECORDS = 1024, DEAL_RECORDS = 64 };

static ws_err walk_piece(extraction *x, extract_piece *piece)
{
    extract_input *input = &x->inputs[piece->input];
    WS_TRY(extract_input_use(input, piece->input));
    if (extract_hasher_watches(x->hasher, piece->input)) {
        ws_walk_watch(input->walk, extract_hasher_watch, x->hasher, x->comm->size == 1);
        if (piece->interior)
            WS_TRY(extract_hasher_lead_in(x->hasher, piece->input, piece->begin));
    }
    if (input->splittable)
        WS_TRY(extract_state_range(x, piece));
    else
        WS_TRY(ws_walk_range(input->walk, piece->begin, input->compressed ? WS_CAPTURE_BYTES_UNKNOWN : piece->end));
    memset(&piece->counts, 0, sizeof piece->counts);
    piece->first_packet = x->packet_count;
    piece->newest_ns = INT64_MIN;
    piece->first_ns = 0;
    ws_record record;
    bool more = true;
    while (!part_is_done(x, piece)) {
        WS_TRY(ws_walk_next(input->walk, &record, &more));
        if (!more)
            break;
        WS_TRY(count_record(x, piece, &record));
        if (piece->counts.records % DEAL_RECORDS == 0)
            WS_TRY(extract_deal(x));
        if (piece->counts.records % PUSH_RECORDS == 0)
            extract_route_push(x);
    }
    WS_TRY(extract_deal(x));
    WS_TRY(keep_damage(x, piece, input->walk));
    WS_TRY(extract_state_keep(x, (size_t)(piece - x->pieces)));
    piece->packet_count = piece->counts.packets;
    x->packed_packets += input->compressed ? piece->packet_count : 0;
    piece->reached = ws_walk_offset(input->walk);
    piece->position = ws_walk_position(input->walk);
    piece->records = piece->counts.records;
    piece->has_packets = piece->packet_count > 0;
    if (piece->position >= input->bytes) /* a round may hold more small files than a process may have open */
        extract_input_release(input);
    return WS_OK;
}

typedef struct walk_news {
    uint64_t piece, reached, position, records, has_packets;
    int64_t first_ns;
} walk_news;

/* Walks this rank's pieces that are marked, and tells all ranks how far every walk came. */
static ws_err walk_marked_all(extraction *x)
{
    walk_news *mine = NULL, *news = NULL;
    uint8_t *walked = NULL;
    size_t count = 0, bytes = 0;
    ws_err local = WS_NEW_ARRAY(mine, x->piece_count);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(walked, x->piece_count);
    for (size_t k = 0; local == WS_OK && k < x->piece_count; k++) {
        extract_piece *piece = &x->pieces[k];
        walked[k] = piece->walk;
        piece->known = piece->walk ? extract_state_digest(x, k) : piece->known;
        if (!piece->walk || piece->empty || piece->rank != x->comm->rank)
            continue;
        extract_deal_drop(x, k, k + 1); /* where it was walked before, from what was no start */
        local = walk_piece(x, piece);
        mine[count++] =
            (walk_news){k, piece->reached, piece->position, piece->records, piece->has_packets, piece->first_ns};
    }
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_gather_all(x->comm, mine, count * sizeof *mine, (void **)&news, &bytes, NULL);
    for (size_t i = 0; error == WS_OK && i < bytes / sizeof *news; i++) {
        extract_piece *piece = &x->pieces[news[i].piece];
        piece->reached = news[i].reached;
        piece->position = news[i].position;
        piece->records = news[i].records;
        piece->has_packets = news[i].has_packets != 0;
        piece->first_ns = news[i].first_ns;
    }
    for (size_t k = 0; k < x->piece_count; k++)
        x->pieces[k].walk = false;
    if (error == WS_OK)
        error = extract_state_share_all(x, walked);
    free(walked);
    free(mine);
    free(news);
    return error;
}

/* Compares every walk's end with the next one's start, and marks what must be walked again. A piece behind a marked one
 * is judged when that one has been walked. */
static bool mark_repairs(extraction *x)
{
    bool any = false;
    for (size_t k = 0; k < x->piece_count; k++) {
        extract_piece *piece = &x->pieces[k];
        const extract_piece *before = k > 0 && piece->interior ? piece - 1 : NULL;
        if (before == NULL || before->walk)
            continue;
        if (piece->empty) /* the walk before it has the same end */
            piece->reached = before->reached;
        if (piece->empty || (before->reached == piece->begin && piece->known == extract_state_digest(x, k)))
            continue;
        x->boundary_repairs++;
        piece->begin = before->reached;
        piece->empty = piece->begin >= piece->end;
        piece->walk = !piece->empty;
        x->out_of_order =
            x->out_of_order || piece->walk; /* its packets will lie behind those of the pieces behind it */
        piece->reached = piece->begin;
        any = any || piece->walk;
    }
    return any;
}

/* Where a compressed input held more than a round may, the round ends there; what lies behind it is read in the next. */
static void end_round_early(extraction *x)
{
    uint64_t base = x->first_base;
    size_t input = x->first_input;
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        while (input < piece->input)
            base += x->inputs[input++].bytes;
        if (!x->inputs[input].compressed || piece->position >= piece->end)
            continue;
        x->round_end = base + piece->position;
        x->last_input = input;
        extract_deal_drop(x, k + 1, x->piece_count);
        x->piece_count = k + 1;
        if (x->comm->size == 1) /* then packets lie piece by piece, and all that lie there are taken */
            x->packet_count = piece->first_packet + piece->packet_count;
    }
}

/* ---------------------------------------------------------------- ordinals and closing points */
/* Takes what the proved walks found into the inputs, and numbers the packets of this rank. */
static ws_err settle_pieces(extraction *x)
{
    for (size_t k = 0; k < x->piece_count; k++) {
        extract_piece *piece = &x->pieces[k];
        extract_input *input = &x->inputs[piece->input];
        extract_group *group = &x->groups[piece->group];
        piece->first_ordinal = group->records;
        piece->ordinals_before = piece->first_ordinal - piece->records_before;
        input->next_offset = piece->reached;
        input->next_position = input->compressed ? piece->position : piece->reached;
        if (piece->empty) {
            extract_deal_drop(x, k, k + 1); /* a walk from what was no start found some */
            continue;
        }
        input->records += piece->records;
        group->records += piece->records;
        x->records_read += piece->records;
        if (piece->has_packets && !group->has_origin) {
            group->has_origin = true;
            group->origin_ns = piece->first_ns;
        }
        if (piece->rank != x->comm->rank)
            continue;
        if (x->comm->size ==
            1) { /* mostly none, or a pass over all packets; of several ranks, who gets them makes it */
            for (size_t i = 0; piece->ordinals_before > 0 && i < piece->packet_count; i++)
                x->packets[piece->first_packet + i].ordinal += piece->ordinals_before;
            piece->ordinals_before = 0;
        }
        uint64_t *sum = (uint64_t *)&input->counts;
        const uint64_t *add = (const uint64_t *)&piece->counts;
        for (size_t c = 0; c < EXTRACT_COUNTS; c++)
            sum[c] += add[c];
        WS_TRY(WS_GROW(x->damage, x->damage_capacity, x->damage_count + piece->damage_count));
        if (piece->damage_count > 0)
            memcpy(x->damage + x->damage_count, x->round_damage + piece->first_damage,
                   piece->damage_count * sizeof *x->damage);
        x->damage_count += piece->damage_count;
    }
    return WS_OK;
}

static ws_err add_point(extraction *x, uint32_t input, uint64_t ordinal, bool closes, bool input_ends)
{
    WS_TRY(WS_GROW(x->points, x->point_capacity, x->point_count + 1));
    x->points[x->point_count++] = (closing_point){
        .input = input, .ordinal = ordinal, .closes = closes, .input_ends = input_ends, .newest_ns = INT64_MIN};
    return WS_OK;
}

/* What the round found of its first file and its group in earlier rounds. */
typedef struct records_before {
    uint64_t file, group;
} records_before;

/* The points of the round in order. A point comes due with the first record behind it, or with the end; so rounds do
 * not show. */
static ws_err list_points(extraction *x, const records_before *before)
{
    x->point_count = 0;
    uint64_t base = x->first_base, from = before->group;
    for (size_t i = x->first_input; i <= x->last_input; base += x->inputs[i++].bytes) {
        const extract_input *input = &x->inputs[i];
        const extract_group *group = &x->groups[input->group];
        if (i > x->first_input && i == group->first)
            from = 0;
        const uint64_t to = from + input->records - (i == x->first_input ? before->file : 0);
        uint64_t ordinal = (from + WS_CLOSING_INTERVAL - 1) / WS_CLOSING_INTERVAL * WS_CLOSING_INTERVAL;
        for (ordinal = ordinal > 0 ? ordinal : WS_CLOSING_INTERVAL; ordinal < to; ordinal += WS_CLOSING_INTERVAL)
            WS_TRY(add_point(x, input->group, ordinal, true, false));
        const bool ends = i + 1 == group->first + group->count && base + input->bytes <= x->round_end;
        WS_TRY(add_point(x, input->group, to, ends, ends));
        from = to;
    }
    return WS_OK;
}

static bool is_before(const extract_piece *piece, uint64_t ordinal, const closing_point *point)
{
    return piece->group == point->input && ordinal < point->ordinal;
}

static void raise_newest(closing_point *point, int64_t newest_ns)
{
    point->newest_ns = newest_ns > point->newest_ns ? newest_ns : point->newest_ns;
}

/* Of packets of the piece, in their order; *point: of the one before. */
static void note_time(const extract_piece *piece, closing_point **point, uint64_t ordinal, int64_t time_ns)
{
    while (!is_before(piece, ordinal + piece->ordinals_before, *point))
        ++*point;
    raise_newest(*point, time_ns);
}

/* `at`: the point behind its first record. */
static void find_newest_of(const extraction *x, size_t number, closing_point *at)
{
    const extract_piece *piece = &x->pieces[number];
    const ws_packet *own = x->packets + piece->first_packet;
    closing_point *point = at;
    for (size_t i = 0; x->comm->size == 1 && i < piece->packet_count; i++)
        note_time(piece, &point, own[i].ordinal, own[i].time_ns);
    for (int r = 0; x->comm->size > 1 && r < x->comm->size; r++) {
        size_t next = 0;
        dealt_mark mark;
        point = at;
        while (extract_deal_next(x, r, &next, &mark))
            if (mark.piece == number)
                note_time(piece, &point, mark.ordinal, mark.time_ns);
    }
}

/* newest_ns of every point: over this rank's packets between the point before it and it. */
static void find_newest(extraction *x)
{
    closing_point *at = x->points;
    for (size_t k = 0; k < x->piece_count; k++) {
        const extract_piece *piece = &x->pieces[k];
        if (piece->rank != x->comm->rank || piece->empty || piece->packet_count == 0)
            continue;
        while (!is_before(piece, piece->first_ordinal, at))
            at++;
        if (is_before(piece, piece->first_ordinal + piece->records - 1, at)) { /* mostly: no point lies within it */
            raise_newest(at, piece->newest_ns);
            continue;
        }
        find_newest_of(x, k, at);
    }
}

static ws_err settle_newest_all(extraction *x)
{
    int64_t *newest = NULL;
    ws_err local = WS_NEW_ARRAY(newest, x->point_count);
    if (local == WS_OK)
        find_newest(x);
    for (size_t p = 0; local == WS_OK && p < x->point_count; p++)
        newest[p] = x->points[p].newest_ns;
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_max_i64_all(x->comm, newest, x->point_count);
    for (size_t p = 0; error == WS_OK && p < x->point_count; p++) {
        extract_group *group = &x->groups[x->points[p].input];
        if (newest[p] > group->newest_ns)
            group->newest_ns = newest[p];
        x->points[p].newest_ns = group->newest_ns;
    }
    free(newest);
    return error;
}

ws_err extract_round_read_all(extraction *x)
{
    const extract_input *first = &x->inputs[x->first_input];
    const records_before before = {first->records, x->groups[first->group].records};
    x->packet_count = x->packed_packets = 0;
    x->out_of_order = false;
    x->round_damage_count = x->round_block_count = x->met_count = 0;

    WS_AGREE(x->comm, cut_round(x));
    WS_TRY(place_starts_all(x));
    extract_hasher_push(x->hasher, (double)x->round_end / (double)x->total_bytes);
    do
        WS_TRY(walk_marked_all(x));
    while (mark_repairs(x));
    end_round_early(x);

    ws_err local = settle_pieces(x);
    if (local == WS_OK && x->out_of_order)
        local = extract_deal_order(x);
    if (local == WS_OK)
        local = extract_state_settle(x);
    if (local == WS_OK)
        local = list_points(x, &before);
    WS_AGREE(x->comm, local);
    WS_TRY(settle_newest_all(x));
    return WS_OK;
}
