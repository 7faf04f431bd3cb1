"""tox's plugin of this project: a run of everything need not have room for everything at once.

All environments together take 38 GB, most of it the same frameworks again; with
`ZENITH_DISCARD=yes`, as `.ci/run` sets it, one that has passed is removed as soon as it has.
"""

import os
import shutil

from tox.execute.api import Outcome
from tox.plugin import impl
from tox.tox_env.api import ToxEnv


@impl
def tox_after_run_commands(tox_env: ToxEnv, exit_code: int, outcomes: list[Outcome]) -> None:
    del outcomes
    if exit_code == 0 and os.environ.get("ZENITH_DISCARD") == "yes":
        shutil.rmtree(tox_env.env_dir, ignore_errors=True)
