#!/bin/bash
# The HTML page in a headless Chromium: no error on the console, a click on a column's head sorts, a screenshot that is not blank.
# ctest: labels=slow timeout=120
set -euo pipefail
command -v chromium >/dev/null || { echo "skipped: no chromium (Debian: chromium)"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $1" >&2; exit 1; }

# ---- a sweep of two cells, two seeds each ----
{
    printf '{"schema":1,"name":"page","specification":{},"cells":['
    printf '{"cell":"a","config":{"task":"anomaly","protocol":"random","model":{"kind":"first_model"}},"store_hash":"s","dataset":"d"},'
    printf '{"cell":"b","config":{"task":"anomaly","protocol":"random","model":{"kind":"second_model"}},"store_hash":"s","dataset":"d"}],'
    printf '"trials":[{"id":"a0","cell":"a","train_seed":0,"protocol_seed":0,"split_hash":"h"},{"id":"a1","cell":"a","train_seed":1,'
    printf '"protocol_seed":0,"split_hash":"h"},{"id":"b0","cell":"b","train_seed":0,"protocol_seed":0,"split_hash":"h"},'
    printf '{"id":"b1","cell":"b","train_seed":1,"protocol_seed":0,"split_hash":"h"}]}'
} >sweep.json
for trial in a0:0.5 a1:0.6 b0:0.9 b1:0.95; do
    mkdir -p "trials/${trial%:*}"
    printf '{"schema":1,"id":"%s","status":"done","result":{"scores":{"nll":{"auroc":%s}}},"run":{}}' "${trial%:*}" "${trial#*:}" \
        >"trials/${trial%:*}/record.json"
done
"$WIRESWEEP" table . --format html -o page.html
figures=()
if command -v gnuplot >/dev/null; then
    "$WIRESWEEP" table . --format html --figures figures -o page.html
    figures=(figures/*.svg)
    [ ${#figures[@]} -gt 0 ] || fail "no figure was drawn"
fi

# ---- as it is, and after a click on the fourth column's head (auroc): from high to low ----
browse() {
    chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --enable-logging=stderr --v=0 "$@" 2>>console
}
sed 's|</body>|<script>document.querySelectorAll("thead th")[3].click();</script></body>|' page.html >clicked.html
browse --window-size=1200,900 --screenshot="$folder/page.png" "file://$folder/page.html" >/dev/null
browse --dump-dom "file://$folder/clicked.html" >clicked.dom
grep CONSOLE console && fail "the page writes to the console"
[ "$(stat -c %s page.png)" -gt 10000 ] || fail "the screenshot is blank"
grep -q 'aria-sort="descending"' clicked.dom || fail "a click on a column's head does nothing"
[ "$(grep -o 'first_model\|second_model' clicked.dom | head -n 1)" = second_model ] || fail "the click did not sort by auroc"
grep -q 'title="split 0, seed 0: 0.9' clicked.dom || fail "the values of the seeds are not there"
echo "the page works"
