/* etbert_tsv: ET-BERT's label and bigrams of bytes. Classes are the numbers of the file.
 */
#include "dataset/table.h"

#define V(names, unit, role)                                                                                           \
    {                                                                                                                  \
        names, unit, WS_TABLE_##role, NULL                                                                             \
    }
#define L(names, level)                                                                                                \
    {                                                                                                                  \
        names, NULL, WS_TABLE_LABEL, level                                                                             \
    }
static const ws_table_column columns[] = {
    L("label", "label"), V("text_a|byte", "byte", BIGRAMS), {NULL, NULL, WS_TABLE_UNUSED, NULL}};

static const ws_table_family family = {.columns = columns, .feature_table = "etbert_bytes", .least_features = 1};
const ws_dataset_adapter ws_dataset_etbert_tsv = {
    .name = "etbert_tsv", .help = "ET-BERT TSV: bytes of a packet as bigrams", .table = &family, .tables_only = true};
