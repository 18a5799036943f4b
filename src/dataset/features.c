/* features: the registry of feature tables that are made of captures' flows, from features.def; and the 20-d flow vector,
 * which every store of captures has.
 */
#include "dataset/dataset.h"

#define FEATURES(x) extern const ws_flow_features ws_features_##x;
#include "dataset/features.def"
#undef FEATURES

const ws_flow_features *const ws_flow_feature_tables[] = {
#define FEATURES(x) &ws_features_##x,
#include "dataset/features.def"
#undef FEATURES
    NULL};

const ws_flow_features *ws_flow_features_find(const char *name)
{
    for (size_t i = 0; ws_flow_feature_tables[i] != NULL; i++)
        if (strcmp(ws_flow_feature_tables[i]->table.name, name) == 0)
            return ws_flow_feature_tables[i];
    return NULL;
}

uint64_t ws_features_reads(const char *name)
{
    const ws_flow_features *features = ws_flow_features_find(name);
    return features == NULL ? 0 : features->reads;
}

static void make(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    (void)packets;
    memcpy(out, flow->features, sizeof flow->features);
}

const ws_flow_features ws_features_flow20 = {.help = "the 20-d flow vector; every store of captures has it",
                                             .table = {"flow20", WS_FLOW20_COLUMNS, ws_flow20_names, ws_flow20_units},
                                             .make = make};
