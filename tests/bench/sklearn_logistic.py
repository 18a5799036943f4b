"""sklearn_logistic.py FOLDER NAME=TABLE...: is `logistic` scikit-learn's on the same rows? FOLDER has NAME.h5, the runs NAME.logistic and
NAME.knn, which keeps its training rows. A Markdown line each: the largest difference of a coefficient, and the share of test rows of which
both predict the same. scikit-learn minimises the same function by Newton's method: its default stops where the function hardly falls,
coefficients still moving. Of two classes it has the difference of their coefficients, ours being half of that each: the same penalty with
C=2. Exit status 1 beyond 1e-3, or below 99.9 %."""
import sys
import warnings

import h5py
import numpy as np
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")  # a line search fails where rounding is all that is left
folder, failed = sys.argv[1], False


def texts(values):
    return [v.decode() if isinstance(v, bytes) else v for v in values]


for pair in sys.argv[2:]:
    name, table = pair.split("=")
    store, model = h5py.File(f"{folder}/{name}.h5"), h5py.File(f"{folder}/{name}.logistic/model.h5")
    scores, kept = h5py.File(f"{folder}/{name}.logistic/scores.h5"), h5py.File(f"{folder}/{name}.knn/model.h5")
    training, label = kept["learned/rows"][:], kept["learned/label"][:].astype(int)
    row_of = {row_hash: i for i, row_hash in enumerate(store["flows/row_hash"][:])}
    chosen = scores["part"][:] == texts(scores["part"].attrs["names"]).index("test")
    columns = texts(store[f"features/{table}"].attrs["columns"])
    values = store[f"features/{table}"][:][:, [columns.index(c) for c in texts(model.attrs["columns"])]]
    values = (values - model["normalisation/mean"][:]) / model["normalisation/deviation"][:]
    test = np.clip(values, -8, 8).astype(np.float32).astype(float)[[row_of[h] for h in scores["row_hash"][:][chosen]]]
    weight = model["learned/weight"][:]
    halves = 2 if len(weight) == 2 else 1
    theirs = LogisticRegression(C=halves, class_weight="balanced", solver="newton-cg", tol=1e-7, max_iter=3000).fit(training, label)
    difference = abs(weight[-len(theirs.coef_):] - theirs.coef_ / halves).max()
    same = np.mean(theirs.predict(test) == scores["predicted"][:][chosen])
    failed = failed or difference > 1e-3 or same < 0.999
    print(f"| {name} | {len(training)} | {training.shape[1]} | {len(weight)} | {abs(weight).max():.2f} | {difference:.1e} "
          f"| {100 * same:.2f} % |", flush=True)
sys.exit(int(failed))
