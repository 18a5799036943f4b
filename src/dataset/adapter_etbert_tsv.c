/* etbert_tsv: ET-BERT's label and bigrams of bytes. Classes are the numbers of the file.
 */
#include "dataset/table_columns.h"

static const ws_table_column columns[] = {L("label", "label"), V("text_a|byte", "byte", BIGRAMS), COLUMNS_END};

static const ws_table_family family = {.columns = columns, .feature_table = "etbert_bytes", .least_features = 1};
const ws_dataset_adapter ws_dataset_etbert_tsv = {
    .name = "etbert_tsv", .help = "ET-BERT TSV: bytes of a packet as bigrams", .table = &family, .tables_only = true};
