#!/bin/bash
# The same with 10,000 cases. Under the sanitizers:
#     ctest --test-dir build/sanitize -R dataset.damaged_many
# ctest: labels=slow timeout=3600
set -eu
. "$WIRESWEEP_SOURCE/tests/dataset/damaged.sh"
damaged 10000 2
