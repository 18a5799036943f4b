/* Plans scripts: what the clients and servers of each class send, and when. Classes overlap on purpose, and some flows
 * of a class behave like another class, so that no learner can tell them apart without error. */
#include <math.h>
#include <stdlib.h>
#include "synthetic.h"

enum { CLIENT, SERVER };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { WEB, DNS, VIDEO, CHAT, SCAN, FLOOD, BRUTE_FORCE };
static const int64_t second_ns = 1000000000, millisecond_ns = 1000000;
static const int64_t idle_ns = 120 * (int64_t)1000000000, active_ns = 1800 * (int64_t)1000000000;

/* The first K are used; benign and attack classes alternate so that K = 2 is already a task. */
const synthetic_class synthetic_classes[SYNTHETIC_CLASSES] = {
    {"web", "benign", 0.30},  {"scan", "attack", 0.10},  {"dns", "benign", 0.18},        {"flood", "attack", 0.07},
    {"chat", "benign", 0.14}, {"video", "benign", 0.13}, {"brute_force", "attack", 0.08}};
static const int class_shape[SYNTHETIC_CLASSES] = {WEB, SCAN, DNS, FLOOD, CHAT, VIDEO, BRUTE_FORCE};

/* ---------------------------------------------------------------- draws */
uint64_t draw_u64(draw *d)
{
    return ws_random_u64(d->seed, WS_RANDOM_SYNTHETIC, d->step++, d->row);
}

double draw_unit(draw *d)
{
    return (double)(draw_u64(d) >> 11) * 0x1p-53;
}

bool draw_chance(draw *d, double probability)
{
    return draw_unit(d) < probability;
}

int64_t draw_between(draw *d, int64_t low, int64_t high)
{
    return low + (int64_t)(draw_u64(d) % (uint64_t)(high - low + 1));
}

/* 2^x by the Taylor series of its fraction: no libm, whose last bit depends on the machine. */
static double power_of_two(double x)
{
    double whole = floor(x), y = (x - whole) * 0.693147180559945309417, term = 1, sum = 1;
    for (int k = 1; k < 16; k++) {
        term *= y / k;
        sum += term;
    }
    return ldexp(sum, (int)whole);
}

double draw_log_normal(draw *d, double median, double sigma)
{
    double normal = -2;
    for (int k = 0; k < 4; k++)
        normal += draw_unit(d);
    return median * power_of_two(normal * 1.73205080756887729 * sigma * 1.44269504088896341);
}

double draw_exponential(draw *d, double mean)
{
    return -mean * ws_fixed_log(1 - draw_unit(d));
}

/* ---------------------------------------------------------------- building blocks */
typedef struct planner {
    script *s;
    draw *d;
    int64_t now_ns, unit_ns, rtt_ns;
    bool finished; /* the last segment ended by RST or a FIN exchange */
    ws_err error;
} planner;

static script_packet *add(planner *p, int64_t gap_ns, int direction, int flags, int64_t payload)
{
    static script_packet lost; /* takes what does not fit in memory; p->error then ends the plan */
    script *s = p->s;
    if (p->error == WS_OK)
        p->error = WS_GROW(s->packets, s->capacity, s->count + 1);
    if (p->error != WS_OK)
        return &lost;
    p->now_ns += gap_ns / p->unit_ns * p->unit_ns;
    script_packet *packet = &s->packets[s->count++];
    *packet = (script_packet){.time_ns = p->now_ns, .payload = (uint32_t)payload, .direction = (uint8_t)direction};
    packet->segment = (uint8_t)(s->segments - 1);
    if (s->protocol == 6) {
        packet->flags = (uint8_t)flags;
        packet->window = (uint16_t)(direction == CLIENT ? 29200 + (int64_t)(s->index % 4096) : 65160 - payload);
    }
    return packet;
}

