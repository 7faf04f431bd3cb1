"""The callback's log holds every step of a training by Lightning."""

import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from tests.torch_lightning.test_lightning import (
    BATCHES,
    EPOCHS,
    WINDOW,
    Gan,
    Model,
    fit,
    plain_loop,
)
from zenith.log import read_log
from zenith.torch.lightning import ZenithCallback

STEPS = EPOCHS * BATCHES


def assert_is_the_run(log, clip=None):
    lrs, norms, _ = plain_loop(clip=clip)
    run = log.complete()
    assert run.step.tolist() == [*range(1, STEPS + 1)]
    np.testing.assert_allclose(run.grad_norm, norms, rtol=1e-5)
    np.testing.assert_allclose(run.lr, lrs, rtol=1e-5)


@pytest.mark.parametrize("every", [1, 4, 50, 0])
def test_the_log_has_every_step_whatever_the_loggers_get(every, tmp_path):
    path = tmp_path / "zenith.csv"
    model = Model(clip=0.1)
    options = {"gradient_clip_val": 0.1, "log_every_n_steps": every}
    fit(model, tmp_path, callbacks=[ZenithCallback(log=path)], **options)
    log = read_log(path)
    assert_is_the_run(log, clip=0.1)
    # Looked at no less often than the window forgets.
    between = min(every or WINDOW, WINDOW)
    assert np.isfinite(log.mean).sum() == -(-STEPS // between)
    assert np.isfinite(log.loss).sum() == -(-STEPS // between)


def test_accumulated_batches_are_one_row(tmp_path):
    path = tmp_path / "zenith.csv"
    callbacks = [ZenithCallback(log=path)]
    fit(Model(), tmp_path, callbacks=callbacks, accumulate_grad_batches=3, log_every_n_steps=1)
    _, norms, _ = plain_loop(accumulate=3)
    log = read_log(path)
    assert log.step.tolist() == [*range(1, STEPS // 3 + 1)]
    np.testing.assert_allclose(log.grad_norm, norms, rtol=1e-5)


class Interrupted(Model):
    def training_step(self, batch, index):
        if self.current_epoch == 1 and index == 2:  # in mid-window
            raise OSError("disk")
        return super().training_step(batch, index)


def test_a_training_that_raises_leaves_all_its_steps(tmp_path):
    path = tmp_path / "zenith.csv"
    with pytest.raises(OSError, match="disk"):
        fit(Interrupted(), tmp_path, callbacks=[ZenithCallback(log=path)], log_every_n_steps=50)
    assert read_log(path).step.tolist() == [*range(1, BATCHES + 3)]


def test_each_of_two_optimizers_has_its_own_file(tmp_path):
    fit(Gan(), tmp_path, callbacks=[ZenithCallback(log=tmp_path / "zenith.csv")], epochs=1)
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["zenith-0.csv", "zenith-1.csv"]
    assert read_log(tmp_path / "zenith-0.csv").step.tolist() == [*range(1, 13)]
    assert read_log(tmp_path / "zenith-1.csv").step.tolist() == [*range(1, 7)]


def test_a_file_of_another_kind_stops_the_training_at_its_start(tmp_path):
    path = tmp_path / "zenith.csv"
    path.write_text("step,lr\n")
    model = Model()
    with pytest.raises(ValueError, match="path must be a new file, or a log"):
        fit(model, tmp_path, callbacks=[ZenithCallback(log=path)])
    assert model.seen == []


@pytest.mark.parametrize("logger", [TensorBoardLogger, CSVLogger])
def test_the_loggers_of_lightning_are_read_back(logger, tmp_path):
    logger = logger(tmp_path, name="run")
    fit(Model(), tmp_path, callbacks=[ZenithCallback()], logger=logger)
    (source,) = [*tmp_path.rglob("metrics.csv")] or [tmp_path]
    log = read_log(source)
    assert_is_the_run(log)
    norms = plain_loop()[1]
    for t in range(WINDOW, STEPS + 1):
        assert log.mean[t - 1] == pytest.approx(sum(norms[t - WINDOW : t]) / WINDOW, rel=1e-5)
    assert set(log.skipped) == {0}
