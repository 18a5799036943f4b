/* The flow table of one rank: appends packets to live flows, decides where a flow ends, hands finished flows out at the
 * closing points of the input.
 *
 * When a flow ends (DESIGN "Rules that fix the result"), seen from the next packet of its key:
 *   - gap to the flow's newest time >= idle time-out: ended idle; the packet starts a new flow;
 *   - age (time since the flow's first packet) >= active time-out: ended active; the packet starts a new flow;
 *   - after a RST, or once FIN was seen both ways and the later of the two is acknowledged (an ACK of the other side
 * that covers its sequence number): the flow lingers. A packet without SYN not more than linger_ns after the packet
 * that ended it still belongs to it; any other starts a new flow. Time never runs backwards in these rules: gaps are
 * measured from the newest time, so an early packet has gap and age at most those of the newest one. A closing point
 * hands out what no later packet may join: superseded flows, lingering flows whose linger is over, and flows idle for
 * the idle time-out, both against the newest time of the input; the end of the input hands out all.
 *
 * Windows (rules.window_ns) cut flows at their edges as well. With windows_alone a flow is what one key has in one
 * window, whatever that is, also where packets come late: the window is part of what a flow is looked up by. Such a
 * flow leaves once the input is more than two windows ahead.
 *
 * Nothing is evicted: memory is bounded by the flows alive at once. Flows stay in the order of their first packets.
 */
#include "flow/slab.h"
#include "flow/sums.h"

#include <stdlib.h>

const ws_flow_rules ws_flow_rules_default = {.idle_timeout_ns = INT64_C(120) * 1000000000,
                                             .active_timeout_ns = INT64_C(1800) * 1000000000,
                                             .linger_ns = INT64_C(5) * 1000000000,
                                             .max_packets = 128,
                                             .direction_by_syn = false};

enum { CHUNK_PACKETS = 4, UNDECIDED = 2, WINDOWS_WAITED = 2 };

typedef struct packet_chunk {
    struct packet_chunk *next;
    struct byte_slot *slots; /* of its packets, newest first, where bytes are kept */
    ws_flow_packet packets[CHUNK_PACKETS];
} packet_chunk;

typedef struct byte_slot {
    struct byte_slot *next;
    uint8_t bytes[]; /* ws_byte_slot_size */
} byte_slot;

typedef enum flow_state { STATE_OPEN, STATE_LINGERING, STATE_OVER } flow_state;

/* Five cache lines: a packet touches its sender's sums, the common ones and the last line. */
typedef struct live_flow {
    _Alignas(64) ws_flow_sums sums; /* senders: 0 the low endpoint, 1 the high one; times since first_ns */
    uint64_t hash, first_ordinal;
    packet_chunk *first_chunk;
    int64_t ended_ns;    /* lingering: time of the packet that ended it */
    uint32_t fin_end[2]; /* sequence number behind the FIN of each sender */
    uint8_t end;         /* ws_flow_end, once not open */
    uint8_t first_sender;
    _Alignas(64) ws_flow_key key;
    int64_t first_ns;
    packet_chunk *last_chunk;
    uint32_t stored;
    uint8_t state;      /* flow_state */
    uint8_t syn_sender; /* UNDECIDED until a SYN is seen */
    uint8_t fins;       /* bit of each sender whose FIN was seen */
    uint8_t last_fin;   /* sender whose first FIN came second */
} live_flow;
_Static_assert(sizeof(live_flow) == 320, "a live flow is five cache lines");

typedef struct slot {
    uint64_t hash;
    live_flow *flow; /* NULL: free */
} slot;

struct ws_flow_table {
    ws_flow_rules rules;
    int64_t window_origin_ns;
    ws_flow_counters counters;
    slot *slots; /* open addressing, linear probing, at most half full */
    size_t slot_count, slots_used;
    int slot_shift;
    live_flow **order; /* every flow not yet handed out, by first packet */
    size_t order_count, order_capacity;
    ws_slab flows, chunks, byte_slots;
    size_t slot_size;
    bool unordered;         /* flows were put back in another order */
    ws_flow_packet *stored; /* [max_packets] of the flow being handed out */
    uint8_t *stored_slots;  /* [rules.bytes.packets] likewise */
    bool started;           /* a packet of `input` came */
    uint32_t input;
    uint64_t next_ordinal;
};