/* Milliseconds, log-normal, at most 100 s: no time-out by accident. */
static int64_t pause_ms(planner *p, double median, double sigma)
{
    double pause = draw_log_normal(p->d, median, sigma);
    return (int64_t)((pause > 100000 ? 100000 : pause) * (double)millisecond_ns);
}

static int64_t size_around(planner *p, double median, double sigma, int64_t most)
{
    int64_t size = (int64_t)draw_log_normal(p->d, median, sigma) + 1;
    return size > most ? most : size;
}

static void handshake(planner *p)
{
    add(p, 0, CLIENT, SYN, 0);
    if (draw_chance(p->d, 0.03)) /* the first one was lost */
        add(p, second_ns, CLIENT, SYN, 0);
    add(p, p->rtt_ns, SERVER, SYN | ACK, 0);
    add(p, p->rtt_ns / 50, CLIENT, ACK, 0);
}

static void reset(planner *p, int64_t gap_ns, int direction)
{
    add(p, gap_ns, direction, RST | ACK, 0);
    p->finished = true;
    if (draw_chance(p->d, 0.3)) /* what was still on its way */
        add(p, p->rtt_ns / 2, 1 - direction, ACK, draw_between(p->d, 0, 400))->straggler = true;
}

static void fin_exchange(planner *p, int64_t gap_ns, int direction)
{
    add(p, gap_ns, direction, FIN | ACK, 0);
    if (draw_chance(p->d, 0.5))
        add(p, p->rtt_ns / 3, 1 - direction, ACK, 0);
    add(p, p->rtt_ns, 1 - direction, FIN | ACK, 0);
    add(p, p->rtt_ns / 20, direction, ACK, 0);
    p->finished = true;
    if (draw_chance(p->d, 0.1))
        add(p, draw_between(p->d, 1, 2000) * millisecond_ns, 1 - direction, ACK, 0)->straggler = true;
}

static void finish(planner *p, bool must)
{
    double how = draw_unit(p->d);
    if (p->s->protocol != 6)
        return;
    if (how < 0.70)
        fin_exchange(p, pause_ms(p, 30, 1.0), draw_chance(p->d, 0.6) ? CLIENT : SERVER);
    else if (how < 0.85 || must)
        reset(p, pause_ms(p, 50, 1.0), draw_chance(p->d, 0.5) ? CLIENT : SERVER);
}

/* A request and its answer in full-sized packets, every second one acknowledged. */
static void exchange(planner *p, int64_t think_ns, int64_t request, int64_t answer)
{
    enum { FULL = 1380 };
    add(p, think_ns, CLIENT, PSH | ACK, request);
    int64_t gap = p->rtt_ns + pause_ms(p, 5, 1.0);
    for (int k = 0; answer > 0; k++) {
        int64_t part = answer < FULL ? answer : FULL;
        answer -= part;
        add(p, gap, SERVER, answer ? ACK : PSH | ACK, part);
        gap = draw_between(p->d, 20, 400) * 1000;
        if (p->s->protocol == 6 && k % 2)
            add(p, gap / 2, CLIENT, ACK, 0);
    }
}

/* ---------------------------------------------------------------- classes */
static void plan_web(planner *p)
{
    if (draw_chance(p->d, 0.05)) { /* nobody there: looks like a scan */
        add(p, 0, CLIENT, SYN, 0);
        if (draw_chance(p->d, 0.5))
            reset(p, p->rtt_ns, SERVER);
        else
            add(p, second_ns, CLIENT, SYN, 0);
        return;
    }
    handshake(p);
    int64_t requests = draw_between(p->d, 1, 4);
    for (int64_t k = 0; k < requests; k++)
        exchange(p, pause_ms(p, k ? 250 : 2, 1.2), size_around(p, 380, 0.5, 1380), size_around(p, 1500, 1.1, 12000));
    finish(p, false);
}

