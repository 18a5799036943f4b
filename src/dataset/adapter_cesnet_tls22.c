/* cesnet_tls22: daily flow tables of CESNET-TLS22 and CESNET-TLS-Year22; times are UTC. Rows without a time get the day of their file's name
 * (flows-YYYYMMDD). */
#include "dataset/table.h"

static const ws_table_family family = {.feature_table = "cesnet_stats",
                                       .columns = ws_table_cesnet_columns,
                                       .least_features = 12,
                                       .day_in_name = true,
                                       .duration_ns = 1e9};
const ws_dataset_adapter ws_dataset_cesnet_tls22 = {
    .name = "cesnet_tls22",
    .help = "daily flow tables of CESNET-TLS22 and CESNET-TLS-Year22, with packet sequences",
    .table = &family,
    .tables_only = true};
