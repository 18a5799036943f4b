"""sklearn_trees.py PROGRAM FOLDER SHARE [FOREST]: forests of `fit_classical` beside scikit-learn's on the same made-up matrix of 30,000 rows
and 116 columns, as extended features of flows have them: 20 packets of a signed size, a gap and three marks of the protocol, and 16
values of the whole flow. For tests/bench/sklearn.sh. SHARE of the 400 and 800 trees; FOREST: that one only."""
import os
import subprocess
import sys
import time

import numpy as np

ROWS, CLASSES, PACKETS = 30000, 10, 20


def write(path, values, label, classes):
    with open(path, "wb") as file:
        np.array([*values.shape, classes], dtype=np.int64).tofile(file)
        np.ascontiguousarray(values, dtype=np.float32).tofile(file)
        label.astype(np.int32).tofile(file)


def make(rows, seed):
    draw, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    weight = 2.0 ** (-np.arange(CLASSES) / 3)
    label = draw.choice(CLASSES, size=rows, p=weight / weight.sum())
    shape = (CLASSES, 4, PACKETS)
    tcp_share = fixed.uniform(0.1, 0.9, size=CLASSES)
    size, sign, gap = fixed.integers(40, 1500, size=shape), fixed.choice([-1, 1], size=shape), fixed.uniform(-6, 0, size=shape)
    kind = draw.integers(0, 4, size=rows)
    sizes = np.where(draw.random((rows, PACKETS)) < 0.45, draw.integers(40, 1514, size=(rows, PACKETS)),
                     size[label, kind] + draw.integers(-3, 4, size=(rows, PACKETS)))
    sizes = sizes * np.where(draw.random((rows, PACKETS)) < 0.2, -1, 1) * sign[label, kind]
    gaps = np.log1p(np.exp(gap[label, kind] + draw.normal(0, 1.5, size=(rows, PACKETS))))
    gaps[:, 0] = 0
    tcp = draw.random(rows) < tcp_share[label]
    packets = np.stack([sizes, gaps, np.broadcast_to(tcp[:, None], sizes.shape), np.broadcast_to(~tcp[:, None], sizes.shape),
                        np.zeros(sizes.shape)], axis=2)
    length = draw.integers(1, 61, size=rows)
    packets[np.arange(PACKETS)[None, :] >= length[:, None]] = 0
    seen, here = np.abs(packets[:, :, 0]), np.minimum(length, PACKETS)
    ports = draw.integers(0, 4, size=(2, rows))
    ports[1] = np.where(draw.random(rows) < 0.3, (ports[0] + label) % 4, ports[1])
    whole = np.column_stack([np.log1p(packets[:, :, 1].sum(1)), seen.sum(1), seen.sum(1) / here, seen.std(1),
                             (packets[:, :, 0] > 0).sum(1) / here, tcp, ~tcp, np.zeros(rows), np.eye(4)[ports[0]],
                             np.eye(4)[ports[1]]])
    return np.concatenate([packets.reshape(rows, -1), whole], axis=1).astype(np.float32), label


def ours(program, folder, model, options, threads):
    result = subprocess.run([program, model, options, str(threads), "1", f"{folder}/training", f"{folder}/test"],
                            capture_output=True, text=True, check=True)
    return [float(word) for word in result.stdout.split()[1:3]]


def peer(kind, trees, jobs, training, test):
    model = kind(n_estimators=trees, n_jobs=jobs, random_state=0)
    begin = time.perf_counter()
    model.fit(*training)
    fitted = time.perf_counter() - begin
    begin = time.perf_counter()
    model.predict_proba(test[0])
    return [fitted, time.perf_counter() - begin]


def main():
    from sklearn import __version__
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    program, folder, share = sys.argv[1], sys.argv[2], float(sys.argv[3])
    training, test = make(ROWS, 1), make(ROWS, 2)
    write(f"{folder}/training", *training, CLASSES)
    write(f"{folder}/test", *test, CLASSES)
    cores = len(os.sched_getaffinity(0))
    print(f"scikit-learn {__version__}")
    for name, kind, whole in (("random_forest", RandomForestClassifier, 400), ("extra_trees", ExtraTreesClassifier, 800)):
        if name not in (sys.argv[4:] or [name]):
            continue
        trees = max(1, int(whole * share))
        for jobs in (1, cores)[: cores]:
            rounds = [(ours(program, folder, name, f'{{"trees": {trees}}}', jobs), peer(kind, trees, jobs if jobs == 1 else -1,
                                                                                        training, test)) for _ in range(2)]
            for what in (0, 1):
                first, second = (min(r[side][what] for r in rounds) for side in (0, 1))
                print(name, trees, jobs, ("training", "prediction")[what], f"{first:.3f} {second:.3f} {second / first:.2f}",
                      flush=True)


if __name__ == "__main__":
    main()
