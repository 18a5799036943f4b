#!/bin/bash
# ctest: labels=compare timeout=120
# mahalanobis, knn_distance and isolation_forest beside scikit-learn's, on the same normalised rows of a small store.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
for python in python3 /usr/bin/python3 none; do
    "$python" -c 'import sklearn, h5py' 2>/dev/null && break
done
[ "$python" != none ] || { echo "no python3 with scikit-learn and h5py"; exit 77; }
for model in mahalanobis knn_distance isolation_forest; do
    printf '{ "store": "store.h5", "task": "anomaly", "label": "family", "normal": ["benign"],
  "model": { "kind": "%s"%s } }\n' $model "$([ $model != isolation_forest ] || echo ', "trees": 400')" >$model.json
    train 2 $model.json $model
done
cat >compare.py <<'END'
import h5py, numpy as np
from sklearn.covariance import ShrunkCovariance
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

store = h5py.File("store.h5")
row_of = {h: i for i, h in enumerate(store["flows/row_hash"][:])}
values = store["features/flow20"][:]


def run(name):
    model, scores = h5py.File(name + "/model.h5"), h5py.File(name + "/scores.h5")
    part = [p.decode() if isinstance(p, bytes) else p for p in scores["part"].attrs["names"]].index("test")
    chosen = scores["part"][:] == part
    rows = [row_of[h] for h in scores["row_hash"][:][chosen]]
    score = list(scores["scores"].values())[0][:][chosen]
    mean, deviation = model["normalisation/mean"][:], model["normalisation/deviation"][:]
    normalised = np.clip((values - mean) / deviation, -8, 8).astype(np.float32)
    return model, normalised, rows, score, scores["anomalous"][:][chosen]


model, normalised, rows, score, _ = run("knn_distance")
training = model["learned/rows"][:]
want = NearestNeighbors(n_neighbors=5).fit(training).kneighbors(normalised[rows].astype(float))[0][:, 4]
assert np.allclose(score, want, rtol=1e-5, atol=1e-6), abs(score - want).max()

_, normalised, rows, score, _ = run("mahalanobis")
want = np.sqrt(ShrunkCovariance(shrinkage=0.01).fit(training).mahalanobis(normalised[rows]))
assert np.allclose(score, want, rtol=1e-4), abs(score / want - 1).max()

# Two forests of 400 drawn trees each: as near as two of scikit-learn's own are, and the same formula of the score.
_, normalised, rows, score, anomalous = run("isolation_forest")
own = [-IsolationForest(n_estimators=400, max_samples=min(256, len(training)), random_state=s).fit(training)
       .score_samples(normalised[rows]) for s in (0, 1)]
between = abs(own[0] - own[1]).mean()
assert abs(score - own[0]).mean() < 2 * between + 0.002, (abs(score - own[0]).mean(), between)
assert np.corrcoef(score, own[0])[0, 1] > 0.98, np.corrcoef(score, own[0])
print("auroc", roc_auc_score(anomalous, score), roc_auc_score(anomalous, own[0]))
END
"$python" compare.py
