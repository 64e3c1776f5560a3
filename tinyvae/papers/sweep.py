"""Many trainings, side by side through joblib, each in a folder of its own that it goes on from when it is begun again.

joblib's backend may be another than this machine's processes: docs/cluster.md.
"""

import dataclasses
import functools
import math
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib

from tinyvae.disk.files import explained, open_to_read
from tinyvae.errors import DivergenceError, Interrupted, RunError, UserError
from tinyvae.interrupts import ENDINGS, DeferredInterrupt
from tinyvae.settings import Settings

DATA_SHAPES: dict[str, tuple[int, ...]] = {"mnist": (28, 28), "frey": (28, 20), "digits": (8, 8)}
DATA_SHAPES |= {"photos": (16, 16, 3), "coloured-digits": (8, 8, 3)}
DATA_SHAPES |= dict.fromkeys(("expressions", "expressions-unsolved"), (15, 12))
N_TRAIN = {"mnist": 60_000, "frey": 1_768, "digits": 1_617, "photos": 23_896, "coloured-digits": 16_170}
N_TRAIN |= {"expressions": 90_000, "expressions-unsolved": 89_995}
INTERVAL = 30  # seconds from one line of progress to the next, where there is no terminal
BLINK = 0.2  # seconds from one look of a worker at its parent to the next
LOOK = 2  # seconds from one look at the runs to the next


@dataclass(frozen=True)
class Plan:
    """A training, and what is to be known of its end.

    Attributes:
        name: of the run's folder.
        source, limit: as for ``datasets.load``.
        settings: settings.Settings, with the length of the run.
        samples: K of the evaluation of log p(x) at the end; 0 for none.
        images: so many test images are evaluated; None for all.
        characters: of strings that have a grammar: take them for characters.
    """

    name: str
    source: str
    settings: Settings
    limit: int | None = None
    samples: int = 0
    images: int | None = None
    characters: bool = False

    def load(self, data_dir=None):
        """The data: datasets.Dataset."""
        from tinyvae.data import datasets

        return datasets.load(self.source, data_dir, self.limit, characters=self.characters)

    def training_cost(self):
        """The multiplications of the training, roughly."""
        n_examples = (self.limit or N_TRAIN.get(self.source, 10_000)) * self.settings.epochs
        encoder, decoder = self._weights()
        update = 5 * (encoder + decoder) / self.settings.batch_size
        return n_examples * (3 * (encoder + self.settings.samples * decoder) + update + 20_000)

    def evaluation_cost(self, n_images=10_000):
        """Those of the evaluation."""
        return self.samples * min(self.images or n_images, n_images) * self._weights()[1]

    def _weights(self):
        from tinyvae.training.fitted import build_model

        model = build_model(self.settings, DATA_SHAPES.get(self.source, (28, 28)), 0)
        return [
            sum(math.prod(product) for network in networks for product in network.products())
            for networks in (model.encoders, model.decoders)
        ]


def carry_out(plan, folder, data_dir=None, threads=None, with_model=True, say=lambda: None, check=lambda: None):
    """Train a plan to its end, from where it stands, and evaluate it.

    Args:
        plan: Plan.
        folder: of the runs.
        data_dir: where to look for the data first.
        threads: as many as there are cores where it begins, and as before where it goes on, if they are not given.
        with_model: whether the trained model is wanted too, and not only what is written about it.
        say: called at once at a signal to end while it trains, which it does after its step.
        check: called after each step of the training and each block of the evaluation; errors.Interrupted out of it
            ends them, and the training leaves a checkpoint.

    Raises: RunError if the run's folder holds something else than a beginning of the plan, another process is at work
        there, or the end of the plan is wanted and the run is longer, or is evaluated by more samples or images.
    """
    from tinyvae.training import description, evaluation, loop

    if is_done(plan, folder, with_model):
        return
    run, state, history = begin(plan, folder, data_dir, threads, with_model)
    with run:
        if state.epoch < state.settings.epochs:
            with DeferredInterrupt(say) as interrupt:
                history = loop.train(state, run, None, history, check_interrupt=lambda: (interrupt.check(), check()))
        if summarised(run) != state.epoch:
            run.write_summary(description.summarise(state, history))
        if plan.samples and not evaluated(run, plan, state.epoch):
            images = state.dataset.test[: plan.images]
            labels = state.labels(state.dataset.test_labels, slice(plan.images))
            with state.crew:
                results = evaluation.evaluate(state.fitted, images, labels, plan.samples, lambda _: check())
            results = description.describe_evaluation(state, run.name) | results
            before = run.read_json("evaluation.json") if os.path.exists(run.path / "evaluation.json") else {}
            if description.are_of_one_state(before, results):
                results |= evaluation.annealed_before(before, results)
            run.write_json("evaluation.json", results)


