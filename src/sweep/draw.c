/* Random draws and exclusions of a specification. A draw is a pure function of the seed, the key and its number: more draws, or
 * further keys, leave those that are there as they were. */
#include "sweep/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t ws_draw_bits(uint64_t seed, const char *key, size_t index)
{
    char text[320];
    int length = snprintf(text, sizeof text, "%llu %zu %s", (unsigned long long)seed, index, key);
    ws_digest digest = ws_sha256_of(text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
    return ws_digest_u64(&digest);
}

/* ---------------------------------------------------------------- distributions */

static bool is_range(const cJSON *range)
{
    const cJSON *low = cJSON_GetArrayItem(range, 0), *high = cJSON_GetArrayItem(range, 1);
    return cJSON_IsArray(range) && cJSON_GetArraySize(range) == 2 && cJSON_IsNumber(low) && cJSON_IsNumber(high) &&
           low->valuedouble < high->valuedouble;
}

const char *ws_draw_complaint(const cJSON *distribution)
{
    static const char kinds[] = "expected { \"uniform\": [LOW, HIGH] }, or log_uniform, integer, choice";
    const cJSON *values = cJSON_IsObject(distribution) ? distribution->child : NULL;
    if (!values || values->next)
        return kinds;
    if (strcmp(values->string, "choice") == 0)
        return cJSON_IsArray(values) && values->child ? NULL : "choice: expected a list of values";
    if (strcmp(values->string, "uniform") != 0 && strcmp(values->string, "log_uniform") != 0 &&
        strcmp(values->string, "integer") != 0)
        return kinds;
    if (!is_range(values))
        return "expected [LOW, HIGH], LOW below HIGH";
    if (strcmp(values->string, "log_uniform") == 0 && values->child->valuedouble <= 0)
        return "log_uniform: LOW must be above 0";
    return NULL;
}

cJSON *ws_draw_value(uint64_t seed, const char *key, const cJSON *distribution, size_t index)
{
    const cJSON *values = distribution->child;
    const uint64_t bits = ws_draw_bits(seed, key, index);
    const double u = (double)(bits >> 11) * 0x1p-53;
    if (strcmp(values->string, "choice") == 0)
        return cJSON_Duplicate(cJSON_GetArrayItem(values, (int)(bits % (uint64_t)cJSON_GetArraySize(values))), true);
    const double low = values->child->valuedouble, high = values->child->next->valuedouble;
    if (strcmp(values->string, "integer") == 0)
        return cJSON_CreateNumber(floor(low) + floor(u * (floor(high) - floor(low) + 1)));
    const bool logarithmic = strcmp(values->string, "log_uniform") == 0;
    const double drawn = logarithmic ? exp(log(low) + u * (log(high) - log(low))) : low + u * (high - low);
    char text[32]; /* four digits: readable, and the same whatever the last bits of a machine's exp */
    snprintf(text, sizeof text, "%.3e", drawn);
    return cJSON_CreateNumber(strtod(text, NULL));
}

/* ---------------------------------------------------------------- exclusions */

bool ws_exclusion_matches(const cJSON *exclusion, const cJSON *config)
{
    for (const cJSON *key = exclusion->child; key; key = key->next) {
        const cJSON *value = ws_json_find(config, key->string), *each;
        bool any = !cJSON_IsArray(key) && cJSON_Compare(key, value, true);
        if (cJSON_IsArray(key))
            cJSON_ArrayForEach(each, key) any = any || cJSON_Compare(each, value, true);
        if (!any)
            return false;
    }
    return exclusion->child != NULL;
}
