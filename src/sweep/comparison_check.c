/* The form of "comparison": what tables will test, and against what. It is frozen with the trials, so a slip of the pen found only
 * after the last of them would stay for ever. */
#include "evaluate/evaluate.h"
#include "sweep/internal.h"

static bool is_one_of(const cJSON *value, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count && cJSON_IsString(value); i++)
        if (strcmp(value->valuestring, names[i]) == 0)
            return true;
    return false;
}

static const char *complaint_of(const cJSON *key)
{
    static const char *const tests[] = {"paired_t", "sign_flip", "wilcoxon"}, *const corrections[] = {
                                                                                  "holm", "benjamini_hochberg"};
    if (strcmp(key->string, "reference") == 0)
        return cJSON_IsObject(key) && key->child ? NULL : "expected the keys of one configuration { KEY: VALUE, ... }";
    if (strcmp(key->string, "metric") == 0)
        return cJSON_IsString(key) && ws_metric_find(key->valuestring) ? NULL
                                                                       : "expected one of `wiresweep list metrics`";
    if (strcmp(key->string, "test") == 0)
        return is_one_of(key, tests, 3) ? NULL : "expected paired_t, sign_flip or wilcoxon";
    if (strcmp(key->string, "correction") == 0)
        return is_one_of(key, corrections, 2) ? NULL : "expected holm or benjamini_hochberg";
    if (strcmp(key->string, "targets") != 0)
        return "unknown key: there are reference, metric, test, correction and targets";
    for (const cJSON *target = key->child; target; target = target->next)
        if (!ws_metric_find(target->string) || !cJSON_IsNumber(target))
            return "expected { METRIC: NUMBER, ... }, metrics as `wiresweep list metrics` names them";
    return cJSON_IsObject(key) ? NULL : "expected { METRIC: NUMBER, ... }";
}

void ws_comparison_check(const ws_json *document, const cJSON *comparison, ws_problems *problems)
{
    if (comparison && !cJSON_IsObject(comparison))
        ws_problems_add(problems, document, comparison,
                        "comparison: expected { \"reference\": { KEY: VALUE, ... }, \"metric\": NAME, ... }");
    for (const cJSON *key = cJSON_IsObject(comparison) ? comparison->child : NULL; key; key = key->next) {
        const char *complaint = complaint_of(key);
        if (complaint)
            ws_problems_add(problems, document, key, "comparison.%s: %s", key->string, complaint);
    }
}