static void plan_dns(planner *p)
{
    int64_t queries = draw_chance(p->d, 0.25) ? 2 : 1;
    for (int64_t k = 0; k < queries; k++) {
        add(p, k ? pause_ms(p, 3, 1.0) : 0, CLIENT, 0, draw_between(p->d, 28, 62));
        if (draw_chance(p->d, 0.95)) {
            script_packet *answer = add(p, p->rtt_ns, SERVER, 0, size_around(p, 130, 0.6, 1200));
            answer->fragmented = answer->payload > 260 && p->s->ip_version == 4;
        }
    }
}

static void plan_video(planner *p)
{
    if (p->s->protocol == 6)
        handshake(p);
    add(p, pause_ms(p, 3, 0.5), CLIENT, PSH | ACK, size_around(p, 500, 0.4, 1380));
    int64_t packets = size_around(p, 15, 0.5, 70);
    for (int64_t k = 0; k < packets; k++) {
        add(p, pause_ms(p, 9, 0.8), SERVER, ACK, draw_between(p->d, 500, 1380));
        if (k % 3 == 2)
            add(p, p->rtt_ns / 40, CLIENT, ACK, p->s->protocol == 6 ? 0 : draw_between(p->d, 25, 60));
    }
    finish(p, false);
}

static void plan_chat(planner *p)
{
    if (p->s->protocol == 6)
        handshake(p);
    int64_t messages = size_around(p, 7, 0.5, 30);
    for (int64_t k = 0; k < messages; k++) {
        int side = draw_chance(p->d, 0.5) ? CLIENT : SERVER;
        add(p, pause_ms(p, 900, 1.1), side, PSH | ACK, size_around(p, 90, 0.6, 1000));
        if (p->s->protocol == 6)
            add(p, p->rtt_ns, 1 - side, ACK, 0);
    }
    finish(p, false);
}

static void plan_scan(planner *p)
{
    if (p->s->protocol != 6) { /* probe a UDP port */
        add(p, 0, CLIENT, 0, draw_between(p->d, 0, 48));
        if (draw_chance(p->d, 0.2))
            add(p, p->rtt_ns, SERVER, 0, draw_between(p->d, 20, 200));
        return;
    }
    add(p, 0, CLIENT, SYN, 0);
    double answer = draw_unit(p->d);
    if (answer < 0.5) {
        reset(p, p->rtt_ns, SERVER);
    } else if (answer < 0.62) {
        add(p, p->rtt_ns, SERVER, SYN | ACK, 0);
        reset(p, p->rtt_ns / 50, CLIENT);
    } else if (draw_chance(p->d, 0.3)) {
        add(p, second_ns, CLIENT, SYN, 0);
    }
}

static void plan_flood(planner *p)
{
    int64_t packets = size_around(p, p->s->protocol == 6 ? 4 : 18, 0.6, 80), size = draw_between(p->d, 60, 900);
    for (int64_t k = 0; k < packets; k++) {
        add(p, k ? pause_ms(p, 2.5, 1.0) : 0, CLIENT, SYN, p->s->protocol == 6 ? 0 : size);
        if (p->s->protocol != 6 && draw_chance(p->d, 0.08))
            add(p, p->rtt_ns / 30, SERVER, 0, draw_between(p->d, 40, 500));
    }
}

static void plan_brute_force(planner *p)
{
    handshake(p);
    int64_t tries = draw_between(p->d, 2, 7);
    for (int64_t k = 0; k < tries; k++)
        exchange(p, pause_ms(p, 120, 0.9), size_around(p, 110, 0.5, 700), size_around(p, 140, 0.6, 1380));
    finish(p, false);
}

static void plan_shape(planner *p, int shape)
{
    p->finished = false;
    switch (shape) {
    case WEB:
        plan_web(p);
        break;
    case DNS:
        plan_dns(p);
        break;
    case VIDEO:
        plan_video(p);
        break;
    case CHAT:
        plan_chat(p);
        break;
    case SCAN:
        plan_scan(p);
        break;
    case FLOOD:
        plan_flood(p);
        break;
    default:
        plan_brute_force(p);
    }
}

