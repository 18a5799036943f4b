/* The files of configs/datasets, built into the program by CMakeLists.txt: the label rules of each family. */
#ifndef WS_DATASET_DATASET_CONFIGS_H
#define WS_DATASET_DATASET_CONFIGS_H

typedef struct ws_dataset_config {
    const char *family; /* NULL ends the list */
    const char *text;
} ws_dataset_config;
extern const ws_dataset_config ws_dataset_configs[];

#endif
