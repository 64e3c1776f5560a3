"""The plans are the papers', and what is written of the runs is what the runs say."""

import csv
import itertools
import json
import shlex
from dataclasses import replace
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from tests.commands import assert_misuse, call
from tests.papers.reports import Told
from tinyvae import reproduce
from tinyvae.data import datasets
from tinyvae.disk.run import Run
from tinyvae.drawing import curves, mosaics
from tinyvae.papers import aevb, experiments, iwae, pictures, published, sweep
from tinyvae.papers.experiments import EXPERIMENTS
from tinyvae.papers.report import Size
from tinyvae.settings import Settings
from tinyvae.training import run_figures
from tinyvae.training.loop import Training
from tinyvae.training.opening import load_fitted


def plans(name, **size):
    return {plan.name: plan for plan in EXPERIMENTS[name].plans(Size(**size))}


def test_the_curves_of_figure_2_are_of_aevb_s_recipe_to_ten_million_examples():
    mnist = plans("aevb-mnist")
    assert [p.settings.latent for p in mnist.values()] == [(3,), (5,), (10,), (20,), (200,), (20,)]
    for plan in list(mnist.values())[:5]:
        settings = plan.settings
        assert (settings.hidden, settings.optimiser, settings.batch_size) == (((500,),), "adagrad", 100)
        assert settings.learning_rate == 0.02 and settings.kl == "closed"
        assert settings.epochs == 167 and plan.source == "mnist"
    assert plans("aevb-mnist", examples=10**8)["aevb-mnist-3"].settings.epochs == 1667
    frey = plans("aevb-frey")
    assert [p.settings.latent[0] for p in frey.values()] == [2, 5, 10, 20]
    kinds = {(p.settings.hidden, p.settings.likelihood, p.settings.learning_rate) for p in frey.values()}
    assert kinds == {(((200,),), "gaussian", 0.01)}


@pytest.mark.parametrize(
    ("name", "change"), [("aevb-frey-map", {"weight_prior": 1.0}), ("aevb-frey-step-02", {"learning_rate": 0.02})]
)
def test_the_other_frey_curves_differ_in_one_thing_alone(name, change):
    for plain, other in zip(plans("aevb-frey").values(), plans(name).values(), strict=True):
        assert replace(plain.settings, **change) == other.settings != plain.settings and plain.name != other.name


def test_our_recipe_has_the_same_network_and_sees_no_more_examples():
    best, theirs = plans("aevb-mnist")["best-20"].settings, plans("aevb-mnist")["aevb-mnist-20"].settings
    assert (best.hidden, best.latent, best.likelihood) == (theirs.hidden, theirs.latent, theirs.likelihood)
    assert 60_000 * best.epochs <= 10**7


def test_the_trainings_of_table_1():
    one = plans("vae-vs-iwae")
    assert {(p.settings.objective, p.settings.samples) for p in one.values()} == {
        ("iwae", 1), ("elbo", 5), ("iwae", 5), ("elbo", 50), ("iwae", 50)
    }  # fmt: skip
    for plan in one.values():
        assert plan.settings.latent == (50,) and plan.settings.hidden == ((200, 200),)
        assert plan.settings.batch_size == 20 and plan.settings.binarise == "dynamic" and plan.samples == 5000
    assert [one[name].settings.epochs for name in ("iwae-1-k5", "iwae-1-k50")] == [121, 13]
    assert one["iwae-best-k1"].settings.epochs <= 328
    both = plans("one-vs-two-layers", stages=6)
    assert [p.settings.latent for p in both.values()] == [(50,), (50,), (100, 50), (100, 50)]
    assert {p.settings.epochs for p in both.values()} == {364}


def test_what_several_figures_need_is_trained_once():
    everything = {}
    for name in EXPERIMENTS:
        for plan in EXPERIMENTS[name].plans(Size()):
            assert everything.setdefault(plan.name, plan) == plan
    assert tuple(EXPERIMENTS) == reproduce.NAMES


