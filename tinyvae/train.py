"""Train a variational autoencoder and write what was learned into a folder.

examples:
  python -m tinyvae.train digits                    a small data set that needs no network
  python -m tinyvae.train mnist                     the default recipe: 20 epochs, a minute or two
  python -m tinyvae.train mnist --network conv      with convolutions: 10 epochs, some minutes
  python -m tinyvae.train mnist --latent 2          with pictures of the two-dimensional latent space
  python -m tinyvae.train mnist --recipe aevb --latent 3 --samples-seen 1080000
  python -m tinyvae.train --resume runs/mnist       go on where it stopped
  python -m tinyvae.train my_pictures/ --size 32 --recipe colour
  python -m tinyvae.train expressions --recipe characters
  python -m tinyvae.train my_strings.txt --grammar my_grammar.txt
  python -m tinyvae.train my_images.npy --hidden 200,200 --epochs 50 --out runs/mine
"""

import dataclasses
import itertools
import json
import math
import os
import shlex
import sys
from pathlib import Path

from tinyvae.cli import console, options
from tinyvae.errors import DivergenceError, RunError, UserError
from tinyvae.settings import LEAST_EXAMPLES, STRING_RECIPES


def main(argv=None):
    """Parse the arguments, load, train, write the run's folder, and say what was learned."""
    arguments = options.build_parser(__doc__).parse_args(argv)
    if arguments.quiet:
        console.hush()
    run, state, history = resume(arguments) if arguments.resume else start(arguments)
    try:
        history = fit(run, state, history, arguments)
        names = finish(run, state, history)
    except KeyboardInterrupt as interrupt:
        interrupt.args = (f"go on with: {resuming(run.path)}",)
        raise
    except DivergenceError as error:
        kept = f"\n{run.path} keeps the last checkpoint before it." if run.has_checkpoint() else ""
        raise DivergenceError(f"{error}{kept}") from None
    summary = run.read_json("summary.json")
    if arguments.json:
        print(json.dumps({**summary, "run": str(run.path)}, indent=2))
    elif not arguments.quiet:
        print(report(summary, run.path, names, can_be_explored(state.model)))
    return 0


def start(arguments):
    """A new run as the arguments describe it: (run.Run, loop.Training, no history yet)."""
    if not arguments.dataset:
        raise UserError("name a data set, as in: python -m tinyvae.train digits (or --resume DIR; --help says more)")
    if arguments.overwrite and not arguments.out:
        raise UserError("--overwrite replaces the run that --out names: add --out DIR, or leave it out")
    settings = options.resolve(arguments)
    console.announce_compilation(arguments.quiet)
    console.compile_ahead(settings.network, settings.dtype)
    from tinyvae.training import description, loop

    dataset = read(arguments)
    if dataset.vocabulary is not None:
        settings = resolve_for_strings(arguments, dataset)
    elif arguments.recipe in STRING_RECIPES:
        raise UserError(f"--recipe {arguments.recipe} is of strings, and {dataset.name} has none: leave it out")
    for note in () if arguments.quiet else (*dataset.notes, *notes(settings, dataset)):
        print(f"note: {note}", file=sys.stderr)
    settings = with_length(settings, arguments, len(dataset.train))
    state = loop.Training(settings, dataset, arguments.threads)
    config = description.describe(state, dataset, arguments.dataset, arguments.limit)
    return create(arguments, dataset.name, config), state, []


def read(arguments):
    """The data: datasets.Dataset."""
    from tinyvae.data import datasets

    def load(characters):
        reading = arguments.size, arguments.grey, arguments.skip_broken, arguments.grammar, characters
        return datasets.load(arguments.dataset, arguments.data_dir, arguments.limit, *reading)

    wants_characters = arguments.recipe == "characters"
    dataset = load(arguments.characters or (wants_characters and options.string_recipe(arguments) is not None))
    if wants_characters and dataset.vocabulary is not None and len(dataset.vocabulary.groups):
        dataset = load(True)  # of a name that nothing but its data tells to be of strings
    return dataset


def notes(settings, dataset):
    """What should be known of a likelihood that takes the data for less than they are."""
    if settings.likelihood != "bernoulli":
        return
    if dataset.data_shape[2:] == (3,):
        yield (
            "a Bernoulli takes colours for probabilities, and its bound is then no log probability; --recipe colour "
            "has a likelihood of their 256 levels, and counts in bits"
        )
    if dataset.vocabulary is not None:
        yield (
            "a Bernoulli takes each symbol of a step by itself, and no string can be drawn from it; --likelihood "
            "categorical takes one of them"
        )


def with_length(settings, arguments, n_examples):
    """The settings with as many epochs as are asked for, or as a small data set needs, and minibatches that fit."""
    epochs = options.given_epochs(arguments, n_examples) or settings.epochs
    if options.uses_default_length(arguments):
        epochs = max(epochs, math.ceil(LEAST_EXAMPLES / n_examples))
    # a minibatch that nobody asked for is all that there is where that is less
    batch_size = arguments.batch_size or min(settings.batch_size, n_examples)
    return dataclasses.replace(settings, epochs=epochs, batch_size=batch_size)


def resolve_for_strings(arguments, dataset):
    """The settings for strings, now that it is known what they are made of; UserError where the recipe is another's."""
    kind = "grammar" if len(dataset.vocabulary.groups) else "characters"
    if arguments.recipe == "grammar" and kind != arguments.recipe:
        raise UserError(
            f"--recipe grammar takes strings for the rules of a grammar, and here {dataset.name} is characters: name a "
            "grammar with --grammar FILE, or use --recipe characters"
        )
    return options.resolve(arguments, kind)