static size_t home_of(const ws_flow_table *table, uint64_t hash)
{
    /* The high bits: the low ones choose the owner rank, so they say little here. */
    return (size_t)(hash >> table->slot_shift);
}

static ws_err slots_create(ws_flow_table *table, int bits)
{
    WS_TRY(ws_alloc_large(&table->slots, sizeof *table->slots << bits, true));
    table->slot_count = (size_t)1 << bits;
    table->slot_shift = 64 - bits;
    return WS_OK;
}

/* The first slot at `from` or behind that is free or has the hash. */
static size_t slot_probe(const ws_flow_table *table, size_t from, uint64_t hash)
{
    const size_t mask = table->slot_count - 1;
    while (table->slots[from].flow != NULL && table->slots[from].hash != hash)
        from = (from + 1) & mask;
    return from;
}

/* The slot that holds the key, or the free one where it belongs; from: a slot at which slot_probe stopped since the table
 * last shrank or was doubled. */
static slot *slot_find_from(const ws_flow_table *table, size_t from, const ws_flow_key *key, uint64_t hash)
{
    for (;; from++) {
        slot *at = &table->slots[from = slot_probe(table, from & (table->slot_count - 1), hash)];
        if (at->flow == NULL || memcmp(&at->flow->key, key, sizeof *key) == 0)
            return at;
    }
}

static slot *slot_find(const ws_flow_table *table, const ws_flow_key *key, uint64_t hash)
{
    return slot_find_from(table, home_of(table, hash), key, hash);
}

static ws_err slots_double(ws_flow_table *table)
{
    slot *old = table->slots;
    size_t old_count = table->slot_count;
    WS_TRY(slots_create(table, 64 - table->slot_shift + 1));
    size_t mask = table->slot_count - 1;
    for (size_t k = 0; k < old_count; k++) {
        if (old[k].flow == NULL)
            continue;
        size_t i = home_of(table, old[k].hash);
        while (table->slots[i].flow != NULL)
            i = (i + 1) & mask;
        table->slots[i] = old[k];
    }
    free(old);
    return WS_OK;
}

/* Frees a slot and moves later ones of the run back, so that no search meets a hole. */
static void slot_clear(ws_flow_table *table, slot *at)
{
    size_t mask = table->slot_count - 1;
    size_t hole = (size_t)(at - table->slots);
    for (size_t i = (hole + 1) & mask; table->slots[i].flow != NULL; i = (i + 1) & mask) {
        size_t home = home_of(table, table->slots[i].hash);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole].flow = NULL;
    table->slots_used--;
}

ws_err ws_flow_table_create(ws_flow_table **out, const ws_flow_rules *rules)
{
    *out = NULL;
    ws_flow_table *table = NULL;
    WS_TRY(WS_NEW(table));
    table->rules = *rules;
    table->rules.windows_alone = rules->keys_whole || (rules->windows_alone && rules->window_ns > 0);
    table->flows.item_bytes = sizeof(live_flow);
    table->chunks.item_bytes = (sizeof(packet_chunk) + 15) / 16 * 16;
    table->slot_size = ws_byte_slot_size(&rules->bytes);
    table->byte_slots.item_bytes = (sizeof(byte_slot) + table->slot_size + 15) / 16 * 16;
    ws_err error = WS_OK;
    WS_TRY_GOTO(fail, slots_create(table, 12));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(table->stored, rules->max_packets));
    WS_TRY_GOTO(fail, ws_alloc(&table->stored_slots, rules->bytes.packets, table->slot_size));
    *out = table;
    return WS_OK;
fail:
    ws_flow_table_destroy(&table);
    return error;
}

void ws_flow_table_destroy(ws_flow_table **table)
{
    if (*table == NULL)
        return;
    ws_slab_destroy(&(*table)->flows);
    ws_slab_destroy(&(*table)->chunks);
    ws_slab_destroy(&(*table)->byte_slots);
    free((*table)->slots);
    free((*table)->order);
    free((*table)->stored);
    free((*table)->stored_slots);
    free(*table);
    *table = NULL;
}

