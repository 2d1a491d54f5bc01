"""Which release is packaged: its version, as each format writes it, and its time."""

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "windlass"
LICENSE = "MIT OR Apache-2.0"


@dataclass(frozen=True)
class Release:
    version: str
    summary: str
    # Seconds since 1970: the time of everything in the packages.
    time: int

    @staticmethod
    def of_checkout() -> "Release":
        manifest = tomllib.loads((CHECKOUT / "Cargo.toml").read_text())
        return Release(
            manifest["workspace"]["package"]["version"],
            manifest["package"]["description"].rstrip("."),
            int(os.environ.get("SOURCE_DATE_EPOCH") or time_of_commit()),
        )

    @property
    def for_python(self) -> str:
        """As PEP 440 writes it.

        >>> Release("1.0.0-rc.1", "", 0).for_python
        '1.0.0rc1'
        """
        short = {"alpha": "a", "beta": "b", "rc": "rc"}
        return re.sub(r"-(alpha|beta|rc)\.?(\d+)", lambda found: short[found[1]] + found[2], self.version)

    @property
    def for_systems(self) -> str:
        """As Debian and Fedora write it: with a tilde, a version sorts before the same one without.

        >>> Release("1.0.0-rc.1", "", 0).for_systems
        '1.0.0~rc.1'
        """
        return self.version.replace("-", "~", 1)


def time_of_commit() -> str:
    command = ["git", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode != 0:
        raise RuntimeError("set SOURCE_DATE_EPOCH, or build in a git checkout: the packages have the time of the commit")
    return found.stdout
