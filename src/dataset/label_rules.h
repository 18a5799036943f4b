/* label_rules: labels by rules kept as data: configs/datasets/<family>.json. One engine for every family; a family that
 * needs no more has no code of its own.
 *
 * The file is built into the program; `extract --config FILE` takes another one. It is an object with
 *
 *   description                     text for people
 *   idle_timeout, active_timeout, direction    flow rules of the family, as the settings of `extract`
 *   levels                          names of the label levels; every rule gives classes of them
 *   attempted_level                 name of one more level: the first level's class, with " - Attempted" behind it where
 *                                   the flow is an attempt (below)
 *   rules                           list of rules, see label_rules_read.c for their keys; the first that matches wins
 *   otherwise                       a rule for flows that none of them matches
 *
 * A rule matches when every condition it has holds. Endpoint conditions (source, ports, packets and payload forward)
 * are those of the rule: with "direction": "any" (the default) a flow whose first packet was the answer matches too,
 * and forward then means from the rule's source. Times are those of the flow's first packet, both ends inclusive.
 *
 * Attempts: flows of an attack that did nothing (no payload arrived, the target was down, ...), 1 + category in
 * /labels/attempted with the categories 0 to 6 of Liu, Engelen, Lynar, Essam and Joosen (CNS 2022); 0 for all others.
 * They have no class in the ordinary levels, so they neither train nor test unless asked for by attempted_level.
 */
#ifndef WS_DATASET_LABEL_RULES_H
#define WS_DATASET_LABEL_RULES_H

#include "dataset/labels.h"

enum { WS_RULE_NONE = -1, WS_RULE_OTHERWISE = -2 };

/* file: NULL takes the one built in for the family. All faults of a file are one WS_E_CONFIG, a line each. */
WS_MUST ws_err ws_label_rules_read(ws_label_rules **out, const char *family, const char *file);
void ws_label_rules_destroy(ws_label_rules **rules);
bool ws_label_rules_exist(const char *family); /* built in */

/* The flow rules of the file; what it leaves open stays. */
void ws_label_rules_flow(const ws_label_rules *rules, ws_flow_rules *out);
const ws_label_level *ws_label_rules_levels(const ws_label_rules *rules, size_t *count);
bool ws_label_rules_attempted(const ws_label_rules *rules); /* some rule tells attempts */

/* Which rules speak of which inputs (paths); before the first look-up. */
WS_MUST ws_err ws_label_rules_bind(ws_label_rules *rules, const ws_string_list *inputs);
/* The rule that labels the flow, WS_RULE_NONE or WS_RULE_OTHERWISE; classes[levels] and *attempted are set. Counts. */
int ws_label_rules_find(ws_label_rules *rules, const ws_flow *flow, int32_t *classes, uint8_t *attempted);

/* Sums over ranks: [{"name":..,"asked":..,"matched":..,"overridden":..,"attempted":..}, ...] appended to out. asked: flows
 * of the inputs the rule speaks of; overridden: flows it matched too, that an earlier rule had given another class.
 * The first rank prints a line a rule that matched. */
WS_MUST ws_err ws_label_rules_report_all(const ws_comm *comm, const ws_label_rules *rules, ws_text *out);

/* ---------------------------------------------------------------- between the two files of the engine */
typedef struct ws_rule_range {
    int64_t low, high;
    bool excluded;
} ws_rule_range;
typedef struct ws_rule_ranges {
    const ws_rule_range *items;
    size_t count;
} ws_rule_ranges;
typedef struct ws_rule_prefix {
    uint8_t address[16];
    int bits; /* of 128 */
} ws_rule_prefix;
typedef struct ws_rule_prefixes {
    const ws_rule_prefix *items;
    size_t count;
} ws_rule_prefixes;

/* What a flow is measured by; the order of ws_rule.measures. Forward: from the rule's source. */
enum {
    WS_RULE_SOURCE_PORT,
    WS_RULE_DESTINATION_PORT,
    WS_RULE_FORWARD_PACKETS,
    WS_RULE_BACKWARD_PACKETS,
    WS_RULE_FORWARD_PAYLOAD,
    WS_RULE_BACKWARD_PAYLOAD,
    WS_RULE_FORWARD_LONGEST,
    WS_RULE_BACKWARD_LONGEST,
    WS_RULE_MEASURES
};

typedef struct ws_rule {
    const char *name;
    ws_string_list input, directory; /* patterns */
    int64_t from_ns, to_ns;
    uint8_t protocols[4];
    size_t protocol_count;
    ws_rule_prefixes source, destination, host;
    ws_rule_ranges measures[WS_RULE_MEASURES];
    bool forward_only, attempted_without_payload;
    int attempted;                        /* category, -1: no attempt */
    int32_t classes[WS_LABEL_LEVELS_MAX]; /* -1: none */
    int32_t attempted_class;              /* at attempted_level */
} ws_rule;

struct ws_label_rules {
    ws_arena *arena;
    double idle_timeout, active_timeout; /* 0: left open */
    bool direction_by_syn, direction_by_private, has_attempted;
    ws_label_level levels[WS_LABEL_LEVELS_MAX];
    size_t level_count;
    int attempted_level; /* its index, -1: none */
    ws_rule *rules;      /* [rule_count + 1]: the last is `otherwise`, where there is one */
    size_t rule_count;
    bool has_otherwise;
    uint8_t *speaks; /* [inputs][rule_count + 1] */
    struct ws_rule_counters {
        uint64_t asked, matched, overridden, attempted;
    } * counters; /* [rule_count + 1] */
};

#endif
