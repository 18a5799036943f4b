#!/bin/bash
# The statistics of few seeds against SciPy and NumPy, 1,000 random cases, some with ties. Skipped where SciPy is absent.
# ctest: labels=compare timeout=120
set -euo pipefail
python=""
for candidate in python3 /usr/bin/python3; do # the first in the path may not be the system's
    [ -n "$python" ] || ! "$candidate" -c 'import scipy' 2>/dev/null || python=$candidate
done
[ -n "$python" ] || { echo "skipped: no python3 with SciPy (Debian: python3-scipy)"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/cases.py" <<'EOF'
import sys
import numpy as np
random = np.random.default_rng(20260722)
for case in range(1000):
    n = int(random.integers(2, 11))
    m = n if case % 2 else int(random.integers(2, 11))
    a, b = random.normal(.9, .02, n), random.normal(.89, .03, m)
    if case % 4 == 3:
        a, b = a.round(2), b.round(2)  # ties
    rows = int(random.integers(1, 400))
    hits = int(random.integers(0, rows + 1))
    print(n, m, hits, rows, repr(float(random.uniform(0, 3))), *map(repr, map(float, a)), *map(repr, map(float, b)),
          *map(repr, map(float, random.uniform(.001, .999, 4))))
EOF
cat >"$folder/compare.py" <<'EOF'
import itertools, math, sys, warnings
import numpy as np
from scipy import stats
warnings.simplefilter("ignore")
LIMITS = {n: stats.t.ppf(.975, n - 1) for n in range(2, 11)}
SIGNS = {n: np.array(list(itertools.product((-1, 1), repeat=n))) for n in range(2, 11)}
compared, wrong, many = 0, 0, []
def same(name, got, want, relative=1e-9, absolute=1e-11):
    global compared, wrong
    compared += 1
    if not (math.isclose(got, want, rel_tol=relative, abs_tol=absolute) or (math.isnan(got) and math.isnan(want))):
        wrong += 1
        if wrong < 20:
            print("differs:", name, got, want, "case", case)
for case, (line, answer) in enumerate(zip(open(sys.argv[1]), open(sys.argv[2]))):
    numbers = list(map(float, line.split()))
    n, m, hits, rows, effect = int(numbers[0]), int(numbers[1]), int(numbers[2]), int(numbers[3]), numbers[4]
    a, b, p = np.array(numbers[5:5 + n]), np.array(numbers[5 + n:5 + n + m]), np.array(numbers[5 + n + m:])
    got = {k: float(v) for k, v in (field.split("=") for field in answer.split())}
    s = a.std(ddof=1)
    same("mean", got["mean"], a.mean())
    same("deviation", got["deviation"], s, 1e-9, 1e-15)
    t = LIMITS[n]
    same("low", got["low"], a.mean() - t * s / math.sqrt(n), 1e-8)
    same("high", got["high"], a.mean() + t * s / math.sqrt(n), 1e-8)
    same("prediction_low", got["prediction_low"], a.mean() - t * s * math.sqrt(1 + 1 / n), 1e-7)
    same("prediction_high", got["prediction_high"], a.mean() + t * s * math.sqrt(1 + 1 / n), 1e-7)
    same("interquartile_mean", got["interquartile_mean"], stats.trim_mean(a, .25))
    if s > 1e-12 or b.std() > 1e-12:
        r = stats.ttest_ind(a, b, equal_var=False)
        same("welch_t", got["welch_t"], r.statistic, 1e-8)
        same("welch_p", got["welch_p"], r.pvalue, 1e-7)
    if len(set(np.r_[a, b])) == n + m:
        r = stats.mannwhitneyu(a, b, alternative="two-sided", method="exact")
        same("u", got["u"], r.statistic)
        same("u_p", got["u_p"], r.pvalue)
    same("improved", got["improved"], ((a[:, None] > b) + .5 * (a[:, None] == b)).mean())
    if n == m:
        d = a - b
        if d.std() > 1e-12:
            r = stats.ttest_rel(a, b)
            same("paired_t", got["paired_t"], r.statistic, 1e-8)
            same("paired_p", got["paired_p"], r.pvalue, 1e-7)
        flipped = np.abs(SIGNS[n] @ d)
        same("flip_p", got["flip_p"], (flipped >= abs(d.sum()) - 1e-12).mean())
        d = d[d != 0]
        if len(d):
            ranks = stats.rankdata(np.abs(d))
            positive, every = ranks[d > 0].sum(), ranks.sum()
            sums = (SIGNS[len(d)] > 0) @ ranks if len(d) > 1 else np.array([0, ranks[0]])
            tail = 2 * (sums <= min(positive, every - positive) + 1e-9).mean()
            same("rank_sum", got["rank_sum"], positive)
            same("rank_p", got["rank_p"], min(1, tail))
            if case % 10 == 1 and len(d) == n and len(set(ranks)) == n:
                same("rank_p of SciPy", got["rank_p"], stats.wilcoxon(a, b, mode="exact").pvalue)
    for name, method in (("wilson", "wilson"), ("exact", "exact")) if case % 20 == 0 else ():
        r = stats.binomtest(hits, rows).proportion_ci(.95, method)
        same(name + "_low", got[name + "_low"], r.low, 1e-8, 1e-10)
        same(name + "_high", got[name + "_high"], r.high, 1e-8, 1e-10)
    many.append((hits, got["exact_low"], got["exact_high"], n, rows, effect, *p[:3], got["power"], got["normal"], got["student"], got["chi_square"]))
    order, running = np.argsort(p), 0
    for i, k in enumerate(order):
        running = max(running, min(1, (4 - i) * p[k]))
        same("holm", got[f"holm{k}"], running)
    running = 1
    for i in range(3, -1, -1):
        running = min(running, 4 / (i + 1) * p[order[i]])
        same("fdr", got[f"fdr{order[i]}"], running)
# all at once: SciPy is slow at one
hits, low, high, n, rows, effect, p0, p1, p2, power, normal, student, chi_square = np.array(many).T
want_low = np.where(hits > 0, stats.beta.ppf(.025, np.maximum(hits, .5), rows - hits + 1), 0)
want_high = np.where(hits < rows, stats.beta.ppf(.975, hits + 1, np.maximum(rows - hits, .5)), 1)
limit, shift = np.vectorize(LIMITS.get)(n), effect * np.sqrt(n)
want = 1 - stats.nct.cdf(limit, n - 1, shift) + stats.nct.cdf(-limit, n - 1, shift)
for case in range(len(n)):
    same("power", power[case], want[case], 1e-6, 1e-7)
for name, got, want, near in (("exact low", low, want_low, 1e-8), ("exact high", high, want_high, 1e-8), ("normal", normal, stats.norm.ppf(p0), 1e-9), ("student", student, stats.t.ppf(p1, rows), 1e-6),
                              ("chi_square", chi_square, stats.chi2.ppf(p2, n), 1e-8)):
    for case in range(len(n)):
        same(name, got[case], want[case], near, 1e-9)
print(f"{case + 1} cases, {compared} values compared, {wrong} differ")
sys.exit(case != 999 or wrong > 0)
EOF
"$python" "$folder/cases.py" >"$folder/cases"
"$WIRESWEEP_TOOLS/seed_statistics" <"$folder/cases" >"$folder/answers"
"$python" "$folder/compare.py" "$folder/cases" "$folder/answers"
