"""Evaluate a trained model: log p(x) by importance sampling, bounds for several K, and the use of its latent units.

examples:
  python -m tinyvae.evaluate runs/mnist                   5,000 samples for each test image
  python -m tinyvae.evaluate runs/mnist --limit 1000      the first 1,000 test images only
  python -m tinyvae.evaluate runs/mnist --ais 100         and the first 100 by annealed importance sampling too
  python -m tinyvae.evaluate runs/mnist --samples 100 --json
"""

import json
import os
import sys

from tinyvae.cli import console
from tinyvae.errors import RunError

FILE = "evaluation.json"


def main(argv=None):
    """Load the run, evaluate, write ``evaluation.json`` and say what it means."""
    arguments = parse(argv)
    from tinyvae.disk.run import Run, plain
    from tinyvae.training import annealing, description, evaluation, opening

    run = Run.open(arguments.run)
    console.announce_compilation(arguments.quiet)
    state = opening.load(run, arguments.data_dir, arguments.threads)
    images, labels = (
        None if a is None else a[: arguments.limit] for a in (state.dataset.test, state.dataset.test_labels)
    )
    with state.crew, console.sample_bar(len(images) * arguments.samples, arguments.quiet) as bar:
        found = evaluation.evaluate(state.fitted, images, labels, arguments.samples, bar.update)
    results = plain(description.describe_evaluation(state, run.name) | found)
    results |= plain(evaluation.annealed_before(before(run, results), results))
    # kept and told now: the annealing may take hours, and may be interrupted
    fault, n = keep(run, results, arguments.overwrite), min(arguments.ais or 0, len(images))
    if not arguments.json:
        print(report(results, without_annealing=n > 0), flush=True)
    try:
        if n:
            with state.crew, console.sample_bar(annealing.count_steps(n), arguments.quiet, " steps") as bar:
                results |= plain(evaluation.anneal(state.fitted, images[:n], labels, found["each"], bar.update))
            fault = keep_annealed(run, results, arguments.overwrite)
            if not arguments.json:
                print(annealed(results))
    finally:
        if arguments.json:
            print(json.dumps(results, indent=2))
    if fault:
        print(f"warning: {fault}", file=sys.stderr)
        return console.UNTOLD
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.evaluate", __doc__)
    parser.add_argument("run", type=console.path, help="the folder of a training run")
    parser.add_argument("--samples", type=console.positive, default=5000, metavar="K", help="for each image [5000]")
    parser.add_argument("--limit", type=console.positive, metavar="n", help="the first n test images only")
    parser.add_argument(
        "--ais", type=console.positive, metavar="n", help="estimate log p(x) of the first n of these by annealing too"
    )
    parser.add_argument("--overwrite", action="store_true", help=f"replace an {FILE} by more samples or of more images")
    parser.add_argument(
        "--data-dir", type=console.path, metavar="DIR", help="with the data [$TINYVAE_DATA, then the cache]"
    )
    parser.add_argument("--threads", type=console.threads, metavar="T", help="[the cores this process may use]")
    parser.add_argument("--json", action="store_true", help=f"print {FILE} instead of words")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def before(run, results):
    """The evaluation in the run's folder, if it is of the same state of the run as the results are; else nothing."""
    try:
        found = run.read_json(FILE) if os.path.lexists(run.path / FILE) else {}
    except RunError:  # it is damaged
        return {}
    from tinyvae.training import description

    return found if description.are_of_one_state(found, results) else {}


def keep(run, results, overwrite):
    """Write the results, unless that would replace what took more work; returns why they are not there, or None."""
    try:
        old, new = map(size, (before(run, results), results))
        if not overwrite and any(more > less for more, less in zip(old, new)):
            annealed = f", and of {old[2]} by annealing" if old[2] else ""
            return (
                f"{run.path / FILE} stays what it is, by {old[0]} samples of {old[1]} images{annealed}: "
                "add --overwrite to replace it"
            )
    except (KeyError, TypeError):  # no evaluation of ours: it is replaced
        pass
    return write(run, results)


def keep_annealed(run, results, overwrite):
    """Write results with an annealing; beside a larger evaluation of the same state, the annealing alone, if it is not
    of fewer images than the one that is there. Returns as ``keep`` does.
    """
    from tinyvae.training import evaluation

    if (fault := keep(run, results, overwrite)) is None:
        return None
    found, new = before(run, results), results["annealed"]
    try:
        samples, images, before_it = size(found)
        if before_it > new["n_images"]:
            return fault
    except (KeyError, TypeError):  # it was not written for another reason
        return fault
    # what it is more than the estimate that stands there; of one of fewer images nobody can say it
    beside = evaluation.annealed_before(results, found) or {"annealed": new | {"gain": None, "error_of_gain": None}}
    return write(run, found | beside) or (
        f"{run.path / FILE} stays what it is, by {samples} samples of {images} images, and has this annealing of "
        f"{new['n_images']} beside them now: add --overwrite to replace it"
    )


