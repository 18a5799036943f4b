/* synthetic: captures of the project's own generator, with its label file (--labels FILE.csv, the columns of generic).
 * A family of its own so that records and tables made from such a store say that no real traffic was used. */
#include "dataset/labels.h"

const ws_dataset_adapter ws_dataset_synthetic = {.name = "synthetic",
                                                 .help =
                                                     "captures made by make_capture; tables say so (--labels FILE.csv)",
                                                 .open_labels = ws_labels_read_generic};