def is_done(plan, folder, with_model=True):
    """Whether the run of a plan is at its end, evaluated, and what is wanted of it is there; arguments and errors as
    for ``carry_out``.
    """
    from tinyvae.disk.run import CONFIG, HISTORY, Run
    from tinyvae.training import opening

    path = Path(folder) / plan.name
    if not all(os.path.exists(path / name) for name in (CONFIG, HISTORY, "summary.json")):
        return False
    run = Run.open(path)
    settings, _, _ = opening.read_config(run)
    require_same(plan, run, settings, with_model)
    epochs = len(run.history())
    is_at_end = epochs >= max(plan.settings.epochs, settings.epochs) == summarised(run)
    return is_at_end and (run.has_checkpoint() or not with_model) and (not plan.samples or evaluated(run, plan, epochs))


def summarised(run):
    """The epochs that a run's summary is of; None if there is no summary, or it does not say."""
    return run.read_json("summary.json").get("epochs") if os.path.exists(run.path / "summary.json") else None


def evaluated(run, plan, epoch):
    """Whether the evaluation of a run's end is there already, with all that the tables are made of.

    Raises: RunError if there is one that took more work, which is not replaced unasked.
    """
    if not os.path.exists(run.path / "evaluation.json"):
        return False
    found, n_images = run.read_json("evaluation.json"), run.config()["dataset"]["test_examples"]
    samples, n_images = plan.samples, min(plan.images or n_images, n_images)
    wanted = {"run": run.name, "epochs": epoch, "samples": samples, "n_images": n_images}
    is_of_this_end = all(found.get(name) == wanted[name] for name in ("run", "epochs"))
    sizes = [(found.get(name), wanted[name]) for name in ("samples", "n_images")]
    if is_of_this_end and any(type(size) is int and size > enough for size, enough in sizes):
        raise RunError(
            f"{run.path}/evaluation.json is by {found.get('samples')} samples of {found.get('n_images')} images, and "
            f"what is wanted is by {samples} of {n_images}\nMove it away, or name another folder with --runs."
        )
    figures = [found.get(name, "") for name in ("log_likelihood", "standard_error")]
    numbers = all(isinstance(figure, float) for figure in figures) or figures == [None, None]  # these are not finite
    counts = found.get("active_units")
    return (
        numbers
        and all(found.get(name) == value for name, value in wanted.items())
        and isinstance(counts, list)
        and all(type(count) is int for count in counts)
    )


def begin(plan, folder, data_dir=None, threads=None, with_model=True):
    """The run of a plan, new or where it stands: (run.Run, loop.Training, the rows of the history).

    Args, raises: as for ``carry_out``.
    """
    from tinyvae.disk.run import CONFIG, Run
    from tinyvae.training import description, opening
    from tinyvae.training.loop import Training

    path = Path(folder) / plan.name
    if not os.path.exists(path / CONFIG):
        dataset = plan.load(data_dir)
        state = Training(plan.settings, dataset, threads)
        return Run.create(path, description.describe(state, dataset, plan.source, plan.limit)), state, []
    run = Run.open(path, to_train=True)
    state, history = opening.go_on(run, data_dir, threads)
    require_same(plan, run, state.settings, with_model)
    if plan.settings.epochs > state.settings.epochs:
        opening.make_longer(run, state, plan.settings.epochs)
    return run, state, history


def require_same(plan, run, settings, with_model):
    """Raise a RunError unless a run, of these settings, is the plan's, or one that only the length sets apart.

    A shorter one will be made longer; a longer one has the plan's curve, but not its end.
    """
    from tinyvae.training import description

    lengths = {"epochs": plan.settings.epochs, "raised_from": ()}
    if settings.schedule == "cosine":  # whose steps depend on the length
        del lengths["epochs"]
    wanted, found = dataclasses.asdict(plan.settings), dataclasses.asdict(dataclasses.replace(settings, **lengths))
    different = [name for name in wanted if wanted[name] != found[name]]
    about, wanted = run.config()["dataset"], {"source": description.lasting(plan.source), "limit": plan.limit}
    different += [name for name in wanted if about[name] != wanted[name]]
    kind = (about.get("vocabulary") or {}).get("kind")
    different += ["characters"] if plan.characters != (kind == "characters") else []
    if different:
        raise RunError(
            f"{run.path} holds a run that differs in {', '.join(different)}\n"
            "Move it away, or name another folder with --runs."
        )
    if settings.epochs > plan.settings.epochs and (plan.samples or with_model):
        raise RunError(
            f"{run.path} holds a longer run, of {settings.epochs} epochs, and what is wanted is the end of one of "
            f"{plan.settings.epochs}\nAsk for that length, move it away, or name another folder with --runs."
        )


