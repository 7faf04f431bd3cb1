"""Options that the commands which train have in common."""

import argparse
from pathlib import Path

from experiments.commands.arguments import coefficient, learning_rate, whole
from experiments.results import Setting


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where data are, where results go, and how often what is done so far goes there."""
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder that holds the data sets"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="folder of results; default: results"
    )
    parser.add_argument(
        "--saved-every",
        type=coefficient,
        default=15.0,
        metavar="SECONDS",
        help="between two checkpoints of a run; default: 15",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Settings of a task; what is not given stays as the task has it."""
    group = parser.add_argument_group("settings of the task", "each is the task's own by default")
    for flag, kind, text in (
        ("--lr", learning_rate, "eta_0"),
        ("--momentum", coefficient, "of the SGD under ZENITH and the schedules"),
        ("--weight-decay", coefficient, "decoupled from the loss: the gradient norm sees none"),
        ("--l2", coefficient, "in the loss, as l2 / 2 |w|^2: the gradient norm sees it"),
        ("--window", whole, "gradient norms that ZENITH averages"),
        ("--batch", whole, "samples in a minibatch, over all ranks"),
        ("--epochs", whole, "passes over the training set"),
        ("--images", whole, "images to train on, at laptop scale"),
    ):
        group.add_argument(flag, type=kind, help=text)
    group.add_argument(
        "--time-limit",
        type=learning_rate,
        dest="minutes",
        metavar="MINUTES",
        help="of training, beside reading and evaluation",
    )
    group.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="random crops and mirroring, at laptop scale",
    )
    group.add_argument(
        "--normalisation", choices=("batchnorm", "none"), help="in the net, at laptop scale"
    )
    group.add_argument(
        "--partial",
        action="store_true",
        default=None,
        help="take a data set of which a part is missing, at paper scale",
    )
    group.add_argument(
        "--pretrained",
        action="store_true",
        default=None,
        help="start an R-CNN from torchvision's ImageNet weights, which are downloaded",
    )
    group.add_argument(
        "--amp", action="store_true", default=None, help="mixed precision: bfloat16 by autocast"
    )


def given_settings(options: argparse.Namespace) -> dict[str, Setting]:
    """The settings that were given, by name."""
    names = (
        "lr momentum weight_decay l2 window batch epochs images minutes augment normalisation "
        "partial pretrained amp"
    )
    return {n: v for n in names.split() if (v := getattr(options, n)) is not None}