def write(run, results):
    """Write the results; returns why that failed, or None."""
    try:
        run.write_json(FILE, results)
    except RunError as error:
        return f"{FILE} was not written: {error}"
    return None


def size(results):
    """The work of an evaluation: samples, images, and images by annealing."""
    return results["samples"], results["n_images"], results.get("annealed", {"n_images": 0})["n_images"]


def report(results, without_annealing=False):
    """The results in words."""
    bits = results["bits_per_dimension"]
    error = "" if results["standard_error"] is None else f", standard error {results['standard_error']:.2f}"
    lines = [
        f"{results['dataset']}, {results['n_images']} test images, after epoch {results['epochs']}",
        console.paragraph("protocol", results["protocol"]),
        console.paragraph("estimate", results["quantity"]),
        f"            {console.figure(results['log_likelihood'])} {results['unit']}{error}, by {results['samples']} "
        "samples each",
        *([f"            {bits:.3f} bits per dimension"] if bits is not None else []),
        *(
            f"  L_{k:<6}  {console.figure(bound)}{'  (the ELBO)' if k == '1' else ''}"
            for k, bound in results["bounds"].items()
        ),
        console.paragraph("note    ", console.NOT_FINITE) if results["log_likelihood"] is None else gain(results),
        *([annealed(results)] if "annealed" in results and not without_annealing else []),
        *units(results),
        *weights(results),
        *([f"  {results['remark']}"] if results["remark"] else []),
    ]
    return "\n".join(lines)


def units(results):
    """How many latent dimensions are used, in words, a line or two a layer."""
    for l, (active, n, kl) in enumerate(zip(results["active_units"], results["latent"], results["kl"]), start=1):
        if kl is not None and None in kl:
            total = f"; KL {console.figure(None)}"
        else:
            total = "" if kl is None else f"; KL {sum(kl):.2f} nats, {max(kl):.2f} in the largest"
        where = "" if len(results["latent"]) == 1 else f" of layer {l}"
        if active is None:
            yield f"  how many of {n} latent dimensions{where} are used, one image does not tell{total}"
        else:
            yield f"  {active} of {n} latent dimensions{where} are used{total}"
        others = {threshold: counts[l - 1] for threshold, counts in results["active_units_at"].items()}
        if len(set(others.values())) > 1:
            counts = ", ".join(f"{count} by {threshold}" for threshold, count in others.items())
            yield f"    that is, their posterior means vary by more than 0.01; {counts}"


def weights(results):
    """How many of K weights count, in words, a line for each K above 1."""
    for k, effective in results["effective_sample_size"].items():
        if k != "1" and effective is not None:
            yield (
                f"  the largest of {k} weights holds {100 * results['largest_weight'][k]:.0f} % of the mass: "
                f"k = {k} is effectively {effective:.1f}"
            )


def gain(results):
    """What more samples were worth, in words."""
    (k, bound), value = list(results["bounds"].items())[-1], results["log_likelihood"]
    name = results["quantity"].partition(",")[0].partition(" of L_K")[0]  # log p(x), log p(x | y), or the limit
    if int(k) == results["samples"] or bound is None:
        return f"  {name} is higher than any of these: each is a lower bound on average"
    return f"  from {k} to {results['samples']} samples the estimate rose by {value - bound:.2f}; {name} is higher yet"


def annealed(results):
    """The second estimate in words."""
    found = results["annealed"]
    error = "" if found["standard_error"] is None else f", standard error {found['standard_error']:.2f}"
    more = "" if found["error_of_gain"] is None else f" ± {found['error_of_gain']:.2f}"
    effective, accepted = found["effective_chains"], found["accepted"]
    how = [] if effective is None else [f"effectively {effective:.1f} of {found['chains']} chains"]
    how += [] if accepted is None else [f"{100 * accepted:.0f} % of steps accepted"]
    return (
        f"  annealed  {console.figure(found['log_likelihood'])}{error}, of the first {found['n_images']}, by "
        f"{found['chains']} chains of {found['steps']} steps\n"
        f"            {console.figure(found['gain'], '+.2f')}{more} against the same by {results['samples']} samples"
        + (f"\n            {'; '.join(how)}" if how else "")
    )


if __name__ == "__main__":
    console.run(main)