const ws_flow_counters *ws_flow_table_counters(const ws_flow_table *table)
{
    return &table->counters;
}

/* Difference of two times of any input, without overflow. */
static int64_t time_between(int64_t from, int64_t to)
{
    int64_t difference;
    if (__builtin_sub_overflow(to, from, &difference))
        return to > from ? INT64_MAX : INT64_MIN;
    return difference;
}

void ws_flow_table_set_window_origin(ws_flow_table *table, int64_t origin_ns)
{
    table->window_origin_ns = origin_ns;
}

int64_t ws_flow_window_of(int64_t origin_ns, int64_t window_ns, int64_t time_ns)
{
    const int64_t since = time_between(origin_ns, time_ns);
    return since / window_ns - (since % window_ns < 0);
}

/* All time is one where there are no windows. */
static int64_t window_of(const ws_flow_table *table, int64_t time_ns)
{
    return table->rules.keys_whole ? 0 : ws_flow_window_of(table->window_origin_ns, table->rules.window_ns, time_ns);
}

/* Whether the packet still belongs to the flow; where not, the flow is over. */
static bool flow_takes(const ws_flow_table *table, live_flow *flow, const ws_packet *packet)
{
    const ws_flow_rules *rules = &table->rules;
    if (rules->windows_alone)
        return true; /* found by its window */
    if (rules->window_ns > 0 && window_of(table, packet->time_ns) > window_of(table, flow->first_ns)) {
        if (flow->state != STATE_LINGERING)
            flow->end = WS_FLOW_END_ACTIVE;
        flow->state = STATE_OVER;
        return false;
    }
    if (flow->state == STATE_LINGERING) {
        bool syn = (packet->tcp_flags & WS_TCP_SYN) != 0;
        if (!syn && time_between(flow->ended_ns, packet->time_ns) <= rules->linger_ns)
            return true;
        flow->state = STATE_OVER;
        return false;
    }
    int64_t age = time_between(flow->first_ns, packet->time_ns);
    /* Both can only come true at the newest time of the flow, so age - newest is the gap. */
    if (age < flow->sums.newest)
        return true;
    if (age - flow->sums.newest >= rules->idle_timeout_ns)
        flow->end = WS_FLOW_END_IDLE;
    else if (age >= rules->active_timeout_ns)
        flow->end = WS_FLOW_END_ACTIVE;
    else
        return true;
    flow->state = STATE_OVER;
    return false;
}

static void flow_linger(live_flow *flow, ws_flow_end end, int64_t time_ns)
{
    flow->state = STATE_LINGERING;
    flow->end = (uint8_t)end;
    flow->ended_ns = time_ns;
}

/* Follows RST and the FIN exchange of an open flow. */
static void flow_watch_end(live_flow *flow, const ws_packet *packet, int sender)
{
    if (packet->tcp_flags & WS_TCP_RST) {
        flow_linger(flow, WS_FLOW_END_RST, packet->time_ns);
        return;
    }
    if (packet->tcp_flags & WS_TCP_FIN) {
        bool syn = (packet->tcp_flags & WS_TCP_SYN) != 0;
        if (!(flow->fins & 1u << sender))
            flow->last_fin = (uint8_t)sender;
        flow->fins |= (uint8_t)(1u << sender);
        flow->fin_end[sender] = packet->sequence + packet->payload_length + syn + 1;
    }
    if (flow->fins == 3 && sender != flow->last_fin && (packet->tcp_flags & WS_TCP_ACK) &&
        (int32_t)(packet->acknowledgement - flow->fin_end[flow->last_fin]) >= 0)
        flow_linger(flow, WS_FLOW_END_FIN, packet->time_ns);
}

static ws_err keep_slot(ws_flow_table *table, packet_chunk *chunk, const uint8_t *packet_bytes)
{
    byte_slot *kept = NULL;
    WS_TRY(ws_slab_take(&table->byte_slots, &kept));
    memcpy(kept->bytes, packet_bytes, table->slot_size);
    kept->next = chunk->slots;
    chunk->slots = kept;
    return WS_OK;
}