/* ---------------------------------------------------------------- keys that live longer than a flow */
static void next_segment(planner *p, int64_t gap_ns)
{
    p->now_ns += gap_ns;
    p->s->segments++;
}

/* The key again after the idle time-out; now and then the other side speaks first, so that forward changes. */
static void plan_idle_reuse(planner *p)
{
    next_segment(p, draw_chance(p->d, 0.25) ? idle_ns : idle_ns + draw_between(p->d, 1, 80000) * millisecond_ns);
    int first = draw_chance(p->d, 0.5) ? SERVER : CLIENT;
    add(p, 0, first, PSH | ACK, draw_between(p->d, 20, 300));
    add(p, p->rtt_ns, 1 - first, PSH | ACK, draw_between(p->d, 20, 300));
    add(p, p->rtt_ns, first, ACK, draw_between(p->d, 0, 40));
}

/* The key again soon after its connection ended: with SYN at any time, without one only after the 5 s of grace. */
static void plan_finished_reuse(planner *p)
{
    if (!p->finished)
        finish(p, true);
    bool with_syn = draw_chance(p->d, 0.7);
    next_segment(p, with_syn ? draw_between(p->d, 20, 4000) * millisecond_ns
                             : draw_between(p->d, 5500, 60000) * millisecond_ns);
    if (with_syn)
        handshake(p);
    exchange(p, pause_ms(p, 5, 0.5), size_around(p, 200, 0.5, 1000), size_around(p, 800, 0.8, 5000));
    finish(p, false);
}

/* Active past 1800 s: a packet at or after that age is the first of the next flow. */
static void plan_long_lived(planner *p)
{
    int64_t end_ns = p->now_ns + draw_between(p->d, 1850, 4000) * second_ns, first_ns = p->now_ns;
    bool exact = draw_chance(p->d, 0.4);
    if (p->s->count)
        first_ns = p->s->packets[0].time_ns;
    while (p->now_ns < end_ns && p->error == WS_OK) {
        int64_t gap = draw_between(p->d, 20000, 110000) * millisecond_ns, age = p->now_ns + gap - first_ns;
        if (exact && age > active_ns && age - active_ns < 60 * second_ns && gap > age - active_ns)
            gap -= age - active_ns;
        if (p->now_ns + gap - first_ns >= active_ns) {
            p->s->segments++;
            first_ns = p->now_ns + gap;
        }
        add(p, gap, draw_chance(p->d, 0.5) ? CLIENT : SERVER, PSH | ACK, draw_between(p->d, 10, 200));
    }
}

/* ---------------------------------------------------------------- scripts */
static int draw_class(draw *d, int64_t classes)
{
    double total = 0;
    for (int k = 0; k < classes; k++)
        total += synthetic_classes[k].weight;
    double at = draw_unit(d) * total;
    int class = 0;
    while (class < classes - 1 && at >= synthetic_classes[class].weight)
        at -= synthetic_classes[class ++].weight;
    return class;
}

/* Some flows of a class look like another one: the error no model can avoid. */
static int draw_shape(draw *d, int class)
{
    bool attack = synthetic_classes[class].family[0] == 'a';
    static const int benign[] = {WEB, DNS, VIDEO, CHAT}, attacks[] = {SCAN, FLOOD, BRUTE_FORCE};
    if (attack && draw_chance(d, 0.12))
        return benign[draw_between(d, 0, 3)];
    if (!attack && draw_chance(d, 0.02))
        return attacks[draw_between(d, 0, 2)];
    return class_shape[class];
}

