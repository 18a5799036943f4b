/* slurm/sweep.sbatch and the files of slurm/profiles, built into the program by CMakeLists.txt. */
#ifndef WS_BATCH_BATCH_TEXTS_H
#define WS_BATCH_BATCH_TEXTS_H

typedef struct ws_batch_text {
    const char *name; /* of the file, without its ending; NULL ends the list */
    const char *text;
} ws_batch_text;
extern const ws_batch_text ws_batch_texts[];

#endif
