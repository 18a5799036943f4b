/* adapters: the registry of data set families, made from datasets.def. */
#include "dataset/dataset.h"

#define DATASET(x) extern const ws_dataset_adapter ws_dataset_##x;
#include "dataset/datasets.def"
#undef DATASET

const ws_dataset_adapter *const ws_dataset_adapters[] = {
#define DATASET(x) &ws_dataset_##x,
#include "dataset/datasets.def"
#undef DATASET
    NULL};

const ws_dataset_adapter *ws_dataset_find(const char *name)
{
    for (size_t i = 0; ws_dataset_adapters[i] != NULL; i++)
        if (strcmp(ws_dataset_adapters[i]->name, name) == 0)
            return ws_dataset_adapters[i];
    return NULL;
}
