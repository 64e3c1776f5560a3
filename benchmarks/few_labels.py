"""What features are worth to a linear classifier that has few labels: a VAE's posterior means beside PCA.

Both are fitted on all training images without their labels. Then, for several draws of so many labelled images, a
logistic regression on the standardised features is fitted on these (its C chosen by cross-validation among them) and
scored on all test images. MNIST is found or downloaded as by ``python -m tinyvae.train mnist``.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import record
from tinyvae import VAE
from tinyvae.cli import console
from tinyvae.data import datasets
from tinyvae.disk.files import atomic_write, require_writable

RESULTS = Path(__file__).parents[1] / "results/few_labels.json"
COMPONENTS, LABELS, DRAWS = (10, 20), (100, 1000), 20


def accuracy(features, labels, test_features, test_labels):
    """The share of right answers of a logistic regression, in per cent."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    search = GridSearchCV(classifier, {"logisticregression__C": [0.01, 0.1, 1, 10]}, cv=5)
    return 100 * search.fit(features, labels).score(test_features, test_labels)


def compare(mnist, components, epochs, draws):
    """A row for each number of labels: the means of both kinds of features, and of their difference."""
    X, X_test = (datasets.to_float(images) for images in (mnist.train, mnist.test))
    kinds = {
        "pca": PCA(components, random_state=0),
        "vae": VAE(components, max_epochs=epochs, random_state=0, n_jobs=-1),
    }
    features = {name: (kind.fit_transform(X), kind.transform(X_test)) for name, kind in kinds.items()}
    for n in LABELS:
        scores = {name: [] for name in kinds}
        for draw in range(draws):
            rows, _ = train_test_split(np.arange(len(X)), train_size=n, random_state=draw, stratify=mnist.train_labels)
            for name, (known, unknown) in features.items():
                scores[name].append(accuracy(known[rows], mnist.train_labels[rows], unknown, mnist.test_labels))
        scores["vae - pca"] = np.subtract(scores["vae"], scores["pca"])
        row = {"components": components, "labels": n, "epochs": epochs, "draws": draws}
        for name, values in scores.items():
            row[name] = round(float(np.mean(values)), 2)
            row[f"{name}, standard error"] = round(float(np.std(values, ddof=1) / np.sqrt(draws)), 2)
        yield row


def main(argv=None):
    """Measure, print, and write a file of results."""
    parser = console.Parser("python -m benchmarks.few_labels", __doc__)
    parser.add_argument("--epochs", type=console.positive, default=20, metavar="E", help="of the VAE [20]")
    parser.add_argument("--draws", type=console.positive, default=DRAWS, metavar="n", help="of labelled images [20]")
    parser.add_argument(
        "--out", type=console.path, default=RESULTS, metavar="FILE", help="of results [results/few_labels.json]"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file that --out names")
    arguments = parser.parse_args(argv)
    if arguments.draws == 1:
        parser.error("one draw has no standard error: two are needed, at least")
    console.require_free(arguments.out, arguments.overwrite)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    require_writable(arguments.out)
    mnist, rows = datasets.load("mnist"), []
    for components in COMPONENTS:
        for row in compare(mnist, components, arguments.epochs, arguments.draws):
            print(json.dumps(row), flush=True)
            rows.append(row)
    origin = record.origin("benchmarks.few_labels", argv)
    found = origin | {"test_images": len(mnist.test), "seed": 0, "rows": rows}
    with atomic_write(arguments.out) as file:
        file.write((json.dumps(found, indent=2) + "\n").encode())
    return 0


if __name__ == "__main__":
    console.run(main)
