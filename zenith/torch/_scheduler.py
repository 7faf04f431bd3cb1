"""The scheduler: Algorithm 1 before every step of a torch optimizer."""

import copy
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zenith.core import check_safeguards, check_window, from_portable, resize, to_portable
from zenith.log import Snapshot
from zenith.torch import _learning_rate
from zenith.torch._grad_norm import grad_norm, measure, to_plain
from zenith.torch._learning_rate import LR
from zenith.torch._nesting import is_nested_step
from zenith.torch._ranks import RanksAgree
from zenith.torch._rule import DeviceHistory, HostHistory
from zenith.torch._wrapped import unwrap

Norm = TypeVar("Norm", bound=float | Tensor)
Schedule: TypeAlias = LRScheduler | Callable[[int], float]
Hooked: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

_STATE_KEYS = ("history", "base_lrs", "updates", "last_epoch", "schedule")

# Weak on both sides: a registry must keep neither optimizers nor schedulers alive.
_attached: "weakref.WeakKeyDictionary[Optimizer, weakref.ref[Zenith]]" = weakref.WeakKeyDictionary()


class Zenith(LRScheduler):
    """Learning-rate scheduler that needs no schedule: the history of the gradient norm sets the LR.

    Building it is enough. Before each `optimizer.step()` moves the weights it reads the global norm
    of the gradients, unscaled, accumulated and reduced as they are then, and sets every group's
    `lr` to eta_t = eta_0 * mu_t / Z_t, where eta_0 is that group's own learning rate. Calling
    `step()`, as training loops and trainers do, is welcome and never moves the window.

    With a float `lr` each step costs one read of the norm by the host; with a Tensor `lr` nothing
    is read, and the history stays on its device.

    Args:
      optimizer: any optimizer of `torch.optim` or like it, except LBFGS; also as Accelerate and
        Lightning wrap it.
      window: number W of gradient norms that are averaged.
      schedule: warm-up, decay or plateau whose learning rate the scale multiplies: another torch
        scheduler of the same optimizer, which `step()` then steps in its stead, or a function from
        the number of optimizer steps so far (an int from 0) to a factor on eta_0.
      process_group: ranks over which the gradients are split, if they are plain tensors and each
        rank holds a part of them: FSDP1, pipeline stages, shards of one's own. None where every
        rank has the whole gradient (one process, DDP, ZeroRedundancyOptimizer) or where gradients
        are `DTensor`s that know their ranks (FSDP2, HSDP, tensor parallel).
      min_scale: smallest eta_t / eta_0, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean, above 1. The default None is the paper's rule.

    Raises:
      TypeError: `optimizer` is no optimizer or LBFGS, whose step has many gradients; `window` is no
        integer; `schedule` is neither a scheduler nor callable; `process_group` is none.
      ValueError: `window`, `min_scale` or `spike_factor` is out of range, a parameter group has no
        `lr`, `schedule` belongs to another optimizer, or the optimizer has a `Zenith` already.

    Example:
      >>> import torch
      >>> from zenith.torch import Zenith
      >>> model = torch.nn.Linear(2, 1)
      >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
      >>> scheduler = Zenith(optimizer)
      >>> for _ in range(3):
      ...     optimizer.zero_grad()
      ...     model(torch.ones(4, 2)).square().mean().backward()
      ...     optimizer.step()
      >>> scheduler.get_last_lr()  # eta_0, until the window of 500 is full
      [0.1]

    Source: arXiv 2601.15212, Algorithm 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        window: int = 500,
        *,
        schedule: Schedule | None = None,
        process_group: "dist.ProcessGroup | None" = None,
        min_scale: float = 0.0,
        spike_factor: float | None = None,
    ) -> None:
        self.window = check_window(window)
        check_safeguards(min_scale, spike_factor)
        optimizer = unwrap(optimizer)
        _check_optimizer(optimizer)
        _check_schedule(schedule, optimizer)
        _check_process_group(process_group)
        self.min_scale = min_scale
        self.spike_factor = spike_factor
        self.schedule = schedule
        self.process_group = process_group
        for group in optimizer.param_groups:
            _learning_rate.unalias(optimizer, group)
        self._history = self._make_history(_learning_rate.device_of_tensors(optimizer))
        self._updates = 0
        self._observed: float | Tensor | None = None
        self._stepping = False
        self._ranks = RanksAgree(process_group)
        super().__init__(optimizer)
        self._attach()

    def step(self, *args: Any, **kwargs: Any) -> None:
        """Step `schedule`, if it is a torch scheduler, with these arguments. Else do nothing.

        The window moves with `optimizer.step()`, however often this is called.

        Raises:
          RuntimeError: something else has changed a learning rate since Zenith wrote it.
        """
        self.last_epoch += 1
        if self.last_epoch == 0:  # LRScheduler's constructor takes the first step
            self._write()
        elif isinstance(self.schedule, LRScheduler) and self._handles:
            self._check_ownership()
            # Most schedules compute their next learning rate from `group["lr"]`: show them theirs.
            _learning_rate.write_lrs(self.optimizer, self._planned_lrs())
            try:
                self.schedule.step(*args, **kwargs)
            finally:
                self._write()

    def observe(self, norm: Norm) -> Norm:
        """Hand over the gradient norm of the next step, so that it is not computed again.

        For clipping: `scheduler.observe(torch.nn.utils.clip_grad_norm_(parameters, 1.0))` makes the
        rule see the gradient before it was clipped.

        Args:
          norm: global L2 norm of the gradients, a float or a Tensor of one element.

        Returns:
          `norm`.

        Raises:
          TypeError: `norm` is neither.
        """
        received: object = norm
        is_number = isinstance(received, float | int) and not isinstance(received, bool)
        if not (is_number or (isinstance(norm, Tensor) and norm.numel() == 1)):
            raise TypeError(
                "norm must be the global norm of the gradients, a float or a Tensor of one "
                f"element, as torch.nn.utils.clip_grad_norm_ returns it. Received: {norm!r}"
            )
        if isinstance(norm, Tensor):
            self._observed = to_plain(norm.detach()).reshape(())
        else:
            self._observed = float(norm)
        return norm

    @torch.no_grad()
    def measure(self) -> Tensor:
        """Measure the gradients as they are now, and observe that norm for the next step.

        For what gives no norm back, called before it: `clip_grad_value_`, gradient noise. Gradients
        of a loss scaler must be unscaled first; with `process_group`, all ranks must call this.

        Returns:
          The global norm, a float32 scalar.
        """
        return self.observe(grad_norm(self._grads(), self.process_group))

    def resize(self, window: int) -> None:
        """Go on with another window: the newest norms are kept, and no learning rate jumps.

        For a resume with another window: build `Zenith` with the old one, load its state, resize.
        A compiled step is compiled again, and a captured CUDA graph must be captured again.

        Args:
          window: the new number W of gradient norms that are averaged.

        Raises:
          TypeError, ValueError: as `zenith.core.resize`; nothing is changed then.

        Example:
          >>> import torch
          >>> from zenith.torch import Zenith
          >>> scheduler = Zenith(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))]), window=500)
          >>> scheduler.resize(200)
          >>> scheduler.window
          200
        """
        state = resize(_on_host(self._history.state), window, min_scale=self.min_scale)
        self.window = len(state.norms)
        device = self._history.device if isinstance(self._history, DeviceHistory) else None
        self._history = self._make_history(device)
        self._history.restore(state)
        self._write()

    def _make_history(self, device: torch.device | None) -> HostHistory | DeviceHistory:
        options = self.window, self.min_scale, self.spike_factor
        return HostHistory(*options) if device is None else DeviceHistory(*options, device)

    @property
    def scale(self) -> float:
        """eta_t / eta_0 of the last step, in [0, 1]. Reads it from the device of a Tensor LR."""
        return float(self._history.scale)

    @property
    def last_norm(self) -> float | None:
        """g_t, the last gradient norm that was measured or observed; None before the first."""
        return self._history.last_norm

    @property
    def mean(self) -> float:
        """mu_t, the mean of the norms in the window so far; NaN while it is empty."""
        count = int(self._history.state.count)
        return float(self._history.state.total) / count if count else math.nan

    @property
    def zenith(self) -> float:
        """Z_t, the largest mean of a full window so far; 0 until the window is full."""
        return float(self._history.state.peak) / self.window

    @property
    def skipped(self) -> int:
        """How many norms were refused: NaN, infinite, negative, or too large to be summed."""
        return int(self._history.state.skipped)

    def snapshot(self) -> Snapshot:
        """What `zenith.log.LogWriter` writes of the last step; read from the device of a Tensor LR.

        Its learning rate is that of the first parameter group.

        Example:
          >>> import torch
          >>> from zenith.torch import Zenith
          >>> Zenith(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)).snapshot().lr
          0.1
        """
        lr = float(self.optimizer.param_groups[0]["lr"])
        return Snapshot(self._updates, lr, _on_host(self._history.state))

    def get_last_lr(self) -> list[LR]:
        """eta_t of each parameter group: copies, floats or Tensors as the groups have them."""
        return _learning_rate.read_lrs(self.optimizer)

    def get_lr(self) -> list[LR]:
        """eta_t of each parameter group, as `get_last_lr`."""
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resume needs, as numbers, lists and dicts; plus the schedule's own.

        `torch.load(weights_only=True)` reads it back.
        """
        schedule = self.schedule
        return {
            "history": to_portable(_on_host(self._history.state)),
            "base_lrs": [float(lr) for lr in self.base_lrs],
            "updates": self._updates,
            "last_epoch": self.last_epoch,
            "schedule": schedule.state_dict() if isinstance(schedule, LRScheduler) else None,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, and set the learning rates to what they were then.

        The optimizer's own state may be loaded before or after.

        Args:
          state_dict: what `state_dict` returned, from a run with the same window, as many parameter
            groups, and a schedule of the same kind.

        Raises:
          ValueError: a key is missing or foreign, or a value is none that fits; the message names
            the key, and nothing is changed.
        """
        schedule = self.schedule if isinstance(self.schedule, LRScheduler) else None
        _check_state_dict(state_dict, len(self.optimizer.param_groups), schedule)
        history = from_portable(state_dict["history"], min_scale=self.min_scale)
        if len(history.norms) != self.window:
            raise ValueError(
                f"portable state: 'window' must be {self.window}, the window of this run. "
                f"Received: {len(history.norms)}. To change it, build Zenith with that one, load "
                f"the state, and call resize({self.window})."
            )
        if schedule is not None:
            schedule.load_state_dict(copy.deepcopy(state_dict["schedule"]))
        self._history.restore(history)
        self.base_lrs = _like(state_dict["base_lrs"], self.optimizer)
        self._updates = state_dict["updates"]
        self.last_epoch = state_dict["last_epoch"]
        self._observed = None
        self._write()

    def detach(self) -> None:
        """Let go of the optimizer: its learning rates stay as they are, and are its own again."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        _attached.pop(self.optimizer, None)

    def __getstate__(self) -> dict[str, Any]:
        attached = bool(self._handles)
        return self.__dict__ | {"_handles": [], "_stepping": False, "attached": attached}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickled or copied optimizer has lost its hooks; its tensors count their versions anew.
        attached = state.pop("attached")
        self.__dict__.update(state)
        if attached:
            self._stamps = _learning_rate.own(self.optimizer)
            self._attach()

    def _attach(self) -> None:
        self._handles = [
            self.optimizer.register_step_pre_hook(self._before_step),
            self.optimizer.register_step_post_hook(self._after_step),
            self.optimizer.register_load_state_dict_post_hook(self._after_load),
        ]
        _attached[self.optimizer] = weakref.ref(self)

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Hooked | None:
        if self._stepping and is_nested_step(optimizer):
            return None
        self._stepping = False
        # args[0] is the optimizer; what follows is the closure in every optimizer that takes one.
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            self._advance()
            self._stepping = True
            return None
        self._stepping = True
        advanced = False

        def closure_then_advance() -> Any:
            nonlocal advanced
            loss = closure()
            if not advanced:  # an optimizer that calls it again asks about other weights
                self._advance()
                advanced = True
            return loss

        if "closure" in kwargs:
            return args, kwargs | {"closure": closure_then_advance}
        return (optimizer, closure_then_advance, *args[2:]), kwargs

    def _after_step(self, *_: Any) -> None:
        self._stepping = False

    def _after_load(self, optimizer: Optimizer) -> None:
        # Loading replaces the groups. The same learning rates in them are still Zenith's; others
        # are reported at the next step, unless Zenith's own state follows.
        if _learning_rate.is_value_unchanged(optimizer, self._stamps):
            self._stamps = _learning_rate.own(optimizer)

    @torch.no_grad()
    def _advance(self) -> None:
        """One iteration of Algorithm 1: measure, update, write the learning rates."""
        observed, self._observed = self._observed, None
        grads = self._grads()
        # A rank of a process group may hold no part of the gradient: it takes part all the same.
        if self.process_group is None and all(grad is None for grad in grads):
            return
        if self._foreign_group() is not None:
            if self._is_probe(grads):
                return
            self._check_ownership()
        self._adopt_new_groups()
        norm, skip = observed, None
        if norm is None:
            device = self.optimizer.param_groups[0]["params"][0].device
            norm, skip = measure(grads, self.process_group, device)
        # Set by GradScaler around the step of a fused optimizer: its gradients are still scaled.
        grad_scale: Tensor | None = getattr(self.optimizer, "grad_scale", None)
        found_inf: Tensor | None = getattr(self.optimizer, "found_inf", None)
        if grad_scale is not None:
            norm = norm / grad_scale.reshape(())
        counts_steps = callable(self.schedule) and not isinstance(self.schedule, LRScheduler)
        if found_inf is not None:
            overflow = found_inf.reshape(()).to(torch.bool)
            skip = overflow if skip is None else skip | overflow.to(skip.device)
        if skip is not None and counts_steps and bool(skip):
            return
        if not self._ranks.settled:
            self._ranks.check(norm)
        if self._history.push(norm, skip):
            self._write()
            self._updates += 1

    def _grads(self) -> list[Tensor | None]:
        return [p.grad for group in self.optimizer.param_groups for p in group["params"]]

    def _is_probe(self, grads: list[Tensor | None]) -> bool:
        """torch.distributed.checkpoint steps once with LR 0 and zero gradients to make state."""
        return _learning_rate.is_zero(self.optimizer) and float(grad_norm(grads)) == 0

    def _adopt_new_groups(self) -> None:
        for group in self.optimizer.param_groups[len(self.base_lrs) :]:
            _learning_rate.unalias(self.optimizer, group)
            lr = group["lr"]
            group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            self.base_lrs.append(group["initial_lr"])
            self._stamps = _learning_rate.own(self.optimizer)

    def _planned_lrs(self) -> list[LR]:
        """The learning rates before the scale."""
        if isinstance(self.schedule, LRScheduler):
            scheduled = self.schedule.get_last_lr()
            return [*scheduled, *self.base_lrs[len(scheduled) :]]
        if self.schedule is not None:
            factor = self.schedule(self._updates)
            return [lr * factor for lr in self.base_lrs]
        return self.base_lrs

    @torch.no_grad()
    def _write(self) -> None:
        self._stamps = _learning_rate.write_lrs(
            self.optimizer, self._planned_lrs(), self._history.scale
        )

    def _foreign_group(self) -> int | None:
        return _learning_rate.find_foreign_write(self.optimizer, self._stamps)

    def _check_ownership(self) -> None:
        index = self._foreign_group()
        if index is not None:
            raise RuntimeError(
                f"param_groups[{index}]['lr'] is {self.optimizer.param_groups[index]['lr']}, but "
                f"Zenith owns it and wrote {self._stamps[index][0]}. If another scheduler changed "
                "it, hand that one over, Zenith(optimizer, schedule=other), and call step() of "
                "Zenith in its stead. To change eta_0 by hand, assign to base_lrs of Zenith. After "
                "optimizer.load_state_dict(), load the state of Zenith too."
            )


def export_state(scheduler: Zenith) -> dict[str, Any]:
    """The history as the portable dict of `zenith.core.to_portable`, for any other front end."""
    return scheduler.state_dict()["history"]


def import_state(scheduler: Zenith, portable: Mapping[str, Any]) -> None:
    """Continue with a history that any front end has exported; the learning rates follow at once.

    Args:
      scheduler: one with the same window.
      portable: what `export_state` of any front end returned.

    Raises:
      ValueError: as `zenith.core.from_portable`; nothing is changed then.
    """
    scheduler.load_state_dict(scheduler.state_dict() | {"history": portable})


def _check_optimizer(optimizer: object) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer. Received: {optimizer!r}")
    if isinstance(optimizer, LBFGS):
        raise TypeError(
            "optimizer must take one gradient a step; LBFGS evaluates many and searches its own "
            "step size. Received: LBFGS"
        )
    if getattr(optimizer, "_overlap_with_ddp", False):
        raise ValueError(
            "optimizer must be stepped by step(); a ZeroRedundancyOptimizer with "
            "overlap_with_ddp=True steps inside backward, with the learning rate of its "
            "construction. Build it with overlap_with_ddp=False."
        )
    for index, group in enumerate(optimizer.param_groups):
        if "lr" not in group:
            raise ValueError(
                f"optimizer.param_groups[{index}] has no 'lr' for Zenith to set. Received: "
                f"{type(optimizer).__name__} with the keys {sorted(group)}"
            )
    other = _attached.get(optimizer)
    if other is not None and other() is not None:
        raise ValueError(
            "optimizer has a Zenith already, and two would multiply their scales. Call detach() of "
            "that one first."
        )


def _check_schedule(schedule: object, optimizer: Optimizer) -> None:
    if isinstance(schedule, LRScheduler):
        if isinstance(schedule, Zenith) or unwrap(schedule.optimizer) is not optimizer:
            raise ValueError(
                "schedule must be a scheduler of the same optimizer, and no Zenith. Received: "
                f"{type(schedule).__name__} of {type(schedule.optimizer).__name__}"
            )
    elif schedule is not None and not callable(schedule):
        raise TypeError(
            "schedule must be a torch LRScheduler, or a function from the number of steps to a "
            f"factor on the learning rate. Received: {schedule!r}"
        )


def _check_process_group(group: object) -> None:
    if group is not None and not (dist.is_available() and isinstance(group, dist.ProcessGroup)):
        raise TypeError(
            "process_group must be a torch.distributed.ProcessGroup that has this rank in it, "
            f"or None. Received: {group!r}"
        )


def _check_state_dict(state: object, groups: int, schedule: LRScheduler | None) -> None:
    if not isinstance(state, Mapping):
        raise ValueError(f"state_dict must be a dict. Received: {state!r}")
    keys = set(cast(Mapping[str, Any], state))
    if keys != set(_STATE_KEYS):
        raise ValueError(
            f"state_dict must have exactly the keys {_STATE_KEYS}. Missing: "
            f"{sorted(set(_STATE_KEYS) - keys)}. Foreign: {[*(keys - set(_STATE_KEYS))]}"
        )
    content = cast(Mapping[str, Any], state)
    lrs = content["base_lrs"]
    if not isinstance(lrs, list) or not all(
        isinstance(lr, float) and 0 <= lr < math.inf for lr in cast(list[object], lrs)
    ):
        raise ValueError(f"state_dict['base_lrs'] must be a list of floats. Received: {lrs!r}")
    if len(cast(list[object], lrs)) != groups:
        raise ValueError(
            f"state_dict['base_lrs'] must have one learning rate for each of the {groups} "
            f"parameter groups. Received: {lrs!r}"
        )
    for key in ("updates", "last_epoch"):
        if type(content[key]) is not int or content[key] < 0:
            raise ValueError(
                f"state_dict[{key!r}] must be an int of at least 0. Received: {content[key]!r}"
            )
    saved = content["schedule"]
    if (saved is not None) if schedule is None else not isinstance(saved, Mapping):
        raise ValueError(
            "state_dict['schedule'] must be the state of the scheduler that was passed as "
            f"schedule=, or None if none was. Received: {saved!r}"
        )
    if schedule is not None:
        _check_schedule_state(schedule, cast(Mapping[str, Any], saved))


def _check_schedule_state(schedule: LRScheduler, state: Mapping[str, Any]) -> None:
    """Load the state into a copy, since torch's schedulers take what they are given."""
    trial = copy.deepcopy(schedule, {id(schedule.optimizer): schedule.optimizer})
    try:
        trial.load_state_dict(copy.deepcopy(dict(state)))  # some of them pop its keys
        fits = len(trial.get_last_lr()) == len(schedule.get_last_lr())
        fits = fits and not state.keys().isdisjoint(schedule.state_dict())
    except Exception as error:
        raise ValueError(
            f"state_dict['schedule'] is no state of a {type(schedule).__name__}: {error!r}"
        ) from error
    if not fits:
        raise ValueError(
            f"state_dict['schedule'] is no state of a {type(schedule).__name__}. Received: {state}"
        )


def _like(values: list[float], optimizer: Optimizer) -> list[LR]:
    """The values as the parameter groups have their learning rates: floats or tensors."""
    return [
        torch.full_like(lr, value) if isinstance(lr := group["lr"], Tensor) else value
        for value, group in zip(values, optimizer.param_groups, strict=True)
    ]


def _on_host(state: Any) -> Any:
    # A copy: the tensors of a device change in place.
    return type(state)(*(f.cpu().numpy().copy() if isinstance(f, Tensor) else f for f in state))
