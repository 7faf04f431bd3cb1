"""The callback's log holds every step of a training by the Trainer."""

import numpy as np
import pytest

from tests.torch_transformers.test_trainer import STEPS, WINDOW, make_trainer, plain_loop
from zenith.log import read_log
from zenith.torch.transformers import ZenithCallback

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def trained(folder, path, **options):
    trainer, zenith = make_trainer(folder, callback=False, **options)
    trainer.add_callback(ZenithCallback(trainer, log=path))
    trainer.train()
    return zenith


@pytest.mark.parametrize("every", [1, 4, 500])
def test_the_log_has_every_step_whatever_the_trainer_logs(every, tmp_path):
    path = tmp_path / "zenith.csv"
    trained(tmp_path, path, logging_steps=every)
    lrs, norms, _ = plain_loop()
    log = read_log(path)
    run = log.complete()
    assert run.step.tolist() == [*range(1, STEPS + 1)]
    np.testing.assert_allclose(run.grad_norm, norms, rtol=1e-5)
    np.testing.assert_allclose(run.lr, lrs, rtol=1e-5)
    assert np.isfinite(log.mean).sum() == -(-STEPS // min(every, WINDOW))


def test_a_resumed_training_continues_the_log(tmp_path):
    path = tmp_path / "zenith.csv"
    options = {"save_strategy": "steps", "save_steps": 20, "logging_steps": 3}
    trained(tmp_path, path, **options)
    whole = read_log(path).complete()
    trainer, _ = make_trainer(tmp_path, callback=False, **options)
    trainer.add_callback(ZenithCallback(trainer, log=path))
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-20"))
    resumed = read_log(path).complete()
    for name in ("step", "grad_norm", "lr", "mean", "peak"):
        np.testing.assert_allclose(getattr(resumed, name), getattr(whole, name), rtol=1e-6)


def test_a_file_of_another_kind_stops_the_training_at_its_start(tmp_path):
    path = tmp_path / "zenith.csv"
    path.write_text("step,lr\n")
    with pytest.raises(ValueError, match="path must be a new file, or a log"):
        trained(tmp_path, path)


def test_tensorboard_of_the_trainer_is_read_back(tmp_path, monkeypatch):
    board = tmp_path / "board"
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(board))
    trainer, _ = make_trainer(tmp_path, report_to="tensorboard")
    trainer.train()
    lrs, norms, _ = plain_loop()
    log = read_log(board)
    assert log.step.tolist() == [*range(1, STEPS + 1)]
    np.testing.assert_allclose(log.lr, lrs, rtol=1e-5)
    np.testing.assert_allclose(log.grad_norm, norms, rtol=1e-5)
    assert np.isfinite(log.loss).all()
    assert log.peak[-1] >= log.mean[-1] > 0
