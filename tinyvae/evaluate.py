"""Evaluate a trained model: log p(x) by importance sampling, bounds for several K, and the use of its latent units.

examples:
  python -m tinyvae.evaluate runs/mnist                   5,000 samples for each test image
  python -m tinyvae.evaluate runs/mnist --limit 1000      the first 1,000 test images only
  python -m tinyvae.evaluate runs/mnist --samples 100 --json
"""

import json
from pathlib import Path

from tinyvae.cli import console


def main(argv=None):
    """Load the run, evaluate, write ``evaluation.json`` and say what it means."""
    description, examples = __doc__.split("\n\n")
    parser = console.Parser(prog="python -m tinyvae.evaluate", description=description, epilog=examples)
    parser.add_argument("run", type=Path, help="the folder of a training run")
    parser.add_argument("--samples", type=console.positive, default=5000, metavar="K", help="for each image [5000]")
    parser.add_argument("--limit", type=console.positive, metavar="n", help="the first n test images only")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="with the data [$TINYVAE_DATA, then the cache]")
    parser.add_argument("--json", action="store_true", help="print evaluation.json instead of words")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    from tinyvae.disk.run import Run
    from tinyvae.training import description, evaluation

    run = Run.open(arguments.run)
    console.announce_compilation(arguments.quiet)
    state = description.load(run, arguments.data_dir)
    images, labels = (
        None if a is None else a[: arguments.limit] for a in (state.dataset.test, state.dataset.test_labels)
    )
    with state.crew, console.sample_bar(len(images) * arguments.samples, arguments.quiet) as bar:
        results = evaluation.evaluate(state.fitted, images, labels, arguments.samples, bar.update)
    results["protocol"] = description.protocol(state.settings)
    results["epochs"] = state.epoch
    run.write_json("evaluation.json", results)
    text = (run.path / "evaluation.json").read_text(encoding="utf-8")
    print(json.dumps(json.loads(text), indent=2) if arguments.json else report(state, results))
    return 0


def report(training, results):
    """The results in words."""
    error = "" if results["standard_error"] is None else f" ± {results['standard_error']:.2f}"
    lines = [
        f"{training.dataset.name}, {results['n_images']} test images, after epoch {results['epochs']}",
        f"  {results['protocol']}",
        f"  log p(x)  {results['log_likelihood']:.2f}{error} nats per example, by {results['samples']} samples each "
        "(± one standard error over the images)",
        *(f"  L_{k:<6}  {bound:.2f}{'  (the ELBO)' if k == 1 else ''}" for k, bound in results["bounds"].items()),
    ]
    for l, (active, units, kl) in enumerate(zip(results["active_units"], results["latent"], results["kl"]), start=1):
        total = "" if kl is None else f"; KL {kl.sum():.2f} nats, {kl.max():.2f} in the largest"
        where = "" if len(results["latent"]) == 1 else f" of layer {l}"
        lines.append(f"  {active} of {units} latent dimensions{where} are used{total}")
    for k in results["effective_sample_size"]:
        if k > 1:
            lines.append(
                f"  the largest of {k} weights holds {100 * results['largest_weight'][k]:.0f} % of the mass: "
                f"k = {k} is effectively {results['effective_sample_size'][k]:.1f}"
            )
    if results["remark"]:
        lines.append(f"  {results['remark']}")
    return "\n".join(lines)


if __name__ == "__main__":
    console.run(main)
