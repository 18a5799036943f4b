/* Families of captures and flow tables. The labels of captures are rules only: configs/datasets/NAME.json says all there is
 * to say; with --labels FILE.csv they are taken from a file like generic's instead. Tables bring their labels, and their
 * columns are listed in table_*.c. */
#include "dataset/table.h"

#define RULES(x, text)                                                                                                 \
    const ws_dataset_adapter ws_dataset_##x = {.name = #x,                                                             \
                                               .help = text,                                                           \
                                               .open_labels = ws_labels_read_generic,                                  \
                                               .has_label_rules = true,                                                \
                                               .table = &ws_table_##x};

RULES(cicids2017,
      "CICIDS2017 flow tables, and captures labelled by time windows and addresses; attempted attacks are told apart")
RULES(cicddos2019, "CIC-DDoS2019 flow tables, and captures labelled by the attacker's address and the schedule")
RULES(iscxtor2016, "ISCXTor2016 flow tables, and captures labelled by file and folder names")
RULES(iscxvpn2016, "ISCXVPN2016 flow tables, and captures labelled by file names")
RULES(ustc_tfc2016, "USTC-TFC2016 flow tables, and captures labelled by file names")
RULES(ciciot2022, "CICIoT2022 flow tables, and captures labelled by file and folder names")
