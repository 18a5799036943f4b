/* The captures of families whose labels are rules only: configs/datasets/NAME.json says all there is to say. With
 * --labels FILE.csv they take labels from a file like generic's instead. */
#include "dataset/labels.h"

#define RULES(x, text)                                                                                                 \
    const ws_dataset_adapter ws_dataset_##x = {                                                                        \
        .name = #x, .help = text, .open_labels = ws_labels_read_generic, .has_label_rules = true};

RULES(cicids2017, "CICIDS2017 captures, labelled by time windows and addresses; attempted attacks are told apart")
RULES(cicddos2019, "CIC-DDoS2019 captures, labelled by the attacker's address and the schedule")
RULES(iscxtor2016, "ISCXTor2016 captures, labelled by file and folder names")
RULES(iscxvpn2016, "ISCXVPN2016 captures, labelled by file names")
RULES(ustc_tfc2016, "USTC-TFC2016 captures, labelled by file names")
RULES(ciciot2022, "CICIoT2022 captures, labelled by file and folder names")