static ws_err flow_store(ws_flow_table *table, live_flow *flow, const ws_packet *packet, const uint8_t *packet_bytes,
                         int sender, int64_t offset_ns)
{
    uint32_t at = flow->stored % CHUNK_PACKETS;
    if (at == 0) {
        packet_chunk *chunk = NULL;
        WS_TRY(ws_slab_take(&table->chunks, &chunk));
        chunk->next = NULL;
        chunk->slots = NULL;
        if (flow->last_chunk != NULL)
            flow->last_chunk->next = chunk;
        else
            flow->first_chunk = chunk;
        flow->last_chunk = chunk;
    }
    flow->last_chunk->packets[at] = (ws_flow_packet){.offset_ns = offset_ns,
                                                     .wire_length = packet->wire_length,
                                                     .ip_length = packet->ip_length,
                                                     .payload_length = packet->payload_length,
                                                     .header_length = packet->header_length,
                                                     .window = packet->window,
                                                     .tcp_flags = packet->tcp_flags,
                                                     .direction = (int8_t)sender,
                                                     .protocol = packet->protocol,
                                                     .source_port = packet->source_port,
                                                     .destination_port = packet->destination_port};
    if (flow->stored < table->rules.bytes.packets)
        WS_TRY(keep_slot(table, flow->last_chunk, packet_bytes));
    flow->stored++;
    return WS_OK;
}

static ws_err flow_append(ws_flow_table *table, live_flow *flow, const ws_packet *packet, const uint8_t *packet_bytes,
                          int sender)
{
    int64_t offset_ns = time_between(flow->first_ns, packet->time_ns);
    if (flow->stored < table->rules.max_packets)
        WS_TRY(flow_store(table, flow, packet, packet_bytes, sender, offset_ns));
    table->counters.negative_gaps +=
        ws_flow_sums_add(&flow->sums, sender, offset_ns, packet->ip_length, packet->payload_length, packet->tcp_flags);
    const uint64_t wire = packet->wire_length < UINT16_MAX ? packet->wire_length : UINT16_MAX;
    flow->sums.wire_lengths += wire;
    flow->sums.wire_squares += wire * wire;
    if (flow->syn_sender == UNDECIDED && (packet->tcp_flags & WS_TCP_SYN)) /* the answer to a SYN has ACK */
        flow->syn_sender = (uint8_t)(packet->tcp_flags & WS_TCP_ACK ? 1 - sender : sender);
    if (flow->state == STATE_OPEN && packet->protocol == 6 && !table->rules.windows_alone)
        flow_watch_end(flow, packet, sender);
    return WS_OK;
}

static ws_err flow_start(ws_flow_table *table, slot *at, const ws_flow_key *key, uint64_t hash, const ws_packet *packet,
                         int sender)
{
    WS_TRY(WS_GROW(table->order, table->order_capacity, table->order_count + 1));
    live_flow *flow = NULL;
    WS_TRY(ws_slab_take(&table->flows, &flow));
    memset(flow, 0, sizeof *flow);
    flow->key = *key;
    flow->hash = hash;
    flow->first_ordinal = packet->ordinal;
    flow->first_ns = packet->time_ns;
    flow->first_sender = (uint8_t)sender;
    flow->syn_sender = UNDECIDED;
    table->order[table->order_count++] = flow;
    table->slots_used += at->flow == NULL;
    at->hash = hash;
    at->flow = flow;
    if (++table->counters.live > table->counters.peak_live)
        table->counters.peak_live = table->counters.live;
    return WS_OK;
}

/* A packet on its way into the table. */
typedef struct arrival {
    ws_flow_key key;
    uint64_t hash;
    size_t slot; /* where slot_probe stopped */
    bool source_is_low;
} arrival;

