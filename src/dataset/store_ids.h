/* Between store_ids.c and store_ids_late.c. */
#ifndef WS_DATASET_STORE_IDS_H
#define WS_DATASET_STORE_IDS_H

#include "dataset/store_layout.h"

typedef struct ws_id_slot {
    ws_identity identity;
    uint64_t value; /* number + 1; 0 empty; while a call runs NEW | first row for the identities it brought */
} ws_id_slot;

struct ws_dense_ids {
    bool is_late;      /* once the slots are full, on all ranks: rows of identities that are not in them go to `late` */
    const char *store; /* borrowed */
    uint64_t bytes;    /* that the slots may take; 0: no bound */
    ws_id_slot *slots;
    size_t slot_count, used;
    uint64_t next;       /* number of the next new identity; the same on every rank */
    ws_sorter *late;     /* identity and row */
    uint64_t first_late; /* no row before it is among them; the same on every rank */
};

#endif
