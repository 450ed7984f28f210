"""Data for the bench `logistic`, and scikit-learn's solvers on them.

    python logistic.py export FOLDER           writes NAME.bin (n, p, classes, lambda, X by rows, y; all f64) for the four sets
    python logistic.py run FOLDER NAME FSTAR REPEATS    prints, for each solver, its name, iterations, least seconds and excess

The objective is mean log-loss + lambda/2 |w|^2 with a free intercept. For each solver the number of iterations is raised, by a fifth where it is large, until
(f - f*)/max(1, |f*|) <= 1e-10; the least time of the fits with that number counts.
"""
import pathlib
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
TARGET = 1e-10


def synthetic(n=100_000, p=200, seed=0):
    r = np.random.default_rng(seed)
    X = r.standard_normal((n, p)) * 10.0 ** r.uniform(-3, 3, p)
    w = r.standard_normal(p) / X.std(0) / np.sqrt(p) * 2
    return X, (r.random(n) < 1 / (1 + np.exp(-(X @ w)))).astype(float)


def export(folder):
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.preprocessing import StandardScaler

    cancer, digits = load_breast_cancer(), load_digits()
    sets = {
        "cancer_raw": (cancer.data, cancer.target, 1e-3),
        "cancer_standardised": (StandardScaler().fit_transform(cancer.data), cancer.target, 1e-3),
        "digits": (digits.data / 16, digits.target, 1e-3),
        "ill_conditioned": (*synthetic(), 1e-6),
    }
    for name, (X, y, l2) in sets.items():
        head = [X.shape[0], X.shape[1], len(np.unique(y)), l2]
        np.concatenate([head, np.ascontiguousarray(X).ravel(), y]).astype("<f8").tofile(folder / f"{name}.bin")


def objective(X, y, coef, intercept, l2):
    from scipy.special import logsumexp

    Z = X @ coef.T + intercept
    if coef.shape[0] == 1:
        data = np.mean(np.logaddexp(0, -(2 * y - 1) * Z[:, 0]))
    else:
        data = np.mean(logsumexp(Z, axis=1) - Z[np.arange(len(y)), y.astype(int)])
    return data + l2 / 2 * np.sum(coef**2)


def run(folder, name, fstar, repeats):
    from sklearn.linear_model import LogisticRegression

    values = np.fromfile(folder / f"{name}.bin", "<f8")
    n, p, _, l2 = int(values[0]), int(values[1]), int(values[2]), values[3]
    X, y = values[4 : 4 + n * p].reshape(n, p).copy(), values[4 + n * p :].copy()
    limit = 60

    def fit(solver, iterations):
        model = LogisticRegression(C=1 / (l2 * n), solver=solver, max_iter=iterations, tol=1e-14, random_state=0)
        began = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - began, (objective(X, y, model.coef_, model.intercept_, l2) - fstar) / max(1, abs(fstar))

    for solver in ("newton-cholesky", "newton-cg", "lbfgs", "sag", "saga"):
        if n > 50_000 and solver.startswith("sag"):
            print(solver, 0, float("nan"), float("nan"))
            continue
        newton = solver.startswith("newton")
        iterations, began, best = (1 if newton else 5), time.perf_counter(), np.inf
        while True:
            seconds, excess = fit(solver, iterations)
            best = min(best, excess)
            if excess <= TARGET or time.perf_counter() - began > limit:
                break
            iterations += 1 if newton else max(1, iterations // 5)
        if excess > TARGET:
            print(solver, iterations, float("nan"), best, flush=True)
            continue
        many = repeats if seconds < 2 else 1
        print(solver, iterations, min([seconds] + [fit(solver, iterations)[0] for _ in range(many)]), excess, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(pathlib.Path(sys.argv[2]))
    else:
        run(pathlib.Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