def test_curves_are_thinned_evenly_along_the_logarithm_with_both_ends():
    seen = 1768 * np.arange(1, 5658)
    curves = {"samples_seen": seen, "train_bound": seen * 1.0, "test_bound": seen * 2.0}
    rows = aevb.thinned(curves)
    assert (rows[0]["samples_seen"], rows[-1]["samples_seen"]) == (seen[0], seen[-1])
    assert len(rows) <= aevb.MOST_POINTS and all(row["test_bound"] == 2 * row["samples_seen"] for row in rows)
    gaps = np.diff(np.log([row["samples_seen"] for row in rows]))
    assert (gaps > 0).all() and gaps[20:].max() < 0.2


def test_the_end_of_a_curve_names_the_published_bound_there_and_where_ours_was_highest():
    curves = {"samples_seen": np.array([10, 100, 1000]), "test_bound": np.array([-9.0, -5.0, -6.0])}
    curves["train_bound"] = np.array([-9.0, -5.0, -4.0])
    end = aevb.end_of(curves, ([100, 10_000], [-8.0, -4.0]))
    assert (end["test_bound"], end["train_bound"], end["published_test_bound"]) == (-6, -4, -6)
    assert (end["highest_test_bound"], end["highest_at"], end["turned_down_at"]) == (-5, 100, "")
    assert end["published_highest_at"] == 10_000
    curves["test_bound"][2] = -7.0
    assert aevb.end_of(curves, ([100], [-8.0]))["turned_down_at"] == 100
    assert aevb.end_of(curves, ([2000, 3000], [-8.0, -4.0]))["published_test_bound"] == ""


def test_each_curve_of_figure_2_ends_beside_the_published_bound_of_the_test_set(tmp_path, monkeypatch):
    seen = np.array([10**6, 10**7])
    history = {"samples_seen": seen, "train_bound": np.array([-130.0, -90.0]), "test_bound": np.array([-120.0, -95.0])}
    kinds = [{"test_standard_error": 2.88675}, {"test_standard_error": None}, {}]
    kinds = [{"samples_seen": 10**7, **kind} for kind in kinds]
    kinds.append(kinds[0] | {"samples_seen": 10**8})  # of a run that went on
    summaries = itertools.cycle(kinds)
    mnist, frey = plans("aevb-mnist").values(), plans("aevb-frey").values()
    report = Told([*mnist, *frey], tmp_path, history=history, summary=lambda _: next(summaries))
    drawn = []
    monkeypatch.setattr(curves, "bound_panels", lambda path, panels: drawn.extend(panels))
    aevb.write_aevb(report)
    of_mnist = [f"$N_z$ = {n}" for n in (3, 5, 10, 20, 200)]
    assert [title for title, *_ in drawn[:6]] == [*of_mnist, "$N_z$ = 20, our recipe"]
    assert [title for title, *_ in drawn[6:]] == [f"$N_z$ = {n}" for n in (2, 5, 10, 20)]
    for plan, row, error in zip(report.plans, report.rows("ends.csv"), itertools.cycle(["2.89", "", "", ""])):
        theirs = published.aevb("mnist" if plan in mnist else "frey", plan.settings.latent[0], "test")
        there = np.interp(np.log(1e7), np.log(theirs[0]), theirs[1])
        assert float(row["published_test_bound"]) == pytest.approx(there, abs=0.051)
        assert int(row["published_highest_at"]) == theirs[0][np.argmax(theirs[1])]
        assert (row["run"], row["test_bound"], row["train_bound"]) == (plan.name, "-95.0", "-90.0")
        assert row["test_standard_error"] == error


