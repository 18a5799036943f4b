/* mawi: traces of a backbone link (WIDE, samplepoint F): 15 minutes to days in one capture, one direction of many flows only,
 * addresses scrambled, payload cut off, no labels. Lengths are those of the IP header, so the cut changes none. Such a trace
 * has more flows than anyone stores; the settings reservoir and window of `extract` draw from it and cut it. */
#include "dataset/labels.h"

const ws_dataset_adapter ws_dataset_mawi = {
    .name = "mawi", .help = "backbone traces of the MAWI archive, no labels; see the settings reservoir and window"};