static ws_err check_order(ws_flow_table *table, const ws_packet *packet)
{
    if (!table->started || packet->input != table->input) {
        WS_CHECK(table->order_count == 0, INTERNAL, "packets of input %u came before input %u was closed",
                 packet->input, table->input);
        table->started = true;
        table->input = packet->input;
        table->next_ordinal = 0;
    }
    WS_CHECK(packet->ordinal >= table->next_ordinal || table->rules.by_time, INTERNAL,
             "packet %llu of input %u came after packet %llu", (unsigned long long)packet->ordinal, packet->input,
             (unsigned long long)table->next_ordinal - 1);
    table->next_ordinal = packet->ordinal + 1;
    return WS_OK;
}

/* Fetches what a packet will touch: first its slot, some packets later what the slot points at. */
static void fetch_slot(const ws_flow_table *table, const ws_packet *packet, arrival *next)
{
    ws_flow_key_of(packet, &next->key, &next->source_is_low);
    next->hash = ws_flow_key_hash(&next->key);
    if (table->rules.windows_alone) /* times an odd number: a key has another hash in every window */
        next->hash += (uint64_t)window_of(table, packet->time_ns) * UINT64_C(0x9e3779b97f4a7c15);
    __builtin_prefetch(&table->slots[home_of(table, next->hash)]);
}

static void fetch_flow(const ws_flow_table *table, arrival *next)
{
    next->slot = slot_probe(table, home_of(table, next->hash), next->hash);
    const live_flow *flow = table->slots[next->slot].flow;
    if (flow == NULL)
        return;
    __builtin_prefetch(&flow->key, 1);
    __builtin_prefetch(&flow->sums.of[next->source_is_low ? 0 : 1], 1);
    __builtin_prefetch(&flow->sums.gap_squares, 1);
}

static void fetch_chunk(const ws_flow_table *table, const arrival *next)
{
    const live_flow *flow = table->slots[next->slot].flow;
    if (flow != NULL && flow->last_chunk != NULL)
        __builtin_prefetch(&flow->last_chunk->packets[flow->stored % CHUNK_PACKETS], 1);
}

static ws_err add_packet(ws_flow_table *table, const ws_packet *packet, const uint8_t *packet_bytes,
                         const arrival *from)
{
    WS_TRY(check_order(table, packet));
    int sender = from->source_is_low ? 0 : 1;
    slot *at = slot_find_from(table, from->slot, &from->key, from->hash);
    if (at->flow == NULL || !flow_takes(table, at->flow, packet))
        WS_TRY(flow_start(table, at, &from->key, from->hash, packet, sender));
    WS_TRY(flow_append(table, at->flow, packet, packet_bytes, sender));
    table->counters.packets++;
    table->counters.bytes += packet->ip_length;
    return WS_OK;
}

ws_err ws_flow_table_add(ws_flow_table *table, const ws_packet *packets, size_t count)
{
    return ws_flow_table_add_bytes(table, packets, NULL, count);
}

ws_err ws_flow_table_add_bytes(ws_flow_table *table, const ws_packet *packets, const uint8_t *slots, size_t count)
{
    enum { BATCH = 32 };
    arrival batch[BATCH];
    WS_CHECK((slots != NULL) == (table->slot_size > 0) || count == 0, INTERNAL, "packets came %s their bytes",
             slots != NULL ? "with" : "without");
    for (size_t begin = 0; begin < count; begin += BATCH) {
        size_t size = count - begin < BATCH ? count - begin : BATCH;
        if ((table->slots_used + size) * 2 > table->slot_count) /* not in the midst of a batch */
            WS_TRY(slots_double(table));
        for (size_t i = 0; i < size; i++)
            fetch_slot(table, &packets[begin + i], &batch[i]);
        for (size_t i = 0; i < size; i++)
            fetch_flow(table, &batch[i]);
        for (size_t i = 0; i < size; i++)
            fetch_chunk(table, &batch[i]);
        for (size_t i = 0; i < size; i++)
            WS_TRY(add_packet(table, &packets[begin + i], slots == NULL ? NULL : slots + (begin + i) * table->slot_size,
                              &batch[i]));
    }
    return WS_OK;
}