def test_each_row_of_table_1_stands_beside_the_published_one_of_its_model(tmp_path):
    evaluation = {"log_likelihood": -86.5, "standard_error": 0.5, "epochs": 4, "samples": 100, "n_images": 200}
    history = {"epoch": np.arange(1, 5), "test_bound": np.linspace(-100, -90, 4)}
    history["train_bound"] = history["test_bound"] + 1
    told = {"evaluation": evaluation | {"active_units": [17, 5]}, "history": history}
    report = Told([*plans("vae-vs-iwae").values(), *plans("one-vs-two-layers").values()], tmp_path, **told)
    iwae.write_iwae(report)
    columns = ("model", "stochastic_layers", "k", "published_nll", "published_active_units")
    assert [tuple(row[name] for name in columns) for row in report.rows("table.csv")] == [
        ("vae = iwae", "1", "1", "86.76", "19"),
        ("vae", "1", "5", "86.47", "20"),
        ("iwae", "1", "5", "85.54", "22"),
        ("vae", "1", "50", "86.35", "20"),
        ("iwae", "1", "50", "84.78", "25"),
        ("vae = iwae", "1", "1", "86.76", "19"),  # our schedule
        ("iwae", "1", "5", "85.54", "22"),
        ("vae = iwae", "1", "1", "86.76", "19"),  # without the VAEs of five samples
        ("iwae", "1", "5", "85.54", "22"),
        ("vae = iwae", "2", "1", "85.33", "16+5"),
        ("iwae", "2", "5", "83.89", "21+5"),
    ]


def test_samples_stand_under_the_size_of_their_latent_space(tmp_path, monkeypatch):
    """Each model's are all of the grey that is its size."""
    drawn = []
    monkeypatch.setattr(mosaics, "side_by_side", lambda path, panels, shape, columns: drawn.extend(panels))

    def fitted(plan):
        (n,) = plan.settings.latent
        return SimpleNamespace(data_shape=(2, 3), sample=lambda count: np.full((count, 2, 3), n))

    pictures.write_samples(Told(list(plans("samples").values()), tmp_path, fitted=fitted))
    assert [title for title, _ in drawn] == [f"$N_z$ = {n}" for n in (2, 5, 10, 20)]
    for (_, images), n in zip(drawn, (2, 5, 10, 20)):
        np.testing.assert_array_equal(images, np.full((64, 6), n))


def test_an_analogy_is_the_style_of_its_row_under_the_label_of_its_column(tmp_path, monkeypatch):
    """So that on the diagonal is a reconstruction. The model is one that was not trained."""
    dataset, grids = datasets.load("digits"), []
    fitted = Training(Settings(conditional=True, hidden=((20,),), latent=(3,)), dataset).fitted
    fitted.params.flat[:] += 0.3 * np.random.default_rng(0).standard_normal(fitted.params.flat.size)
    monkeypatch.setattr(run_figures, "draw_samples", lambda *_: None)
    monkeypatch.setattr(mosaics, "image_grid", lambda path, images, shape, **labels: grids.append((images, labels)))
    pictures.write_cvae(Told(list(plans("cvae").values()), tmp_path, dataset=dataset, fitted=fitted))
    ((images, labels),) = grids
    assert (labels["row_labels"][3], labels["column_labels"][3]) == ("style of a 3", "3")
    for i in range(10):
        image = dataset.test[list(dataset.test_labels).index(i)][None]
        mu, _ = fitted.encode(image, np.array([i]))
        for j in range(10):
            expected = fitted.decode(mu, np.array([j])).ravel()
            np.testing.assert_allclose(images[10 * i + j], expected, rtol=1e-5)


# -- the command, on small trainings of digits in the place of MNIST ---------------------------------------------------


@pytest.fixture
def digits(monkeypatch):
    for module in (aevb, experiments, iwae, pictures):
        monkeypatch.setattr(module, "MNIST", "digits")


def quick(tmp_path, *names):
    return call(*names, "--quick", "--runs", tmp_path / "runs", "--out", tmp_path / "results", main=reproduce.main)


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """The plans that each call of the command would have carried out; all that is written are protocols."""
    monkeypatch.chdir(tmp_path)
    lists = []
    monkeypatch.setattr(sweep, "carry_out_all", lambda plans, *_: lists.append(plans))
    monkeypatch.setattr(reproduce, "config_of", lambda *_: {})
    for name, experiment in EXPERIMENTS.items():
        monkeypatch.setitem(EXPERIMENTS, name, replace(experiment, write=lambda report: None))
    return lists


