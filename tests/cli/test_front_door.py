"""What a newcomer types first: the list of the commands, their help, and a name that is nearly right."""

import importlib
import json

import pytest

from tests.commands import assert_misuse, call, command
from tinyvae import __main__, __version__
from tinyvae.cli import console

COMMANDS = tuple(__main__.COMMANDS)


def test_the_package_lists_its_commands(tmp_path):
    result = command(cwd=tmp_path, module="tinyvae")
    assert result.returncode == 0 and result.stderr == ""
    lines = [line for line in result.stdout.splitlines() if line.startswith("  python -m tinyvae.")]
    assert [line.split()[2].removeprefix("tinyvae.") for line in lines] == list(COMMANDS)
    assert __version__ in result.stdout and max(map(len, lines)) <= 100


def test_a_command_after_the_package_s_name_is_pointed_to():
    assert_misuse(call("trian", "mnist", main=__main__.main), "write python -m tinyvae.train, not trian")
    assert_misuse(call("quux", main=__main__.main), "python -m tinyvae lists the commands")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_three_examples_and_every_option_says_something(name):
    module = importlib.import_module(f"tinyvae.{name}")
    result = call("--help", main=module.main)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.count(f"  python -m tinyvae.{name} ") >= 3
    assert all(len(line) <= 120 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("name", "arguments", "meant"),
    [
        ("reproduce", ["aevb-mnits"], "aevb-mnist"),
        ("bench", ["iwae-k51"], "iwae-k5"),
        ("train", ["digits", "--recipe", "aev"], "aevb"),
        ("train", ["digits", "--likelihood", "gausian"], "gaussian"),
        ("train", ["digits", "--epoch", "3"], "--epochs"),
        ("train", ["digit"], "digits"),
        ("evaluate", ["runs/x", "--sample", "3"], "--samples"),
    ],
)
def test_the_nearest_valid_name_is_suggested(name, arguments, meant):
    result = call(*arguments, main=importlib.import_module(f"tinyvae.{name}").main)
    assert_misuse(result)
    assert f"did you mean {meant}" in result.stderr.lower()


def test_the_summary_as_json_is_all_of_standard_output(tmp_path):
    words = ("digits", "--epochs", 1, "--limit", 200, "--hidden", "20", "--latent", 2, "--out", tmp_path / "run")
    result = call(*words, "--json")
    assert result.returncode == 0
    summary = json.loads(result.stdout)
    assert summary["run"] == str(tmp_path / "run")
    written = json.loads((tmp_path / "run/summary.json").read_text())
    assert {**written, "run": summary["run"]} == summary and "protocol" in written


def test_matplotlib_is_quiet_too(tmp_path):
    """It has something to say where it finds no place for its list of the fonts."""
    words = ("digits", "--epochs", 1, "--limit", 100, "--hidden", 8, "--latent", 3)
    said = []
    for name, options in (("loud", ()), ("quiet", ("--quiet",))):
        result = command(*words, "--out", name, *options, cwd=tmp_path, env={"MPLCONFIGDIR": "/proc/none"})
        assert result.returncode == 0, result.stderr
        said.append(result.stderr)
    assert "Matplotlib" in said[0] and said[1] == ""


def test_compilation_is_announced_once_where_there_is_no_terminal(capsys):
    bar = console.CompilationBar()
    bar.end()
    assert capsys.readouterr().err == ""
    for count in (1, 2):
        bar.begin(count)
        bar.end()
    assert capsys.readouterr().err == "compiling kernels, once (some seconds) ...\n"


def test_a_table_is_as_wide_as_a_report_at_most():
    rows = [{"model": "rules", "nll": 11.57, "valid": True}, {"model": "characters", "nll": 9, "valid": False}]
    assert console.table(rows).split("\n") == [
        "model         nll  valid",
        "rules       11.57   True",
        "characters      9  False",
    ]
    lines = console.table([row | {"what_differs": "the noise; " * 12} for row in rows]).split("\n")
    assert lines[:2] == ["  model         rules", "  nll           11.57"]
    assert lines[3:5] == [
        "  what_differs  the noise; the noise; the noise; the noise; the noise; the noise; the noise; the noise; the",
        "                noise; the noise; the noise; the noise;",
    ]
    assert lines[5:7] == ["", "  model         characters"]
