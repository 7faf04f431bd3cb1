"""Real trainings by the Hugging Face Trainer, against the plain loop that does the same."""

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.optim import SGD
from transformers import Trainer, TrainingArguments

from tests.torch.problem import make_net
from zenith.torch import Zenith
from zenith.torch.transformers import ZenithCallback

STEPS, BATCH, WINDOW, LR = 36, 8, 5, 0.3
# Transformers' and Accelerate's own notices about what they are going to change.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = make_net()

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def dataset(steps=STEPS):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(steps * BATCH, 8, generator=generator)
    y = (x @ torch.randn(8, 4, generator=generator)).argmax(1)
    return [{"x": x[i], "labels": y[i]} for i in range(len(x))]


def make_trainer(folder, *, callback=True, lr=LR, **options):
    model = Model()
    optimizer = SGD(model.parameters(), lr=lr, momentum=0.9)
    zenith = Zenith(optimizer, window=WINDOW)
    defaults = {"report_to": "none", "save_strategy": "no", "logging_steps": 1}
    options = defaults | {"num_train_epochs": 1} | options
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=BATCH,
            use_cpu=True,
            disable_tqdm=True,
            remove_unused_columns=False,
            train_sampling_strategy="sequential",
            **options,
        ),
        train_dataset=dataset(),
        optimizers=(optimizer, zenith),
    )
    if callback:
        trainer.add_callback(ZenithCallback(trainer))
    return trainer, zenith


def plain_loop(accumulate=1, clip=1.0, lr=LR):
    """What the Trainer does, by hand."""
    model = Model()
    optimizer = SGD(model.parameters(), lr=lr, momentum=0.9)
    zenith = Zenith(optimizer, window=WINDOW)
    rows, lrs, norms = dataset(), [], []
    for start in [*range(0, len(rows), BATCH * accumulate)] * accumulate:
        optimizer.zero_grad()
        for micro in range(accumulate):
            batch = rows[start + micro * BATCH : start + (micro + 1) * BATCH]
            columns = {key: torch.stack([row[key] for row in batch]) for key in ("x", "labels")}
            (model(**columns)["loss"] / accumulate).backward()
        zenith.observe(nn.utils.clip_grad_norm_(model.parameters(), clip))
        optimizer.step()
        lrs.append(float(optimizer.param_groups[0]["lr"]))
        norms.append(zenith.last_norm)
    assert max(norms) > 1.0  # the default of the Trainer does clip
    assert min(lrs) < 0.9 * lr
    return lrs, norms, model


def logged(trainer, key):
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def same_weights(mine, theirs):
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
def test_the_default_clipping_hides_nothing(kind, accumulate, tmp_path):
    options = {"gradient_accumulation_steps": accumulate, "num_train_epochs": accumulate}
    trainer, _ = make_trainer(tmp_path, lr=kind(LR), **options)
    assert trainer.args.max_grad_norm == 1.0
    trainer.train()
    lrs, norms, model = plain_loop(accumulate, lr=kind(LR))
    assert logged(trainer, "lr") == pytest.approx(lrs, rel=1e-5)
    assert logged(trainer, "zenith/scale") == pytest.approx([lr / LR for lr in lrs], rel=1e-5)
    # Once by the Trainer and once by the callback, and they agree.
    assert sorted(logged(trainer, "grad_norm")) == pytest.approx(sorted(norms * 2), rel=1e-5)
    same_weights(trainer.model, model)


def test_without_the_callback_the_clipped_gradient_is_seen(tmp_path):
    trainer, zenith = make_trainer(tmp_path, callback=False, max_grad_norm=0.1)
    trainer.train()
    norms = zenith.state_dict()["history"]["norms"]
    assert norms == pytest.approx([0.1] * WINDOW, rel=1e-3)
    assert zenith.scale == pytest.approx(1.0, rel=1e-3)


def test_no_clipping_is_no_error(tmp_path):
    trainer, _ = make_trainer(tmp_path, max_grad_norm=0.0)
    trainer.train()
    assert logged(trainer, "lr") == pytest.approx(plain_loop(clip=1e9)[0], rel=1e-5)


@pytest.mark.parametrize("every", [7, 18], ids=["mid-epoch", "end of epoch"])
def test_resume_is_bit_exact(every, tmp_path):
    options = {"save_strategy": "steps", "save_steps": every, "num_train_epochs": 2}
    options |= {"gradient_accumulation_steps": 2}
    whole, zenith = make_trainer(tmp_path, **options)
    whole.train()
    resumed, continued = make_trainer(tmp_path / "resumed", lr=0.9, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{every}"))
    assert continued.state_dict() == zenith.state_dict()
    assert logged(resumed, "lr")[-10:] == logged(whole, "lr")[-10:]
    for mine, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_logger_of_the_user_receives_the_figures(tmp_path, monkeypatch):
    board = tmp_path / "board"
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(board))
    trainer, _ = make_trainer(tmp_path, report_to="tensorboard")
    trainer.train()
    lrs, norms, _ = plain_loop()
    events = EventAccumulator(str(board)).Reload()

    def read(tag):
        return [event.value for event in events.Scalars(f"train/{tag}")]

    assert read("lr") == pytest.approx(lrs, rel=1e-5)
    assert read("grad_norm")[::2] == pytest.approx(norms, rel=1e-5)
    for t in range(WINDOW, STEPS):
        mean = sum(norms[t - WINDOW + 1 : t + 1]) / WINDOW
        assert read("zenith/mean")[t] == pytest.approx(mean, rel=1e-5)
        assert mean / read("zenith/peak")[t] == pytest.approx(lrs[t] / LR, rel=1e-5)
    assert read("zenith/scale") == pytest.approx([lr / LR for lr in lrs], rel=1e-5)
    assert read("zenith/skipped") == [0.0] * STEPS


def test_a_trainer_may_train_twice_and_gets_its_accelerator_back(tmp_path):
    trainer, zenith = make_trainer(tmp_path)
    for _ in range(2):
        trainer.train()
        assert "clip_grad_norm_" not in vars(trainer.accelerator)
    assert zenith.state_dict()["updates"] == 2 * STEPS


def test_clipping_by_another_way_is_an_error(tmp_path, monkeypatch):
    trainer, zenith = make_trainer(tmp_path)

    def clip_otherwise(model):
        return nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    monkeypatch.setattr(trainer, "_clip_grad_norm", clip_otherwise)
    with pytest.raises(RuntimeError, match=r"not by accelerator\.clip_grad_norm_"):
        trainer.train()
    assert zenith.last_norm is None


def test_a_trainer_without_zenith_says_what_is_missing(tmp_path):
    model = Model()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True),
        train_dataset=dataset(),
    )
    trainer.add_callback(ZenithCallback(trainer))
    with pytest.raises(RuntimeError, match=r"found no Zenith.*optimizers=\(optimizer"):
        trainer.train()