static void draw_protocol_and_ports(script *s, draw *d, int shape)
{
    static const uint16_t server_port[] = {443, 53, 443, 5222, 0, 80, 22};
    static const double udp_share[] = {0, 1, 0.6, 0.2, 0.15, 0.6, 0};
    s->protocol = draw_chance(d, udp_share[shape]) ? 17 : 6;
    s->port[SERVER] = shape == SCAN ? (uint16_t)draw_between(d, 1, 1023) : server_port[shape];
    /* Client address and port name the script, so no key comes twice by accident. */
    s->port[CLIENT] = (uint16_t)(1024 + s->index % 64000);
}

static void draw_addresses(script *s, draw *d)
{
    uint64_t group = s->index / 64000;
    bool attack = synthetic_classes[s->class].family[0] == 'a';
    uint8_t host = (uint8_t)(attack && draw_chance(d, 0.7) ? draw_between(d, 201, 205) : draw_between(d, 1, 200));
    uint8_t server = (uint8_t)draw_between(d, 1, 60);
    s->ip_version = draw_chance(d, 0.2) ? 6 : 4;
    if (s->ip_version == 4) {
        memcpy(s->address[CLIENT], (uint8_t[4]){10, (uint8_t)(group >> 8), (uint8_t)group, host}, 4);
        memcpy(s->address[SERVER], (uint8_t[4]){198, 18, (uint8_t)s->port[SERVER], server}, 4);
        return;
    }
    memcpy(s->address[CLIENT], (uint8_t[8]){0x20, 0x01, 0x0d, 0xb8, 0, 1, (uint8_t)(group >> 8), (uint8_t)group}, 8);
    memcpy(s->address[SERVER], (uint8_t[8]){0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, (uint8_t)s->port[SERVER]}, 8);
    s->address[CLIENT][15] = host;
    s->address[SERVER][15] = server;
}

/* Large datagrams whose payload imitates records of the file: the boundary search must not be fooled. */
static void plan_imitation(planner *p, int64_t bytes)
{
    for (int64_t k = 0; k < 8; k++)
        add(p, k ? pause_ms(p, 20, 0.5) : 0, CLIENT, 0, bytes);
}

ws_err script_plan(script *s, const synthetic_options *options, uint64_t index, int64_t start_ns, uint64_t most_flows)
{
    draw d = {(uint64_t)options->seed, index, 0};
    int64_t unit_ns = options->nanoseconds ? 1 : 1000;
    planner p = {.s = s, .d = &d, .now_ns = start_ns / unit_ns * unit_ns, .unit_ns = unit_ns};
    s->index = index;
    s->segments = 1;
    s->class = draw_class(&d, options->classes);
    int shape = draw_shape(&d, s->class);
    draw_protocol_and_ports(s, &d, shape);
    s->imitates_records = options->adversarial && index % 40 == 7;
    if (s->imitates_records)
        s->protocol = 17;
    draw_addresses(s, &d);
    s->vlan_tags = options->link == LINK_ETHERNET && draw_chance(&d, 0.12) ? (uint8_t)draw_between(&d, 1, 2) : 0;
    s->time_stamp_option = draw_chance(&d, 0.5);
    s->extension_header = s->ip_version == 6 && draw_chance(&d, 0.1);
    s->sequence[0] = (uint32_t)draw_u64(&d);
    s->sequence[1] = (uint32_t)draw_u64(&d);
    p.rtt_ns = pause_ms(&p, 25, 0.7);
    if (s->imitates_records)
        plan_imitation(&p, options->adversarial);
    else
        plan_shape(&p, shape);
    double kind = draw_unit(&d);
    if (most_flows >= SYNTHETIC_MOST_SEGMENTS && !s->imitates_records) {
        if (kind < 0.02)
            plan_idle_reuse(&p);
        else if (kind < 0.04 && s->protocol == 6)
            plan_finished_reuse(&p);
        else if (kind < 0.045 && !p.finished)
            plan_long_lived(&p);
    }
    return p.error;
}

void script_destroy(script *s)
{
    free(s->packets);
    *s = (script){0};
}
