"""Eight devices: their number is fixed when JAX starts, so these claims have their own process."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_claims_about_eight_devices_hold():
    claims = Path(__file__).with_name("on_eight_devices.py")
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(claims)],
        env=environment,
        cwd=claims.parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
