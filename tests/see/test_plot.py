"""The picture shows the figures of the log."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import zenith
from tests.see.test_diagnose import RECORDED, recorded
from tests.see.test_log import snapshots
from zenith.__main__ import main
from zenith.core import to_portable
from zenith.log import read_log

pyplot = pytest.importorskip("matplotlib.pyplot", reason="the tests of zenith.plot need Matplotlib")
pyplot.switch_backend("Agg")

from zenith.plot import plot  # noqa: E402


@pytest.fixture(autouse=True)
def no_figure_left():
    yield
    pyplot.close("all")


def lines(ax):
    return {line.get_label().split(" ")[0]: line for line in ax.get_lines()}


def drawn(line):
    x, y = (np.asarray(values, float) for values in line.get_data())
    return x[np.isfinite(y)], y[np.isfinite(y)]


def test_each_line_is_a_column_of_the_completed_log():
    run = recorded("spike").complete()
    lr, norms, loss = plot(RECORDED / "spike.csv").axes
    shown = {
        "grad_norm": lines(norms)["gradient"],
        "mean": lines(norms)["mean"],
        "peak": lines(norms)["zenith"],
        "lr": lr.get_lines()[0],
        "loss": loss.get_lines()[0],
    }
    for name, line in shown.items():
        x, y = drawn(line)
        values = getattr(run, name)
        known = np.isfinite(values) & (values > 0)
        np.testing.assert_array_equal(x, run.step[known], err_msg=name)
        np.testing.assert_array_equal(y, values[known], err_msg=name)
    assert len(drawn(shown["lr"])[0]) == 900  # not one in 60
    assert norms.get_yscale() == "log"
    assert lr.get_ylim()[0] == 0
    assert (lr.get_ylabel(), norms.get_ylabel(), loss.get_ylabel()) == (
        "learning rate", "gradient norm", "loss",
    )  # fmt: skip
    assert loss.get_xlabel() == "step"
    assert lines(norms)["mean"].get_label() == r"mean $\mu_t$ of 60"


def test_skipped_steps_are_marked_where_they_were():
    norms = plot(RECORDED / "skipped.csv").axes[1]
    assert drawn(lines(norms)["skipped:"])[0].tolist() == [120, 121, 200]
    assert lines(norms)["skipped:"].get_label() == "skipped: 3"
    assert "skipped:" not in lines(plot(RECORDED / "falling.csv").axes[1])


def test_a_portable_state_is_drawn_back_from_now():
    state = [*snapshots(np.linspace(3, 1, 50), 20)][-1].state
    scale, norms = plot(to_portable(state)).axes
    assert drawn(lines(norms)["gradient"])[0].tolist() == [*range(-19, 1)]
    (x, y) = drawn(scale.get_lines()[0])
    assert (x.tolist(), y.tolist()) == ([0], [float(state.scale)])
    assert norms.get_xlabel() == "step, from the last"


def test_epochs_are_drawn_as_epochs(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,grad_norm,learning_rate\n0,2.5,0.1\n1,1.5,0.05\n")
    lr, norms = plot(path).axes
    assert norms.get_xlabel() == "epoch"
    assert drawn(lr.get_lines()[0])[1].tolist() == [0.1, 0.05]


def test_the_title_and_the_window_are_those_given(tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text("step,grad_norm\n" + "".join(f"{t},{1 / t}\n" for t in range(1, 30)))
    assert "mean" not in lines(plot(path).axes[1])
    figure = plot(path, window=5, title="Digits")
    assert figure.get_suptitle() == "Digits"
    _, y = drawn(lines(figure.axes[1])["mean"])
    assert y[-1] == pytest.approx(np.mean([1 / t for t in range(25, 30)]))


def test_nothing_of_the_style_is_left_behind():
    before = dict(pyplot.rcParams)
    plot(RECORDED / "falling.csv")
    assert dict(pyplot.rcParams) == before


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install zenith-lr\[plot\]"):
        plot(RECORDED / "falling.csv")


# The command line.


def test_the_version_is_what_no_command_prints(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == f"zenith {zenith.__version__}\n"


def test_diagnose_prints_code_sentence_and_advice(capsys):
    assert main(["diagnose", str(RECORDED / "spike.csv")]) == 0
    code, seen, advice = capsys.readouterr().out.splitlines()
    assert code == "spike"
    assert seen.startswith("  The norm of step 300 has pinned the zenith")
    assert "spike_factor=10.0" in advice


def test_diagnose_says_that_there_is_nothing(capsys):
    assert main(["diagnose", str(RECORDED / "falling.csv")]) == 0
    assert capsys.readouterr().out == ("Nothing to report: the learning rate is 26% of eta_0.\n")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_plot_draws_the_file_that_it_is_given(suffix, tmp_path, capsys):
    output = tmp_path / f"run{suffix}"
    assert main(["plot", str(RECORDED / "falling.csv"), "-o", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    signature = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert output.read_bytes().startswith(signature)


def test_window_reaches_the_log(tmp_path, capsys):
    path = tmp_path / "norms.jsonl"
    path.write_text(
        "\n".join(json.dumps({"step": t, "grad_norm": 1 + t % 5 / 9}) for t in range(1, 40))
    )
    assert main(["diagnose", str(path), "--window", "10"]) == 0
    assert capsys.readouterr().out.startswith("noise-floor")


@pytest.mark.parametrize("command", [["diagnose"], ["plot", "-o", "run.png"]])
@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), ("a,b\n", "'step'")])
def test_what_cannot_be_read_is_one_line_and_2(
    command, content, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "zenith.csv").write_text(content)
    assert main([command[0], "zenith.csv", *command[1:]]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not (tmp_path / "run.png").exists()


@pytest.mark.parametrize("output", ["run", "run.xyz"])
def test_an_output_of_no_known_kind_is_refused(output, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(RECORDED / "short.csv"), "-o", output]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("module", ["zenith.log", "zenith.plot", "zenith.diagnose"])
def test_importing_it_imports_neither_a_framework_nor_matplotlib(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert module in loaded
    assert {"torch", "tensorflow", "keras", "jax", "matplotlib", "tensorboard"}.isdisjoint(loaded)


def test_a_log_that_was_read_is_drawn_as_it_is():
    log = read_log(RECORDED / "short.csv")
    assert len(drawn(lines(plot(log).axes[1])["gradient"])[0]) == 45


def test_the_backend_keeps_the_settings_that_it_makes_when_the_first_figure_loads_it(tmp_path):
    # As that of notebooks does, which shows figures only while Matplotlib is interactive.
    (tmp_path / "backend_of_a_notebook.py").write_text(
        "import matplotlib\n"
        "from matplotlib.backends.backend_agg import *\n"
        "from matplotlib.backends.backend_agg import _Backend, FigureCanvasAgg\n"
        "matplotlib.rcParams['interactive'] = True\n"
        "@_Backend.export\n"
        "class _BackendOfANotebook(_Backend):\n"
        "    FigureCanvas = FigureCanvasAgg\n"
    )
    code = (
        "import matplotlib, sys\n"
        "from zenith.plot import plot\n"
        "plot(sys.argv[1])\n"
        "print(matplotlib.is_interactive())\n"
    )
    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, str(RECORDED / "short.csv")],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "MPLBACKEND": "module://backend_of_a_notebook",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        },
    )
    assert shown.stdout == "True\n"
