"""Real trainings by Lightning's Trainer, against the plain loop that does the same."""

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from tests.torch.problem import make_net
from zenith.torch import Zenith
from zenith.torch.lightning import ZenithCallback

EPOCHS, BATCHES, BATCH, WINDOW = 3, 12, 8, 5


def dataset():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCHES * BATCH, 8, generator=generator)
    return TensorDataset(x, (x @ torch.randn(8, 4, generator=generator)).argmax(1))


def loader():
    return DataLoader(dataset(), batch_size=BATCH)


class Model(lightning.LightningModule):
    def __init__(self, interval="step", clip=None, manual=False, schedule=None, lr=0.3):
        super().__init__()
        self.net = make_net()
        self.interval, self.clip, self.schedule, self.lr = interval, clip, schedule, lr
        self.automatic_optimization = not manual
        self.seen, self.batches = [], [*loader()]

    def configure_optimizers(self):
        optimizer = SGD(self.net.parameters(), lr=self.lr, momentum=0.9)
        schedule = self.schedule(optimizer) if self.schedule else None
        zenith = Zenith(optimizer, window=WINDOW, schedule=schedule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": zenith, "interval": self.interval},
        }

    def training_step(self, _, index):
        # By index: resumed in mid-epoch Lightning knows the index, but begins the loader anew.
        x, y = self.batches[index]
        loss = nn.functional.cross_entropy(self.net(x), y)
        if not self.automatic_optimization:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            if self.clip:
                self.lr_schedulers().measure()
                self.clip_gradients(optimizer, gradient_clip_val=self.clip)
            optimizer.step()
            self.lr_schedulers().step()
        return loss

    def on_train_batch_end(self, *_):
        optimizer = self.optimizers()
        self.seen.append(float(optimizer.param_groups[0]["lr"]))


def fit(model, tmp_path, *, callbacks=(), epochs=EPOCHS, resume=None, logger=False, **options):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        callbacks=[*callbacks],
        logger=logger,
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"enable_checkpointing": False, "log_every_n_steps": 1} | options,
    )
    trainer.fit(model, loader(), ckpt_path=resume)
    return trainer


def plain_loop(accumulate=1, clip=None, observe=True, schedule=None, lr=0.3):
    """What the Trainer does, by hand: learning rates and norms a batch, and the weights."""
    net = make_net()
    optimizer = SGD(net.parameters(), lr=lr, momentum=0.9)
    zenith = Zenith(optimizer, window=WINDOW, schedule=schedule(optimizer) if schedule else None)
    lrs, norms = [], []
    for _ in range(EPOCHS):
        for index, (x, y) in enumerate(loader()):
            (nn.functional.cross_entropy(net(x), y) / accumulate).backward()
            if (index + 1) % accumulate == 0:
                if clip:
                    norm = nn.utils.clip_grad_norm_(net.parameters(), clip)
                    _ = zenith.observe(norm) if observe else None
                optimizer.step()
                optimizer.zero_grad()
                norms.append(zenith.last_norm)
            lrs.append(float(optimizer.param_groups[0]["lr"]))
        if schedule:
            zenith.step()
            lrs[-1] = float(optimizer.param_groups[0]["lr"])
    assert min(lrs) < 0.97 * lr
    return lrs, norms, net


def same_weights(model, net):
    for mine, theirs in zip(model.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lr", [0.3, torch.tensor(0.3)], ids=["float", "tensor"])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
def test_every_step_has_the_learning_rate_of_the_plain_loop(manual, interval, lr, tmp_path):
    model = Model(interval, manual=manual, lr=lr.clone() if isinstance(lr, torch.Tensor) else lr)
    fit(model, tmp_path)
    lrs, _, net = plain_loop(lr=lr.clone() if isinstance(lr, torch.Tensor) else lr)
    assert model.seen == pytest.approx(lrs, rel=1e-6)
    same_weights(model, net)


@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
def test_the_norm_is_that_before_clipping(manual, tmp_path):
    model = Model(clip=0.1, manual=manual)
    clipping = {} if manual else {"gradient_clip_val": 0.1}
    fit(model, tmp_path, callbacks=[ZenithCallback()], **clipping)
    lrs, _, net = plain_loop(clip=0.1)
    assert model.seen == pytest.approx(lrs, rel=1e-5)
    same_weights(model, net)


def test_clipping_by_value_too(tmp_path):
    model = Model()
    fit(
        model,
        tmp_path,
        callbacks=[ZenithCallback()],
        gradient_clip_val=1e-3,
        gradient_clip_algorithm="value",
    )
    # Every element is clipped to 1e-3, 740 of them: a norm of at most 0.03, and none here is less.
    zenith = model.lr_schedulers()
    assert min(zenith.state_dict()["history"]["norms"]) > 0.1


def test_without_the_callback_the_clipped_gradient_is_seen(tmp_path):
    model = Model()
    trainer = fit(model, tmp_path, gradient_clip_val=0.1)
    norms = trainer.lr_scheduler_configs[0].scheduler.state_dict()["history"]["norms"]
    assert norms == pytest.approx([0.1] * WINDOW, rel=1e-3)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_accumulated_batches_are_one_step(clip, tmp_path):
    model = Model()
    trainer = fit(
        model,
        tmp_path,
        callbacks=[ZenithCallback()],
        accumulate_grad_batches=3,
        gradient_clip_val=clip,
    )
    lrs, norms, net = plain_loop(accumulate=3, clip=clip)
    assert model.seen == pytest.approx(lrs, rel=1e-5)
    same_weights(model, net)
    history = trainer.lr_scheduler_configs[0].scheduler.state_dict()["history"]
    assert history["norms"] == pytest.approx(norms[-WINDOW:], rel=1e-5)


def test_a_torch_schedule_is_stepped_an_epoch_and_multiplied(tmp_path):
    halve = lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)  # noqa: E731
    model = Model("epoch", schedule=halve)
    fit(model, tmp_path)
    lrs, _, net = plain_loop(schedule=halve)
    same_weights(model, net)
    within = [t for t in range(EPOCHS * BATCHES) if (t + 1) % BATCHES]
    assert [model.seen[t] for t in within] == pytest.approx([lrs[t] for t in within], rel=1e-6)