def create(arguments, name, config):
    """The run, in the folder --out or in the first of runs/NAME, runs/NAME-2, runs/NAME-3, ... that does not exist."""
    from tinyvae.disk.run import Run

    for number in itertools.count(1):
        folder = arguments.out or Path("runs") / (name if number == 1 else f"{name}-{number}")
        if not arguments.out and os.path.exists(folder):  # a Path's would raise what must not be looked at
            continue
        cure = f"Go on with {resuming(folder)}, replace it with --overwrite, or choose another --out."
        try:
            return Run.create(folder, config, arguments.overwrite, cure)
        except RunError:
            if arguments.out or not os.path.exists(folder):
                raise  # otherwise another process was faster


def resuming(folder):
    """The command that goes on with a run."""
    return f"python -m tinyvae.train --resume {shlex.quote(str(folder))}"


def resume(arguments):
    """The run that --resume names, where it stopped: (run.Run, loop.Training, the rows of the history)."""
    from tinyvae.disk.run import Run
    from tinyvae.training import opening

    run = Run.open(arguments.resume, to_train=True)
    console.announce_compilation(arguments.quiet)
    settings, _, _ = opening.read_config(run)
    console.compile_ahead(settings.network, settings.dtype)
    state, history = opening.go_on(run, arguments.data_dir, arguments.threads, arguments.dataset)
    options.require_same(state.settings, arguments)
    epochs = options.given_epochs(arguments, len(state.dataset.train)) or state.settings.epochs
    if epochs < state.settings.epochs:
        raise UserError(f"the run in {run.path} has {state.settings.epochs} epochs: --resume can only raise that")
    if epochs > state.settings.epochs:
        opening.make_longer(run, state, epochs)
    return run, state, history


def fit(run, state, history, arguments):
    """Train to the end of the run; returns all rows of the history."""
    from tinyvae import interrupts
    from tinyvae.training import loop, protocol

    total = state.settings.epochs * len(state.dataset.train)
    with (
        console.ProgressBar(total, arguments.quiet, state.samples_seen, protocol.unit(state.fitted)) as bar,
        interrupts.DeferredInterrupt(lambda: console.acknowledge_interrupt(arguments.quiet)) as interrupt,
    ):
        return loop.train(state, run, bar, history, arguments.checkpoint_every, interrupt.check)


def finish(run, state, history):
    """Write the summary and, if that can be done, the figures; returns the names of those that are there."""
    from tinyvae.training import description, evaluation

    dataset = state.dataset
    remark = evaluation.remark(state.fitted, dataset.test, state.labels(dataset.test_labels, slice(None)))
    run.write_summary(description.summarise(state, history) | {"remark": remark} | count_strings(state))
    names, faults = [], []
    try:
        from tinyvae.training import run_figures

        drawings = run_figures.drawings(run, state.fitted, dataset, history)
    except Exception as error:  # as in the loop below
        drawings, faults = {}, [f"{type(error).__name__}: {error}"]
    for name, draw in drawings.items():
        try:
            draw()
            names.append(name)
        except Exception as error:  # whatever it is: all numbers are on disk, and a picture is not worth a run
            faults.append(f"{name}: {type(error).__name__}: {error}")
    if faults:
        causes = "; ".join(faults)
        print(f"warning: not all figures were drawn ({causes}); the run itself is complete", file=sys.stderr)
    return names


def count_strings(state):
    """What the summary of a run of strings has of its samples (strings.Tally)."""
    if not state.fitted.has_strings:
        return {}
    from tinyvae.training import strings

    return {"samples": strings.count_samples(state.fitted, state.dataset)._asdict()}


def say_counts(samples):
    """The same in words."""
    from tinyvae.training.strings import Tally

    return f"from the prior, {Tally(**samples)}"


def can_be_explored(model):
    """Whether there can be a page of it."""
    from tinyvae.explorer import layout

    try:
        layout.require_served(model)
    except UserError:
        return False
    return True


def report(summary, path, files, has_page=False):
    """The short table at the end, and with ``has_page`` the command that makes a page of the run."""
    bits = summary["test_bits_per_dimension"]
    words = "" if bits is None else f", {bits:.3f} bits per dimension"
    drawn = [console.paragraph("samples    ", say_counts(summary["samples"]))] if "samples" in summary else []
    lines = [
        f"{summary['dataset']}: {summary['epochs']} epoch{'s' * (summary['epochs'] != 1)}, "
        f"{summary['samples_seen']:,} examples seen, "
        f"{summary['seconds']:.0f} s",
        f"  test bound   {console.figure(summary['test_bound'], '10.2f')} {summary['unit']}{words}",
        f"  train bound  {console.figure(summary['train_bound'], '10.2f')}",
        *([console.paragraph("note       ", console.NOT_FINITE)] if summary["test_bound"] is None else []),
        console.paragraph("protocol   ", summary["protocol"]),
        *([f"  note         {summary['remark']}"] if summary["remark"] else []),
        *drawn,
        f"{path}/",
        "  config.json  history.csv  summary.json  checkpoint.npz",
        *(f"  {name}" for name in files),
        *([f"to explore it in a browser: python -m tinyvae.explore {shlex.quote(str(path))}"] if has_page else []),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    console.run(main)