def carry_out_all(plans, folder, data_dir=None, jobs=1, quiet=False, with_models=True, say=lambda: None):
    """Carry out plans, so many at a time. At a signal to end, or after an error in one of them, all finish their step.

    Args:
        plans: [Plan].
        folder, data_dir, with_models: as for ``carry_out``.
        jobs: trainings side by side, each with its share of the cores.
        quiet: no progress.
        say: called at once at a signal to end.

    Raises: as ``carry_out``.
    """
    from tinyvae.machine import available_cores

    left = [plan for plan in plans if not is_done(plan, folder, with_models)]
    jobs = min(jobs, max(1, len(left)))
    threads = max(1, available_cores() // jobs)
    longest_first = sorted(left, key=lambda plan: -plan.training_cost())
    with Progress(plans, folder, quiet):
        if jobs == 1:
            for plan in longest_first:
                carry_out(plan, folder, data_dir, threads, with_models, say)
            return

        def tell_all():
            word.unlink(missing_ok=True)
            say()

        with _word_to_go_on(folder) as word, DeferredInterrupt(tell_all) as interrupt:
            try:
                ends = joblib.Parallel(n_jobs=jobs)(
                    joblib.delayed(carry_out_for)(
                        (platform.node(), os.getpid()), word, plan, folder, data_dir, threads, with_models
                    )
                    for plan in longest_first
                )
            except Exception:
                interrupt.check()  # a worker that had not begun yet may have ended by the same signal
                raise
    errors = [end for end in ends if end]
    for error in sorted(errors, key=lambda error: isinstance(error, Interrupted)):  # the cause before what follows
        raise error


@contextmanager
def _word_to_go_on(folder):
    """The Path of a file that all workers see, on whichever machine: when it is gone, they are to end."""
    folder = Path(folder)
    with explained(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".going-on-", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def carry_out_for(parent, word, *arguments):
    """``carry_out`` in a worker, which ends with its parent.

    Args:
        parent: (host, number) of the process that wants it. If it started this one, this one is killed when it is gone;
            a worker of another kind (docs/cluster.md) is looked after by those who started it.
        word: Path of a file. When it is gone, this training ends after its step; if this one fails, it takes it away.
        arguments: of ``carry_out``.

    Returns: what ended it before the end, an error for people or Interrupted; None if nothing did.

    Raises: RunError if the parent is gone already.
    """

    def check():
        if not word.exists():
            raise Interrupted

    host, process = parent
    is_here = host == platform.node()
    if is_here and not _is_alive(process):
        raise RunError("nobody waits for this training any more")
    if is_here and os.getppid() == process:
        _end_with(process)
    try:
        check()
        carry_out(*arguments, check=check)
    except Interrupted as interrupt:
        return interrupt
    except (UserError, DivergenceError, MemoryError) as error:
        word.unlink(missing_ok=True)
        return error
    return None


def _is_alive(process):
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


@functools.cache
def _end_with(parent):
    """Have a thread, one for all trainings, kill this process when its parent is gone; signals to end, which a terminal
    or a batch system sends to both, are left to the parent.
    """
    if threading.current_thread() is threading.main_thread():  # which it is not in a worker of Dask's
        for number in (signal.SIGINT, *ENDINGS):
            signal.signal(number, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:  # a process whose parent has died is given another one
            time.sleep(BLINK)
        os._exit(1)  # as after every kill, the run goes on from its last checkpoint

    threading.Thread(target=watch, daemon=True).start()


class Progress:
    """While inside, what is done of some plans, on standard error, and how long the rest will take.

    The estimate is the speed since the beginning, in multiplications, times those that are left.
    """

    def __init__(self, plans, folder, quiet=False):
        self.plans, self.folder, self.quiet = plans, Path(folder), quiet
        self.live = sys.stderr.isatty() and not quiet
        self._over, self._width = threading.Event(), 0

    def __enter__(self):
        self.started, self.before = time.perf_counter(), self.state()[0]
        self._thread = threading.Thread(target=self._watch, daemon=True)
        if not self.quiet:
            self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        if not self.quiet:
            self._thread.join()

    def state(self):
        """(the share of the cost that is done, how many plans are done)."""
        done = total = finished = 0
        for plan in self.plans:
            training, evaluation = plan.training_cost(), plan.evaluation_cost()
            share, is_evaluated = self._reached(plan)
            done += share * training + is_evaluated * evaluation
            total += training + evaluation
            finished += share >= 1 and (is_evaluated or not plan.samples)
        return done / total, finished

    def line(self):
        """The state in words."""
        share, finished = self.state()
        text = f"{finished} of {len(self.plans)} trainings done, {100 * share:.0f} %"
        elapsed = time.perf_counter() - self.started
        if share > self.before and elapsed > 5:
            minutes = (1 - share) / (share - self.before) * elapsed / 60
            text += f", about {math.ceil(minutes)} min left"
        return text

    def _reached(self, plan):
        """The share of the epochs that are done, and whether the evaluation is."""
        history, evaluation = (self.folder / plan.name / name for name in ("history.csv", "evaluation.json"))
        if not os.path.exists(history):
            return 0.0, False
        with explained(history, "read"), open_to_read(history) as file:
            epochs = file.read().count(b"\n") - 1
        return min(1.0, epochs / plan.settings.epochs), os.path.exists(evaluation)

    def _watch(self):
        shown = -math.inf
        while not self._over.wait(LOOK):
            if self.live or time.perf_counter() - shown > INTERVAL:
                line = self.line()
                self._width = max(self._width, len(line))  # of what is to be covered, where lines are on one another
                end = "\r" if self.live else "\n"
                print(line.ljust(self._width) if self.live else line, end=end, file=sys.stderr, flush=True)
                shown = time.perf_counter()
        if self.live:
            print(file=sys.stderr)
