#!/bin/bash
# Damaged files of all kinds end with a store that accounts for the damage or with an error that names the file.
# ctest: timeout=240
set -eu
. "$WIRESWEEP_SOURCE/tests/dataset/damaged.sh"
damaged 300 1