@pytest.mark.parametrize("every", [7, BATCHES], ids=["mid-epoch", "end of epoch"])
def test_resume_is_bit_exact(every, tmp_path):
    def callbacks():
        every_steps = {"every_n_train_steps": every, "save_top_k": -1, "filename": "{step}"}
        return [ZenithCallback(), ModelCheckpoint(dirpath=tmp_path / "saved", **every_steps)]

    options = {"gradient_clip_val": 0.1, "enable_checkpointing": True}
    whole, resumed = Model(), Model(lr=0.9)
    fit(whole, tmp_path, callbacks=callbacks(), **options)
    file = tmp_path / "saved" / f"step={every}.ckpt"
    fit(resumed, tmp_path, callbacks=callbacks(), resume=file, **options)
    assert resumed.seen == whole.seen[every:]
    for mine, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_every_logger_receives_the_figures_of_the_run(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="board")
    callbacks = [ZenithCallback(), LearningRateMonitor("step")]
    model = Model()
    fit(model, tmp_path, callbacks=callbacks, logger=logger, gradient_clip_val=0.1)
    events = EventAccumulator(logger.log_dir).Reload()
    steps = EPOCHS * BATCHES

    def read(tag):
        return {event.step: event.value for event in events.Scalars(tag)}

    lrs, norms, _ = plain_loop(clip=0.1)
    assert read("lr") == pytest.approx(dict(enumerate(lrs, 1)), rel=1e-5)
    assert read("grad_norm") == pytest.approx(dict(enumerate(norms, 1)), rel=1e-5)
    scales = {t: lr / 0.3 for t, lr in enumerate(lrs, 1)}
    assert read("zenith/scale") == pytest.approx(scales, rel=1e-5)
    mean, peak = read("zenith/mean"), read("zenith/peak")
    for t in range(WINDOW, steps + 1):
        assert mean[t] == pytest.approx(sum(norms[t - WINDOW : t]) / WINDOW, rel=1e-5)
        assert mean[t] / peak[t] == pytest.approx(scales[t], rel=1e-5)
    assert set(read("zenith/skipped").values()) == {0.0}
    # Lightning's own monitor reads the learning rate before the step that uses the next one.
    monitored = read("lr-SGD")
    assert [*monitored.values()][1:] == pytest.approx(lrs[: len(monitored) - 1], rel=1e-5)


def test_the_interval_of_logging_is_that_of_the_trainer(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="board")
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=logger,
        log_every_n_steps=5,
        callbacks=[ZenithCallback()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Model(), loader())
    events = EventAccumulator(logger.log_dir).Reload()
    assert [event.step for event in events.Scalars("zenith/mean")] == [5, 10]


class Gan(lightning.LightningModule):
    """Two optimizers, one Zenith each."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.nets = nn.ModuleList([make_net(0), make_net(1)])

    def configure_optimizers(self):
        optimizers = [SGD(net.parameters(), lr=0.1) for net in self.nets]
        return optimizers, [Zenith(optimizer, window=WINDOW) for optimizer in optimizers]

    def training_step(self, batch, index):
        for net, optimizer, turn in zip(self.nets, self.optimizers(), (1, 2), strict=True):
            if index % turn:
                continue
            optimizer.zero_grad()
            self.manual_backward(nn.functional.cross_entropy(net(batch[0]), batch[1]))
            optimizer.step()


def test_each_of_two_optimizers_has_its_own_history_and_figures(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="board")
    trainer = fit(Gan(), tmp_path, callbacks=[ZenithCallback()], logger=logger, epochs=1)
    counts = [
        len(config.scheduler.state_dict()["history"]["norms"])
        for config in trainer.lr_scheduler_configs
    ]
    assert counts == [5, 5]
    assert [c.scheduler.state_dict()["updates"] for c in trainer.lr_scheduler_configs] == [12, 6]
    tags = EventAccumulator(logger.log_dir).Reload().Tags()["scalars"]
    assert {"zenith/mean/0", "zenith/mean/1", "lr/0", "lr/1"} <= {*tags}


class NoZenith(Model):
    def configure_optimizers(self):
        return SGD(self.net.parameters(), lr=0.1)


def test_the_callback_without_a_zenith_says_what_is_missing(tmp_path):
    with pytest.raises(RuntimeError, match=r"found no Zenith.*configure_optimizers"):
        fit(NoZenith(), tmp_path, callbacks=[ZenithCallback()])
