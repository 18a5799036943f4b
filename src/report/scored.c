/* The scores that a finished trial keeps beside its record (scores.h5), for curves and for scores of other programs. */
#include "report/internal.h"

#include <stdlib.h>
#include "storage/storage.h"

void ws_report_scored_destroy(ws_report_scored *scored)
{
    ws_texts_destroy(&scored->class_names, scored->class_count);
    free(scored->row_hash);
    free(scored->truth);
    free(scored->is_test);
    free(scored->anomalous);
    free(scored->score);
    *scored = (ws_report_scored){0};
}

/* Part codes become "is it a test row". */
static ws_err read_parts(hid_t file, ws_report_scored *out)
{
    char **names = NULL;
    size_t count = 0;
    WS_TRY(ws_h5_read_dataset(file, "/part", H5T_NATIVE_UINT8, out->is_test, out->rows));
    WS_TRY(ws_h5_read_attribute_texts(file, "/part", "names", &names, &count));
    for (uint64_t i = 0; i < out->rows; i++)
        out->is_test[i] = out->is_test[i] < count && strcmp(names[out->is_test[i]], "test") == 0;
    ws_texts_destroy(&names, count);
    return WS_OK;
}

static ws_err read_rows(hid_t file, const char *score, ws_report_scored *out)
{
    hsize_t shape[4];
    int dimensions;
    WS_TRY(ws_h5_dataset_shape(file, "/part", &dimensions, shape));
    out->rows = shape[0];
    WS_TRY(WS_NEW_ARRAY(out->row_hash, out->rows));
    WS_TRY(WS_NEW_ARRAY(out->truth, out->rows));
    WS_TRY(WS_NEW_ARRAY(out->is_test, out->rows));
    WS_TRY(WS_NEW_ARRAY(out->anomalous, out->rows));
    WS_TRY(ws_h5_read_dataset(file, "/row_hash", H5T_NATIVE_UINT64, out->row_hash, out->rows));
    WS_TRY(ws_h5_read_dataset(file, "/truth", H5T_NATIVE_INT32, out->truth, out->rows));
    WS_TRY(ws_h5_read_dataset(file, "/anomalous", H5T_NATIVE_UINT8, out->anomalous, out->rows));
    WS_TRY(read_parts(file, out));
    WS_TRY(ws_h5_read_attribute_texts(file, "/truth", "names", &out->class_names, &out->class_count));
    if (!score)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(out->score, out->rows));
    return ws_h5_read_dataset(file, score, H5T_NATIVE_FLOAT, out->score, out->rows);
}

ws_err ws_report_scored_read(const ws_report *report, const ws_report_trial *trial, const char *score, bool *found,
                             ws_report_scored *out)
{
    char *path = ws_format("%s/trials/%s/scores.h5", report->directory, trial->id),
         *dataset = score ? ws_format("/scores/%s", score) : NULL;
    hid_t file = -1;
    ws_err error = WS_OK;
    *out = (ws_report_scored){0};
    *found = false;
    WS_CHECK_GOTO(done, path && (dataset || !score), MEMORY, "no memory for a path");
    if (trial->state != WS_REPORT_DONE || !ws_file_exists(path))
        goto done;
    WS_TRY_GOTO(done, ws_h5_open(path, &file));
    *found = ws_h5_exists(file, "/anomalous") && (!score || ws_h5_exists(file, dataset));
    if (*found)
        error = read_rows(file, dataset, out);
done:
    if (file >= 0 && ws_h5_close(&file) != WS_OK && error == WS_OK)
        error = WS_ERROR(HDF5, "%s: cannot be closed", path);
    if (error != WS_OK)
        ws_report_scored_destroy(out);
    free(dataset);
    free(path);
    return error;
}