/* Whether the flow leaves at a closing point; sets its end where that is decided only now. */
static bool flow_leaves(const ws_flow_table *table, live_flow *flow, int64_t newest_ns, bool input_ends)
{
    const ws_flow_rules *rules = &table->rules;
    if (rules->windows_alone) {
        const int64_t behind = window_of(table, newest_ns) - window_of(table, flow->first_ns);
        flow->end = behind > 0 ? WS_FLOW_END_ACTIVE : WS_FLOW_END_INPUT;
        return input_ends || behind > WINDOWS_WAITED;
    }
    if (flow->state == STATE_OVER)
        return true;
    if (flow->state == STATE_LINGERING)
        return input_ends || time_between(flow->ended_ns, newest_ns) > rules->linger_ns;
    bool idle = time_between(flow->sums.newest, time_between(flow->first_ns, newest_ns)) >= rules->idle_timeout_ns;
    if (!idle && !input_ends)
        return false;
    flow->end = idle ? WS_FLOW_END_IDLE : WS_FLOW_END_INPUT;
    return true;
}

/* The slots of a flow's packets, in order, to `out`; how many. */
static uint32_t gather_slots(const ws_flow_table *table, const live_flow *flow, uint8_t *out)
{
    const uint32_t most = table->rules.bytes.packets, total = flow->stored < most ? flow->stored : most;
    const packet_chunk *chunk = flow->first_chunk;
    for (uint32_t begin = 0; begin < total; begin += CHUNK_PACKETS, chunk = chunk->next) {
        uint32_t at = total - begin < CHUNK_PACKETS ? total : begin + CHUNK_PACKETS;
        for (const byte_slot *kept = chunk->slots; kept != NULL; kept = kept->next)
            memcpy(out + --at * table->slot_size, kept->bytes, table->slot_size);
    }
    return total;
}

static ws_err flow_hand_out(ws_flow_table *table, const live_flow *live, uint64_t ordinal, ws_flow_sink sink,
                            void *context)
{
    int forward = live->first_sender;
    if (table->rules.direction_by_syn && live->syn_sender != UNDECIDED)
        forward = live->syn_sender;
    const bool low_private = table->rules.direction_by_private && ws_address_is_private(live->key.low_address);
    if (table->rules.direction_by_private && low_private != ws_address_is_private(live->key.high_address))
        forward = low_private ? 0 : 1;
    uint32_t filled = 0;
    for (const packet_chunk *chunk = live->first_chunk; chunk != NULL; chunk = chunk->next) {
        __builtin_prefetch(chunk->next);
        for (uint32_t i = 0; i < CHUNK_PACKETS && filled < live->stored; i++, filled++) {
            table->stored[filled] = chunk->packets[i];
            table->stored[filled].direction = chunk->packets[i].direction == forward ? 1 : -1;
        }
    }
    ws_flow flow = {.key = live->key,
                    .forward_is_low = forward == 0,
                    .end = live->end,
                    .input = table->input,
                    .first_ordinal = live->first_ordinal,
                    .left_at = ordinal,
                    .first_ns = live->first_ns,
                    .last_ns = live->first_ns + live->sums.newest,
                    .wire_bytes = live->sums.wire_lengths,
                    .wire_squares = live->sums.wire_squares,
                    .gap_squares = live->sums.gap_squares,
                    .packet_count = live->stored,
                    .stored = table->stored,
                    .slots = table->stored_slots};
    if (table->slot_size > 0)
        flow.slot_bytes = gather_slots(table, live, table->stored_slots) * table->slot_size;
    for (int i = 0; i < 2; i++) {
        int sender = i == 0 ? forward : 1 - forward;
        flow.packets[i] = live->sums.of[sender].packets;
        flow.bytes[i] = live->sums.of[sender].lengths;
        flow.payload_bytes[i] = live->sums.of[sender].payloads;
        flow.longest_payload[i] = live->sums.of[sender].longest_payload;
    }
    ws_flow_sums_features(&live->sums, forward, flow.features);
    table->counters.flows++;
    table->counters.ended[live->end]++;
    return sink(context, &flow);
}

