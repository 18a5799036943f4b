/* Runs the scripts: a heap gives out packets in time order and records that are no flow are strewn in. */
#include <errno.h>
#include <stdlib.h>
#include "synthetic.h"

enum { CLOSING_INTERVAL = 1 << 20 }; /* records between closing points: DESIGN "When rows leave" */

typedef struct generator {
    const synthetic_options *options;
    synthetic_counts *counts;
    capture_file file;
    FILE *truth, *labels;
    script **heap; /* the script whose next packet is earliest on top; ties by index */
    size_t live, capacity;
    uint64_t started, planned_flows;
    int64_t next_start_ns;
    uint8_t *frame;
} generator;

static bool earlier(const script *a, const script *b)
{
    int64_t ta = a->packets[a->next].time_ns, tb = b->packets[b->next].time_ns;
    return ta < tb || (ta == tb && a->index < b->index);
}

static void sift_down(script **heap, size_t live, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < live; child++)
            if (earlier(heap[child], heap[least]))
                least = child;
        if (least == at)
            return;
        script *swapped = heap[at];
        heap[at] = heap[least];
        heap[least] = swapped;
        at = least;
    }
}

static ws_err push(generator *g, script *s)
{
    WS_TRY(WS_GROW(g->heap, g->capacity, g->live + 1));
    size_t at = g->live++;
    g->heap[at] = s;
    while (at > 0 && earlier(g->heap[at], g->heap[(at - 1) / 2])) {
        script *swapped = g->heap[at];
        g->heap[at] = g->heap[(at - 1) / 2];
        g->heap[(at - 1) / 2] = swapped;
        at = (at - 1) / 2;
    }
    return WS_OK;
}

static ws_err start_script(generator *g)
{
    script *s = NULL;
    WS_TRY(WS_NEW(s));
    uint64_t left = (uint64_t)g->options->flows - g->planned_flows;
    ws_err error = script_plan(s, g->options, g->started, g->next_start_ns, left);
    if (error == WS_OK)
        error = push(g, s);
    if (error != WS_OK) {
        script_destroy(s);
        free(s);
        return error;
    }
    g->planned_flows += (uint64_t)s->segments;
    draw d = {(uint64_t)g->options->seed, ~g->started, 0};
    g->next_start_ns += 1000 * (1 + (int64_t)draw_exponential(&d, 20000)); /* 20 ms apart in the mean */
    g->started++;
    return WS_OK;
}

/* Records that must be skipped and counted: ARP and ICMP. */
static ws_err strew(generator *g, int64_t time_ns)
{
    uint64_t dice = ws_mix64(g->file.records ^ (uint64_t)g->options->seed << 32) % 400;
    uint32_t length = 0;
    if (dice == 0) {
        length = frame_build_arp(g->options, g->file.records, g->frame);
        g->counts->not_ip += length > 0;
    } else if (dice == 1) {
        length = frame_build_icmp(g->options, g->file.records, g->frame);
        g->counts->protocol_other++;
    }
    return length ? capture_file_record(&g->file, time_ns, g->frame, length) : WS_OK;
}

/* A straggler belongs to its ended flow only while that flow has not left at a closing point. */
static bool must_be_left_out(generator *g, script *s, const script_packet *p)
{
    if (p->straggler)
        return g->file.records / CLOSING_INTERVAL != s->finish_ordinal / CLOSING_INTERVAL;
    s->finish_ordinal = g->file.records;
    return false;
}

static ws_err emit_packet(generator *g, script *s, script_packet *p)
{
    WS_TRY(strew(g, p->time_ns));
    p->left_out = must_be_left_out(g, s, p);
    if (p->left_out)
        return WS_OK;
    p->ordinal = g->file.records;
    uint32_t length = frame_build(s, p, 0, g->options, g->frame, &p->ip_length);
    WS_TRY(capture_file_record(&g->file, p->time_ns, g->frame, length));
    g->counts->packets++;
    if (p->fragmented) {
        uint32_t unused;
        length = frame_build(s, p, 1, g->options, g->frame, &unused);
        WS_TRY(capture_file_record(&g->file, p->time_ns, g->frame, length));
        g->counts->fragment_later++;
    }
    return WS_OK;
}

static void retire_top(generator *g)
{
    script *s = g->heap[0];
    truth_script(s, ws_path_base(g->options->output), g->truth, g->labels);
    g->counts->flows += (uint64_t)s->segments;
    script_destroy(s);
    free(s);
    g->heap[0] = g->heap[--g->live];
}

static ws_err run(generator *g)
{
    WS_TRY(capture_file_begin(&g->file));
    for (;;) {
        bool more = g->planned_flows < (uint64_t)g->options->flows;
        if (!more && g->live == 0)
            break;
        if (more && (g->live == 0 || g->next_start_ns <= g->heap[0]->packets[g->heap[0]->next].time_ns)) {
            WS_TRY(start_script(g));
            continue;
        }
        script *s = g->heap[0];
        WS_TRY(emit_packet(g, s, &s->packets[s->next]));
        if (++s->next == s->count)
            retire_top(g);
        sift_down(g->heap, g->live, 0);
    }
    g->counts->records = g->file.records;
    return WS_OK;
}

/* Opens NAME.partial; finish_file gives it its final name. */
static ws_err open_file(const char *path, FILE **out)
{
    *out = NULL;
    if (!path)
        return WS_OK;
    char *partial = ws_format("%s.partial", path);
    WS_CHECK(partial, MEMORY, "out of memory");
    *out = fopen(partial, "wb");
    free(partial);
    WS_CHECK(*out, IO, "cannot write %s.partial: %s", path, strerror(errno));
    setvbuf(*out, NULL, _IOFBF, 1 << 20);
    return WS_OK;
}

/* Gives a complete file its final name and removes an incomplete one. */
static ws_err finish_file(const char *path, FILE *file, ws_err error)
{
    if (!file)
        return error;
    bool written = !ferror(file);
    written = fclose(file) == 0 && written;
    char *partial = ws_format("%s.partial", path);
    WS_CHECK(partial, MEMORY, "out of memory");
    if (error == WS_OK && (!written || rename(partial, path) != 0))
        error = WS_ERROR(IO, "cannot write %s: %s", path, strerror(errno));
    if (error != WS_OK)
        remove(partial);
    free(partial);
    return error;
}

ws_err synthetic_write(const synthetic_options *options, synthetic_counts *counts)
{
    generator g = {.options = options, .counts = counts, .next_start_ns = 1700000000 * (int64_t)1000000000};
    *counts = (synthetic_counts){0};
    g.file.options = options;
    ws_err error = WS_NEW_ARRAY(g.frame, FRAME_BYTES);
    if (error == WS_OK)
        error = open_file(options->output, &g.file.stream);
    if (error == WS_OK)
        error = open_file(options->truth, &g.truth);
    if (error == WS_OK)
        error = open_file(options->labels, &g.labels);
    if (error == WS_OK) {
        truth_header(g.truth, g.labels);
        error = run(&g);
    }
    error = finish_file(options->truth, g.truth, error);
    error = finish_file(options->labels, g.labels, error);
    error = finish_file(options->output, g.file.stream, error);
    for (size_t k = 0; k < g.live; k++) {
        script_destroy(g.heap[k]);
        free(g.heap[k]);
    }
    free(g.heap);
    free(g.frame);
    return error;
}
