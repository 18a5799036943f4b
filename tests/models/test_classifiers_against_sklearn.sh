#!/bin/bash
# ctest: labels=compare timeout=120
# logistic, linear_svm, rbf_svm and knn beside scikit-learn's, on the same normalised rows of a small store: coefficients, and
# what is predicted.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
for python in python3 /usr/bin/python3 none; do
    "$python" -c 'import sklearn, h5py' 2>/dev/null && break
done
[ "$python" != none ] || { echo "no python3 with scikit-learn and h5py"; exit 77; }
models="logistic linear_svm knn"
"$WIRESWEEP" list models | grep -q '^rbf_svm.*not built' || models="$models rbf_svm"
for model in $models; do
    tight=""
    case $model in logistic | linear_svm) tight=', "gradient_tolerance": 1e-7' ;; rbf_svm) tight=', "tolerance": 1e-6' ;; esac
    printf '{ "store": "store.h5", "task": "classify", "label": "label", "model": { "kind": "%s"%s } }\n' \
        $model "$tight" >$model.json
    train 2 $model.json $model
done
cat >compare.py <<'END'
import sys
import h5py, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

store = h5py.File("store.h5")
row_of = {h: i for i, h in enumerate(store["flows/row_hash"][:])}
values, labels = store["features/flow20"][:], store["labels/label"][:]
text = lambda t: t.decode() if isinstance(t, bytes) else t
level = [text(t) for t in store["labels/label"].attrs["names"]]


def rows(name):
    """Training rows from knn, which keeps them; test rows and what was predicted of each from the scores."""
    model, scores = h5py.File(name + "/model.h5"), h5py.File(name + "/scores.h5")
    part = [text(p) for p in scores["part"].attrs["names"]].index("test")
    chosen = scores["part"][:] == part
    at = [row_of[h] for h in scores["row_hash"][:][chosen]]
    normalised = np.clip((values - model["normalisation/mean"][:]) / model["normalisation/deviation"][:], -8, 8)
    return model, normalised.astype(np.float32).astype(float)[at], scores["predicted"][:][chosen]


kept = h5py.File("knn/model.h5")
x, y = kept["learned/rows"][:], kept["learned/label"][:].astype(int)
weight = len(y) / (len(set(y)) * np.bincount(y, minlength=y.max() + 1)[y].astype(float))


def alike(name, wanted, predicted):
    share = np.mean(wanted == predicted)
    print(name, "predicts the same of", share)
    assert share >= 0.999, (name, share)


model, test, predicted = rows("logistic")
want = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=20000).fit(x, y)
assert np.allclose(model["learned/weight"][:], want.coef_, atol=1e-3), abs(model["learned/weight"][:] - want.coef_).max()
alike("logistic", want.predict(test), predicted)

# its intercept is penalised: a large constant column makes that vanish
model, test, predicted = rows("linear_svm")
want = LinearSVC(loss="squared_hinge", dual=False, tol=1e-10, max_iter=100000, intercept_scaling=1e3).fit(x, y, weight)
assert np.allclose(model["learned/weight"][:], want.coef_, atol=1e-3), abs(model["learned/weight"][:] - want.coef_).max()
alike("linear_svm", want.predict(test), predicted)

_, test, predicted = rows("knn")
alike("knn", KNeighborsClassifier(5).fit(x, y).predict(test), predicted)

if "rbf_svm" in sys.argv:
    _, test, predicted = rows("rbf_svm")
    alike("rbf_svm", SVC(class_weight="balanced", tol=1e-6).fit(x, y).predict(test), predicted)
END
"$python" compare.py $models