static void flow_release(ws_flow_table *table, live_flow *flow)
{
    slot *at = slot_find(table, &flow->key, flow->hash);
    if (at->flow == flow) /* else a later flow of the key has taken the slot */
        slot_clear(table, at);
    for (packet_chunk *chunk = flow->first_chunk; chunk != NULL;) {
        packet_chunk *next = chunk->next;
        for (byte_slot *kept = chunk->slots, *later; kept != NULL; kept = later) {
            later = kept->next;
            ws_slab_give(&table->byte_slots, kept);
        }
        ws_slab_give(&table->chunks, chunk);
        chunk = next;
    }
    ws_slab_give(&table->flows, flow);
    table->counters.live--;
}

/* Flows that come up soon, and the first packets of one that comes up sooner. */
enum { FETCH_AHEAD = 8 };
static void fetch_leaving(const ws_flow_table *table, const live_flow *later, const live_flow *sooner)
{
    for (size_t line = 0; line < sizeof *later; line += 64)
        __builtin_prefetch((const char *)later + line);
    __builtin_prefetch(&table->slots[home_of(table, sooner->hash)]);
    if (sooner->first_chunk != NULL)
        for (size_t line = 0; line < sizeof(packet_chunk); line += 64)
            __builtin_prefetch((const char *)sooner->first_chunk + line);
}

static int compare_live(const void *a, const void *b)
{
    const live_flow *x = *(live_flow *const *)a, *y = *(live_flow *const *)b;
    return (x->first_ordinal > y->first_ordinal) - (x->first_ordinal < y->first_ordinal);
}

static void bring_into_order(ws_flow_table *table)
{
    if ((table->unordered || table->rules.by_time) && table->order_count > 0)
        qsort(table->order, table->order_count, sizeof(live_flow *), compare_live);
    table->unordered = false;
}