@pytest.mark.parametrize(
    ("words", "recorded", "size"),
    [
        ("vae-vs-iwae --jobs 2 --quiet --stages 5 --stages-50 3 --seed 0", "vae-vs-iwae", {}),
        ("vae-vs-iwae --seed 7", "vae-vs-iwae --seed 7", {"seed": 7}),
        ("vae-vs-iwae --stages-50 2", "vae-vs-iwae --stages-50 2", {"stages_50": 2}),
        (
            "--seed 1 --stages-50 4 --stages 2 vae-vs-iwae",
            "vae-vs-iwae --stages 2 --stages-50 4 --seed 1",
            {"stages": 2, "stages_50": 4, "seed": 1},
        ),
        ("aevb-mnist --examples 600000", "aevb-mnist --examples 600000", {"examples": 600_000}),
        ("cvae --quick --seed 3", "cvae --quick --seed 3", {"quick": True, "seed": 3}),
    ],
)
def test_the_command_that_is_recorded_makes_the_same_again(words, recorded, size, planned, tmp_path):
    """What changes nothing is left out of it."""
    assert call(*words.split(), main=reproduce.main).returncode == 0
    (file,) = tmp_path.glob("results/*/protocol.json")
    command = json.loads(file.read_text())["command"]
    assert command == f"python -m tinyvae.reproduce {recorded}"
    assert call(*shlex.split(command)[3:], main=reproduce.main).returncode == 0
    wanted = EXPERIMENTS[recorded.split()[0]].plans(Size(**size))
    assert planned == [wanted, wanted]


def test_an_option_that_changes_nothing_is_refused(planned):
    """It would stand in no protocol."""
    result = call("cvae", "samples", "--stages-50", 2, main=reproduce.main)
    assert_misuse(result, "--stages-50 changes nothing of cvae, samples: leave it out")
    result = call("aevb-mnist", "--quick", "--examples", 10, main=reproduce.main)
    assert_misuse(result, "--examples changes nothing of aevb-mnist under --quick: leave it out")
    assert planned == []


def test_results_of_another_command_are_replaced_if_that_is_asked_for(planned, tmp_path):
    assert call("cvae", main=reproduce.main).returncode == 0
    before = (tmp_path / "results/cvae/protocol.json").read_bytes()
    refused = call("samples", "cvae", "--seed", 1, main=reproduce.main)
    assert_misuse(refused, "has the results of another command: python -m tinyvae.reproduce cvae\n", "--overwrite")
    assert (tmp_path / "results/cvae/protocol.json").read_bytes() == before and len(planned) == 1
    assert call("cvae", "--seed", 1, "--overwrite", main=reproduce.main).returncode == 0
    assert "--seed 1" in json.loads((tmp_path / "results/cvae/protocol.json").read_text())["command"]
    for damaged in ("{", "[]", "{}"):
        (tmp_path / "results/cvae/protocol.json").write_text(damaged)
        refused = call("cvae", "--seed", 1, main=reproduce.main)
        assert_misuse(refused, "another command: protocol.json does not say of which\n", "--overwrite")
    assert call("cvae", "--seed", 1, "--overwrite", main=reproduce.main).returncode == 0


