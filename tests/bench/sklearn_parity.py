"""sklearn_parity.py PROGRAM DATA [MODEL...]: are forests and boosted trees of `fit_classical` as good as scikit-learn's? Balanced accuracy on the same
rows, 10 halves of each data set drawn by class, the trees' seeds with them; a Markdown table of the differences with two one-sided t
tests: equivalent where the 90 % interval of the mean difference lies within 0.01. DATA: the folder with the public tables. Exit status 1
where they are not equivalent. 400 trees, 60 rounds."""
import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from sklearn_trees import make, write

SEEDS, MARGIN, T = 10, 0.01, 1.833  # the 95 % quantile of t with 9 degrees of freedom


def table(path, columns):
    """Rows of a flow meter's table: the first cells numbers, the last the class."""
    rows = [row for row in csv.reader(open(path, errors="replace")) if len(row) >= columns + 1]
    kept = []
    for row in rows:
        try:
            kept.append(([float(cell) for cell in row[:columns]], row[columns].strip()))
        except ValueError:
            pass
    names = sorted({label for _, label in kept})
    return np.array([v for v, _ in kept], dtype=np.float32), np.array([names.index(label) for _, label in kept])


def tor(data):
    return table(next(data.glob("iscxtor2016/*/**/Scenario-B/TimeBasedFeatures-15s-Layer2.arff")), 23)


def vpn(data):
    values, label = table(next(data.glob("iscxvpn2016/*/TimeBasedFeatures-Dataset-120s-NO-VPN.csv")), 24)
    return values[:, 1:], label  # without the number of the row


def ustc(data):
    values, label = [], []
    for k, path in enumerate(sorted(data.glob("ustc-tfc2016/*/*/*.csv"))):
        rows = list(csv.reader(open(path)))[1:601]
        values += [[float(cell) for cell in row[4:10] + row[11:]] for row in rows]
        label += [k] * len(rows)
    return np.array(values, dtype=np.float32), np.array(label)


def ours(program, folder, model, options, seed, shape):
    out = f"{folder}/out"
    subprocess.run([program, model, options, "1", f"{seed}:1", f"{folder}/training", f"{folder}/test", out], check=True,
                   stdout=subprocess.DEVNULL)
    return np.fromfile(out, dtype=np.float32).reshape(shape).argmax(1)


def models(seed):
    return (("random_forest", '{"trees": 400}', RandomForestClassifier(n_estimators=400, random_state=seed)),
            ("extra_trees", '{"trees": 400}', ExtraTreesClassifier(n_estimators=400, random_state=seed)),
            ("gradient_boosting", '{"rounds": 60}', HistGradientBoostingClassifier(
                max_iter=60, max_depth=6, max_leaf_nodes=None, early_stopping=False, random_state=seed)))


def main():
    program, data = sys.argv[1], pathlib.Path(sys.argv[2])
    sets = {"made up": make(4000, 3), "ISCXTor2016, 15 s": tor(data), "ISCXVPN2016, 120 s": vpn(data),
            "USTC-TFC2016 conversations": ustc(data)}
    failed = False
    print("| data set | rows | model | wiresweep | scikit-learn | difference | 90 % interval | equivalent within 0.01 |")
    print("|---|---:|---|---:|---:|---:|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (values, label) in sets.items():
            classes = int(label.max()) + 1
            found = {}
            wanted = sys.argv[3:] or [kind for kind, _, _ in models(0)]
            for seed in range(SEEDS):
                x, t, y, u = train_test_split(values, label, test_size=0.5, stratify=label, random_state=seed)
                write(f"{folder}/training", x, y, classes)
                write(f"{folder}/test", t, u, classes)
                for kind, options, peer in (model for model in models(seed) if model[0] in wanted):
                    own = balanced_accuracy_score(u, ours(program, folder, kind, options, seed, (len(u), classes)))
                    found.setdefault(kind, []).append((own, balanced_accuracy_score(u, peer.fit(x, y).predict(t))))
            for kind, pairs in found.items():
                pairs = np.array(pairs)
                difference = pairs[:, 0] - pairs[:, 1]
                mean, half = difference.mean(), T * difference.std(ddof=1) / np.sqrt(SEEDS)
                same = abs(mean) + half < MARGIN
                failed = failed or not same
                print(f"| {name} | {len(label)} | {kind} | {pairs[:, 0].mean():.4f} | {pairs[:, 1].mean():.4f} | {mean:+.4f} | "
                      f"{mean - half:+.4f} to {mean + half:+.4f} | {'yes' if same else 'no'} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