ws_err ws_flow_table_close(ws_flow_table *table, uint64_t ordinal, int64_t newest_ns, bool input_ends,
                           ws_flow_sink sink, void *context)
{
    size_t kept = 0, i = 0;
    ws_err error = WS_OK;
    bring_into_order(table);
    for (; i < table->order_count && error == WS_OK; i++) {
        live_flow *flow = table->order[i];
        if (i + FETCH_AHEAD < table->order_count)
            fetch_leaving(table, table->order[i + FETCH_AHEAD], table->order[i + FETCH_AHEAD / 2]);
        if (!flow_leaves(table, flow, newest_ns, input_ends)) {
            table->order[kept++] = flow;
            continue;
        }
        error = flow_hand_out(table, flow, ordinal, sink, context);
        flow_release(table, flow);
    }
    for (; i < table->order_count; i++)
        table->order[kept++] = table->order[i];
    table->order_count = kept;
    if (input_ends)
        table->started = false;
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* ---------------------------------------------------------------- making room */
size_t ws_flow_table_bytes(const ws_flow_table *table)
{
    return table->flows.taken * table->flows.item_bytes + table->chunks.taken * table->chunks.item_bytes +
           table->byte_slots.taken * table->byte_slots.item_bytes + table->slot_count * sizeof *table->slots +
           table->order_capacity * sizeof *table->order;
}

/* As saved: this, then the stored packets, then the slots of the first of them. */
typedef struct saved_flow {
    uint32_t input, reserved;
    live_flow flow;
} saved_flow;

static size_t saved_most(const ws_flow_table *table)
{
    return sizeof(saved_flow) + table->rules.max_packets * sizeof(ws_flow_packet) +
           table->rules.bytes.packets * table->slot_size;
}

static size_t write_saved(const ws_flow_table *table, const live_flow *flow, uint8_t *out)
{
    saved_flow saved = {.input = table->input, .flow = *flow};
    saved.flow.first_chunk = saved.flow.last_chunk = NULL;
    memcpy(out, &saved, sizeof saved);
    size_t at = sizeof saved;
    uint32_t left = flow->stored;
    for (const packet_chunk *chunk = flow->first_chunk; chunk != NULL; chunk = chunk->next) {
        size_t count = left < CHUNK_PACKETS ? left : CHUNK_PACKETS;
        memcpy(out + at, chunk->packets, count * sizeof *chunk->packets);
        at += count * sizeof *chunk->packets;
        left -= (uint32_t)count;
    }
    if (table->slot_size > 0)
        at += gather_slots(table, flow, out + at) * table->slot_size;
    return at;
}

ws_err ws_flow_table_copy(ws_flow_table *table, ws_flow_save_sink sink, void *context)
{
    uint8_t *bytes = NULL;
    ws_err error = WS_OK;
    WS_TRY(ws_alloc(&bytes, 1, saved_most(table)));
    bring_into_order(table);
    for (size_t i = 0; i < table->order_count && error == WS_OK; i++)
        error = sink(context, &table->order[i]->key, bytes, write_saved(table, table->order[i], bytes));
    free(bytes);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

ws_err ws_flow_table_save(ws_flow_table *table, ws_flow_save_sink sink, void *context)
{
    uint8_t *bytes = NULL;
    ws_err error = WS_OK;
    WS_TRY(ws_alloc(&bytes, 1, saved_most(table)));
    bring_into_order(table);
    size_t i = 0;
    for (; i < table->order_count && error == WS_OK; i++) {
        live_flow *flow = table->order[i];
        error = sink(context, &flow->key, bytes, write_saved(table, flow, bytes));
        flow_release(table, flow);
    }
    size_t left = 0;
    for (; i < table->order_count; i++)
        table->order[left++] = table->order[i];
    table->order_count = left;
    table->started = false;
    free(bytes);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

static ws_err restore_packets(ws_flow_table *table, live_flow *flow, const uint8_t *packets)
{
    const uint8_t *slots = packets + flow->stored * sizeof(ws_flow_packet);
    uint32_t slots_left = flow->stored < table->rules.bytes.packets ? flow->stored : table->rules.bytes.packets;
    for (uint32_t left = flow->stored; left > 0;) {
        packet_chunk *chunk = NULL;
        WS_TRY(ws_slab_take(&table->chunks, &chunk));
        chunk->next = NULL;
        chunk->slots = NULL;
        *(flow->last_chunk != NULL ? &flow->last_chunk->next : &flow->first_chunk) = chunk;
        flow->last_chunk = chunk;
        uint32_t count = left < CHUNK_PACKETS ? left : CHUNK_PACKETS;
        memcpy(chunk->packets, packets, count * sizeof *chunk->packets);
        packets += count * sizeof *chunk->packets;
        left -= count;
        for (uint32_t i = 0; i < count && slots_left > 0; i++, slots_left--, slots += table->slot_size)
            WS_TRY(keep_slot(table, chunk, slots));
    }
    return WS_OK;
}

ws_err ws_flow_table_restore(ws_flow_table *table, const void *bytes, size_t count)
{
    saved_flow saved;
    WS_CHECK(count >= sizeof saved, INTERNAL, "%zu bytes are no saved flow", count);
    memcpy(&saved, bytes, sizeof saved);
    const uint32_t most = table->rules.bytes.packets, slots = saved.flow.stored < most ? saved.flow.stored : most;
    WS_CHECK(count == sizeof saved + saved.flow.stored * sizeof(ws_flow_packet) + slots * table->slot_size, INTERNAL,
             "a saved flow of %u packets has %zu bytes", saved.flow.stored, count);
    WS_TRY(WS_GROW(table->order, table->order_capacity, table->order_count + 1));
    if ((table->slots_used + 1) * 2 > table->slot_count)
        WS_TRY(slots_double(table));
    live_flow *flow = NULL;
    WS_TRY(ws_slab_take(&table->flows, &flow));
    *flow = saved.flow;
    if (table->order_count > 0 && table->order[table->order_count - 1]->first_ordinal > flow->first_ordinal)
        table->unordered = true;
    table->order[table->order_count++] = flow;
    table->counters.live++;
    table->started = true;
    table->input = saved.input;
    table->next_ordinal = 0; /* of the packets that follow */
    WS_TRY(restore_packets(table, flow, (const uint8_t *)bytes + sizeof saved));
    if (flow->state == STATE_OVER) /* a later flow of the key has the slot */
        return WS_OK;
    slot *at = slot_find(table, &flow->key, flow->hash);
    WS_CHECK(at->flow == NULL, INTERNAL, "two live flows of one key were saved");
    *at = (slot){flow->hash, flow};
    table->slots_used++;
    return WS_OK;
}