def test_results_that_were_written_in_part_do_not_pass_for_those_of_an_earlier_command(planned, monkeypatch, tmp_path):
    assert call("cvae", main=reproduce.main).returncode == 0

    def interrupted(report):
        report.table("table.csv", [{"new": 1}])
        raise KeyboardInterrupt

    monkeypatch.setitem(EXPERIMENTS, "cvae", replace(EXPERIMENTS["cvae"], write=interrupted))
    assert call("cvae", "--seed", 1, "--overwrite", main=reproduce.main).returncode == 130
    assert [path.name for path in (tmp_path / "results/cvae").iterdir()] == ["table.csv"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_longest_training_begins_first(jobs, tmp_path, monkeypatch):
    """Else it would go on alone, at the end, on its share of the cores."""
    begun, parallel = [], joblib.Parallel
    monkeypatch.setattr(sweep, "carry_out", lambda plan, *_, **__: begun.append(plan.name))
    monkeypatch.setattr(joblib, "Parallel", lambda n_jobs: parallel(n_jobs=1))
    five, one = (plans("vae-vs-iwae")[name] for name in ("iwae-1-k5", "iwae-1-k1"))  # samples, of as many epochs
    longest = replace(one, name="longest", settings=replace(one.settings, epochs=3280))
    sweep.carry_out_all([five, one, longest], tmp_path, jobs=jobs, quiet=True)
    assert begun == ["longest", "iwae-1-k5", "iwae-1-k1"]


def test_a_folder_that_cannot_be_made_is_noticed_before_hours_of_training(digits, tmp_path):
    (tmp_path / "results").write_text("a file")
    assert_misuse(quick(tmp_path, "cvae"), "results", "A file has the name that a folder needs")
    assert not (tmp_path / "runs").exists()


def test_the_ends_of_aevb_s_curves_are_those_of_the_histories(digits, tmp_path):
    result = quick(tmp_path, "aevb-mnist")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "results/aevb-mnist-quick"
    assert sorted(path.name for path in folder.iterdir()) == ["bounds.csv", "bounds.png", "ends.csv", "protocol.json"]
    ends = list(csv.DictReader((folder / "ends.csv").read_text().splitlines()))
    assert [row["n_latent"] for row in ends] == ["3", "5", "10", "20", "200", "20"]
    for row in ends:
        run = Run.open(tmp_path / "runs/quick" / row["run"])
        for name in ("test_bound", "train_bound"):
            assert float(row[name]) == pytest.approx(run.history()[-1][name], abs=0.005)
        error = run.read_json("summary.json")["test_standard_error"]
        assert float(row["test_standard_error"]) == pytest.approx(error, abs=0.005)


def test_the_curves_of_aevb_need_no_models(digits, tmp_path):
    """What is kept of a run without its model is enough for them."""
    first = quick(tmp_path, "aevb-mnist")
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "results/aevb-mnist-quick"
    ends, protocol = ((folder / name).read_bytes() for name in ("ends.csv", "protocol.json"))
    for checkpoint in (tmp_path / "runs").rglob("checkpoint.npz"):
        checkpoint.unlink()
    again = quick(tmp_path, "aevb-mnist")
    assert again.returncode == 0, again.stderr
    assert [(folder / name).read_bytes() for name in ("ends.csv", "protocol.json")] == [ends, protocol]
    assert not list((tmp_path / "runs").rglob("checkpoint.npz"))


def test_the_curves_of_a_run_that_went_on_are_those_of_its_beginning(digits, tmp_path):
    assert quick(tmp_path, "aevb-mnist").returncode == 0
    folder = tmp_path / "results/aevb-mnist-quick"
    before = json.loads((folder / "protocol.json").read_text())
    curves = (folder / "bounds.csv").read_bytes()
    assert call("--resume", tmp_path / "runs/quick/aevb-digits-10", "--epochs", 7, "--quiet").returncode == 0
    assert quick(tmp_path, "aevb-mnist").returncode == 0
    assert (folder / "bounds.csv").read_bytes() == curves
    ends = csv.DictReader((folder / "ends.csv").read_text().splitlines())
    errors = {row["run"]: row["test_standard_error"] for row in ends}
    assert errors.pop("aevb-digits-10") == "" and all(errors.values())  # the end is another one's
    assert json.loads((folder / "protocol.json").read_text()) == before


def test_the_table_says_what_the_evaluations_said_beside_the_published(digits, tmp_path):
    result = quick(tmp_path, "one-vs-two-layers")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "results/one-vs-two-layers-quick"
    assert sorted(path.name for path in folder.iterdir()) == ["bounds.png", "protocol.json", "table.csv"]
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [(row["stochastic_layers"], row["k"], row["published_nll"]) for row in rows] == [
        ("1", "1", "86.76"), ("1", "5", "85.54"), ("2", "1", "85.33"), ("2", "5", "83.89")
    ]  # fmt: skip
    first = None
    for row, name in zip(rows, ("iwae-1-k1", "iwae-1-k5", "iwae-2-k1", "iwae-2-k5")):
        evaluation = json.loads((tmp_path / "runs/quick" / name / "evaluation.json").read_text())
        first = first or evaluation
        more = np.subtract(evaluation["each"], first["each"])
        assert float(row["more_than_first"]) == pytest.approx(more.mean(), abs=0.006)
        assert float(row["error_of_more"]) == pytest.approx(more.std(ddof=1) / len(more) ** 0.5, abs=0.006)
        assert float(row["nll"]) == pytest.approx(-evaluation["log_likelihood"], abs=0.005)
        assert (int(row["epochs"]), int(row["samples"]), int(row["published_epochs"])) == (4, 100, 3280)
    (tmp_path / "runs/quick" / name / "evaluation.json").write_text(
        json.dumps(evaluation | {"log_likelihood": None, "standard_error": None, "each": [None] * len(more)})
    )
    assert quick(tmp_path, "one-vs-two-layers").returncode == 0
    *others, last = csv.DictReader((folder / "table.csv").read_text().splitlines())
    assert others == rows[:-1] and [last[name] for name in ("nll", "standard_error")] == ["not finite"] * 2
    assert last["more_than_first"] == last["error_of_more"] == ""
    protocol = json.loads((folder / "protocol.json").read_text())
    assert protocol["command"] == "python -m tinyvae.reproduce one-vs-two-layers --quick"
    assert protocol["runs"]["iwae-2-k5"]["dataset"]["digest"]


def test_what_is_done_is_not_done_again_and_gives_the_same_files(digits, tmp_path):
    assert quick(tmp_path, "cvae").returncode == 0
    folders = [tmp_path / "runs/quick/cvae", tmp_path / "results/cvae-quick"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for f in folders for path in f.iterdir()}
    assert {path.name for path in before} >= {"analogies.png", "samples.png", "protocol.json", "checkpoint.npz"}
    assert quick(tmp_path, "cvae").returncode == 0
    for path, (content, when) in before.items():
        assert path.read_bytes() == content and (path.parent == folders[1] or path.stat().st_mtime_ns == when)


def test_the_pictures_are_drawn(digits, tmp_path):
    result = quick(tmp_path, "manifold-mnist", "samples", "latent-space")
    assert result.returncode == 0, result.stderr
    names = ("manifold-mnist-quick/manifold.png", "samples-quick/samples.png", "latent-space-quick/latent_space.png")
    for name in names:
        assert (tmp_path / "results" / name).stat().st_size > 5000
    rows = list(csv.DictReader((tmp_path / "results/latent-space-quick/separation.csv").read_text().splitlines()))
    assert len(rows) == 3 and all(0.1 < float(row["knn_accuracy"]) < 1 for row in rows)
    accuracy, dataset = {row["space"]: float(row["knn_accuracy"]) for row in rows}, datasets.load("digits")
    for n, name in ((2, "2-dimensional latent space"), (20, "the 20-dimensional latent space")):
        means, _ = load_fitted(tmp_path / f"runs/quick/aevb-digits-{n}").encode(dataset.test)
        found = cross_val_score(KNeighborsClassifier(10), means.astype(float), dataset.test_labels, cv=5).mean()
        assert accuracy.pop(name) == pytest.approx(found, abs=1e-4)
    assert list(accuracy) == ["t-SNE of the 20-dimensional one"]


def test_a_folder_for_runs_that_cannot_be_is_misuse(tmp_path):
    """The first look at it was once a traceback."""
    words = "coloured-digits", "--quick", "--runs", tmp_path / ("x" * 300)
    assert_misuse(call(*words, main=reproduce.main), "name too long")


def test_a_name_that_does_not_exist_is_misuse():
    assert_misuse(call("aevb-mnits", main=reproduce.main), "aevb-mnist")
