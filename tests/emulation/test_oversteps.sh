#!/bin/bash
# Shared memory of simulated devices has guards under the address sanitizer: a kernel that writes behind an array, or behind a row of one,
# is ended where it does; one that stays inside is not.
# ctest: timeout=60
program=$WIRESWEEP_BUILD/tests/test_emulation_oversteps
[ -x "$program" ] || { echo "skip: no sanitizer in this build, or no simulated devices"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }

"$program" >said 2>&1 || fail "a kernel that stays inside was ended: $(cat said)"
for how in array rows; do
    ! "$program" $how >said 2>&1 || fail "$how: not seen"
    grep -qE 'global-buffer-overflow|out of bounds|insufficient space' said && grep -q 'oversteps.cu' said || fail "$how: $(cat said)"
done
rm said
