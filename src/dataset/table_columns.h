/* How families write their lists of columns, with the short names that a long list wants; for the files that are such lists. */
#ifndef WS_DATASET_TABLE_COLUMNS_H
#define WS_DATASET_TABLE_COLUMNS_H

#include "dataset/table.h"

/* A value that is a feature, with its unit; a column that is none; a label and the level it fills; the list's end. */
#define V(names, unit, role)                                                                                           \
    {                                                                                                                  \
        names, unit, WS_TABLE_##role, NULL                                                                             \
    }
#define U(names, role) V(names, NULL, role)
#define L(names, level)                                                                                                \
    {                                                                                                                  \
        names, NULL, WS_TABLE_LABEL, level                                                                             \
    }
#define COLUMNS_END                                                                                                    \
    {                                                                                                                  \
        NULL, NULL, WS_TABLE_UNUSED, NULL                                                                              \
    }

#endif
