"""Make a figure or a table of the papers, from the data to the picture; go on where an earlier call stopped.

examples:
  python -m tinyvae.reproduce aevb-mnist --quick       a small version, to see what it makes
  python -m tinyvae.reproduce latent-space --jobs 2    two trainings side by side
  python -m tinyvae.reproduce vae-vs-iwae --stages 6 --out mine
  python -m tinyvae.reproduce all --out mine
"""

import dataclasses
import itertools
import os
import shlex
import sys
import tempfile
from pathlib import Path

from tinyvae import __version__
from tinyvae.cli import console
from tinyvae.disk.files import explained
from tinyvae.errors import RunError, UserError

PROTOCOL = "protocol.json"  # how the results of a folder came about
NAMES = (
    "aevb-mnist", "aevb-frey", "aevb-frey-map", "aevb-frey-step-02", "latent-space", "manifold-mnist", "manifold-frey",
    "vae-vs-iwae", "one-vs-two-layers", "cvae", "samples", "photos", "coloured-digits", "grammar-vae",
)  # fmt: skip


def main(argv=None):
    """Carry out the trainings of each name, then write its folder of results."""
    arguments = parse(argv)
    from tinyvae.papers import sweep
    from tinyvae.papers.experiments import EXPERIMENTS
    from tinyvae.papers.report import Report, Size

    size = Size(arguments.examples, arguments.stages, arguments.stages_50, arguments.quick, arguments.seed)
    runs = arguments.runs / "quick" if arguments.quick else arguments.runs
    names = NAMES if "all" in arguments.names else arguments.names
    options = {name: options_of(EXPERIMENTS[name], size) for name in names}
    require_effect(size, options)
    commands = {name: command(name, options[name], arguments.quick) for name in names}
    for name in () if arguments.overwrite else names:
        require_own(folder_of(name, arguments), commands[name])
    if arguments.quiet:
        console.hush()
    console.announce_compilation(arguments.quiet)
    console.compile_ahead()

    def say():
        console.acknowledge_interrupt(arguments.quiet)

    try:
        for name in names:
            experiment = EXPERIMENTS[name]
            plans = experiment.plans(size)
            if not arguments.quiet:
                count = f"{len(plans)} training{'s' * (len(plans) != 1)}"
                print(f"{name}: {experiment.title}, {count} in {runs}", file=sys.stderr)
            folder, models = make_folder(name, arguments), experiment.with_models
            sweep.carry_out_all(plans, runs, arguments.data_dir, arguments.jobs, arguments.quiet, models, say)
            report = Report(plans, runs, folder, arguments.data_dir)
            tables = write(experiment, report, commands[name])
            if not arguments.quiet:
                for rows in tables:
                    print(console.table(rows))
                print("\n".join([f"{folder}/", *(f"  {path.name}" for path in sorted(folder.iterdir()))]))
    except KeyboardInterrupt as interrupt:
        interrupt.args = ("the same command goes on where it stopped",)
        raise
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.reproduce", __doc__)
    parser.add_argument(
        "names", nargs="+", choices=(*NAMES, "all"), metavar="NAME", help=f"of {', '.join(NAMES)}; or all"
    )
    parser.add_argument("--quick", action="store_true", help="a small version: 1,000 examples, a few epochs")
    length = parser.add_argument_group("length")
    length.add_argument(
        "--examples", type=console.positive, default=10_000_000, metavar="N", help="that AEVB's curves see [10000000]"
    )
    length.add_argument(
        "--stages", type=int, choices=range(1, 9), default=5, metavar="n", help="of IWAE's schedule, 1 to 8 [5]"
    )
    length.add_argument(
        "--stages-50", type=int, choices=range(1, 9), default=3, metavar="n", help="of it with 50 samples [3]"
    )
    parser.add_argument("--seed", type=console.seed, default=0, metavar="S", help="of everything random [0]")
    parser.add_argument("--jobs", type=console.positive, default=1, metavar="J", help="trainings side by side [1]")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--out", type=console.path, default=Path("results"), metavar="DIR", help="for the results [results]"
    )
    files.add_argument(
        "--runs",
        type=console.path,
        default=Path("runs/reproduce"),
        metavar="DIR",
        help="of the trainings [runs/reproduce]",
    )
    files.add_argument(
        "--data-dir", type=console.path, metavar="DIR", help="where the data are [$TINYVAE_DATA, then the cache]"
    )
    files.add_argument("--overwrite", action="store_true", help="replace results that another command made")
    files.add_argument("--quiet", action="store_true", help="print errors only")
    return parser.parse_args(argv)


def options_of(experiment, size):
    """The options, apart from --quick, that change the trainings of an experiment of this size: {name: text}."""
    plans, defaults = experiment.plans(size), {field.name: field.default for field in dataclasses.fields(size)}
    return {
        "--" + name.replace("_", "-"): str(getattr(size, name))
        for name, default in defaults.items()
        if name != "quick" and experiment.plans(dataclasses.replace(size, **{name: default})) != plans
    }


def require_effect(size, options):
    """UserError for an option that changes nothing: it would stand in no protocol.

    Args:
        size: Size.
        options: {name: ``options_of`` it}.
    """
    for field in dataclasses.fields(size):
        option = "--" + field.name.replace("_", "-")
        if getattr(size, field.name) != field.default and option not in {"--quick"}.union(*options.values()):
            small = " under --quick" if size.quick else ""
            raise UserError(f"{option} changes nothing of {', '.join(options)}{small}: leave it out")


def folder_of(name, arguments):
    """The folder for the results of a name."""
    return arguments.out / (f"{name}-quick" if arguments.quick else name)


def require_own(folder, words):
    """UserError for a folder that has the results of another command than these words."""
    from tinyvae.disk.run import Run

    if not os.path.exists(folder / PROTOCOL):
        return
    try:
        found = Run(folder).read_json(PROTOCOL).get("command")
    except RunError:
        found = None
    if found != words:
        raise UserError(
            f"{folder} has the results of another command: {found or f'{PROTOCOL} does not say of which'}\n"
            "Add --overwrite to replace them, or name another folder with --out."
        )


def make_folder(name, arguments):
    """The folder for the results of a name, made before hours of training and seen to take files."""
    folder = folder_of(name, arguments)
    with explained(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    with explained(folder, "written"), tempfile.TemporaryFile(dir=folder):
        return folder


def write(experiment, report, words):
    """The figures, the numbers, and the protocol: the command's words and the config of every run. Returns the tables
    that are to be printed.
    """
    from tinyvae.disk.run import Run

    with explained(report.folder / PROTOCOL, "removed"):
        (report.folder / PROTOCOL).unlink(missing_ok=True)  # which is not of what is written now
    experiment.write(report)
    configs = {plan.name: config_of(plan, report) for plan in report.plans}
    Run(report.folder).write_json(PROTOCOL, {"command": words, "tinyvae": __version__, "runs": configs})
    return report.shown


def config_of(plan, report):
    """What is known of a plan's run; of a longer one, of which the beginning was taken, with the plan's length."""
    from tinyvae.training import description, opening

    run = report.run(plan)
    settings, _, _ = opening.read_config(run)
    if settings.epochs <= plan.settings.epochs:
        return run.config()
    return run.config() | description.describe_settings(plan.settings, report.dataset(plan))


def command(name, options, quick):
    """The command that makes these results, with all that changes them."""
    words = itertools.chain(["python", "-m", "tinyvae.reproduce", name], ["--quick"] * quick, *options.items())
    return shlex.join(words)


if __name__ == "__main__":
    console.run(main)
