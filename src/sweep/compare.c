/* Two records of one trial: whether their `result` parts are the same bits, the same within a tolerance, or not, and where they
 * first differ. Nothing is run here. */
#include "sweep/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct comparer {
    double tolerance; /* 0: bits */
    double largest;   /* relative difference of numbers so far */
    ws_text *first;   /* the first difference; empty: none yet */
} comparer;

/* What another instruction set or device changes without being wrong. */
static const char *const machine_keys[] = {"isa", "device", "parameter_hash", "score_hash"};

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool belongs_to_machine(const char *key)
{
    for (size_t i = 0; i < sizeof machine_keys / sizeof machine_keys[0]; i++)
        if (strcmp(machine_keys[i], key) == 0)
            return true;
    return false;
}

static ws_err append_value(const cJSON *value, ws_text *out)
{
    if (value)
        return ws_json_canonical(value, out);
    ws_text_append(out, "nothing");
    return WS_OK;
}

static ws_err differ(comparer *c, const char *key, const cJSON *recorded, const cJSON *again)
{
    if (c->first->length)
        return WS_OK;
    ws_text_appendf(c->first, "%s: ", key);
    WS_TRY(append_value(recorded, c->first));
    ws_text_append(c->first, " recorded, ");
    WS_TRY(append_value(again, c->first));
    ws_text_append(c->first, " again");
    return WS_OK;
}

static bool equal_numbers(comparer *c, double a, double b)
{
    if (memcmp(&a, &b, sizeof a) == 0)
        return true;
    double scale = fmax(1, fmax(fabs(a), fabs(b))), difference = fabs(a - b) / scale;
    if (!(difference <= c->largest))
        c->largest = difference;
    return difference <= c->tolerance && c->tolerance > 0;
}

static ws_err compare(comparer *c, const char *key, const cJSON *recorded, const cJSON *again);

static ws_err compare_children(comparer *c, const char *key, const cJSON *recorded, const cJSON *again)
{
    const bool object = cJSON_IsObject(recorded);
    int index = 0;
    for (const cJSON *a = recorded->child; a; a = a->next, index++) {
        if (object && c->tolerance > 0 && belongs_to_machine(a->string))
            continue;
        char *path = object ? ws_format("%s%s%s", key, key[0] ? "." : "", a->string) : ws_format("%s[%d]", key, index);
        WS_CHECK(path, MEMORY, "no memory for a comparison");
        ws_err error = compare(c, path, a, object ? member(again, a->string) : cJSON_GetArrayItem(again, index));
        free(path);
        WS_TRY(error);
    }
    /* what the program has got since: options, which with another value than their default would make another trial, and things
     * that it counts, where those that were counted are compared */
    const bool grows =
        object && (strcmp(key, "config") == 0 || strncmp(key, "config.", 7) == 0 || strcmp(key, "counts") == 0);
    for (const cJSON *b = again->child; b && object && !grows; b = b->next)
        if (!member(recorded, b->string))
            WS_TRY(differ(c, b->string, NULL, b));
    if (!object && cJSON_GetArraySize(again) > index)
        WS_TRY(differ(c, key, recorded, again));
    return WS_OK;
}

static ws_err compare(comparer *c, const char *key, const cJSON *recorded, const cJSON *again)
{
    bool equal;
    if (!again || (recorded->type & 0xff) != (again->type & 0xff))
        return differ(c, key, recorded, again);
    if (cJSON_IsObject(recorded) || cJSON_IsArray(recorded))
        return compare_children(c, key, recorded, again);
    if (cJSON_IsNumber(recorded))
        equal = equal_numbers(c, recorded->valuedouble, again->valuedouble);
    else
        equal = !cJSON_IsString(recorded) || strcmp(recorded->valuestring, again->valuestring) == 0;
    return equal ? WS_OK : differ(c, key, recorded, again);
}

/* Both tell the same instruction set, device and precision. */
static bool same_machine_kind(const cJSON *a, const cJSON *b)
{
    static const char *const keys[] = {"isa", "device", "precision"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *left = cJSON_GetStringValue(member(a, keys[i])), *right = cJSON_GetStringValue(member(b, keys[i]));
        if (left && right && strcmp(left, right) != 0)
            return false;
    }
    return true;
}

ws_err ws_records_compare(const cJSON *recorded, const cJSON *again, double tolerance, ws_comparison *out)
{
    const cJSON *left = member(recorded, "result"), *right = member(again, "result");
    *out = (ws_comparison){.verdict = WS_SAME_BITS};
    comparer c = {.first = &out->difference};
    WS_CHECK(cJSON_IsObject(left) && cJSON_IsObject(right), FORMAT, "a record without a result cannot be compared");
    out->other_machine = !same_machine_kind(left, right);
    WS_TRY(compare(&c, "", left, right));
    if (c.first->length && out->other_machine && tolerance > 0) {
        ws_text_clear(c.first);
        c = (comparer){.first = &out->difference, .tolerance = tolerance};
        WS_TRY(compare(&c, "", left, right));
        out->verdict = WS_WITHIN_TOLERANCE;
    }
    out->largest = c.largest;
    if (c.first->length)
        out->verdict = WS_DIFFERENT;
    return ws_text_check(c.first);
}
