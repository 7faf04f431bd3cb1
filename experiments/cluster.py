"""The runs of a sweep on a cluster, through Ray."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import ray
from ray.exceptions import RayError

import experiments
import zenith
from experiments.attempt import TRIES, Conditions, Outcome, attempt, give_up
from experiments.errors import RequestError
from experiments.files import replace_text
from experiments.loop import Watcher
from experiments.results import Identity, path_of


def on_a_cluster(
    runs: Sequence[Identity], conditions: Conditions, address: str
) -> Iterator[Outcome]:
    """Make runs wherever the cluster has a free core, or a free GPU if it has any.

    A run whose worker or node dies is started again by Ray, up to two times; it goes on from its
    last checkpoint where the nodes share the folder of results, and from the beginning where they
    do not. In either case its result file ends up in the folder of this machine.

    Args:
      runs: to make.
      conditions: with the folders as this machine names them; every node has to have the data
        under the same path.
      address: of the cluster, "auto" for the one that this machine belongs to.

    Raises:
      RequestError: there is no cluster at that address.
    """
    try:
        _knock(address)
        ray.init(
            address=address,
            # The nodes need Python and the packages; the code of both packages travels.
            runtime_env={"py_modules": [_folder(experiments), _folder(zenith)]},
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"--ray: no Ray cluster at {address}: {reason}") from error
    try:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=TRIES - 1)(_remote)
        data, out = conditions.data, conditions.out.resolve()
        conditions = conditions._replace(data=data.resolve() if data else None, out=out)
        pending = {remote.remote(identity, conditions): identity for identity in runs}
        while pending:
            (ready,), _ = ray.wait(list(pending), num_returns=1)
            identity = pending.pop(ready)
            try:
                outcome, content = ray.get(ready)
            except RayError as error:
                reason = str(error).strip().splitlines()[0]
                yield give_up(identity, out, f"{type(error).__name__}: {reason}, {TRIES} times")
                continue
            _fetch(identity, out, content)
            yield outcome
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Find out in seconds that nobody listens; Ray itself goes on trying for five minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=10).close()


def _remote(identity: Identity, conditions: Conditions) -> tuple[Outcome, str | None]:
    outcome = attempt(identity, conditions, Watcher())
    path = path_of(identity, conditions.out)
    return outcome, path.read_text(encoding="utf-8") if path.exists() else None


def _fetch(identity: Identity, out: Path, content: str | None) -> None:
    path = path_of(identity, out)
    if content is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, content)


def _folder(module: ModuleType) -> str:
    return str(Path(module.__path__[0]))
