"""A wheel that holds the binary, for `pip install` and `uvx`.

maturin makes the same of a crate that it compiles itself; it can't take a binary that is there, and one binary is what
all packages are made of. The format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

import base64
import hashlib
from pathlib import Path

from .archive import zipped
from .contents import Contents
from .platform import Platform
from .release import CHECKOUT, LICENSE, Release

# `windlass` is somebody else's on PyPI; the command has its name all the same.
PROJECT = "windlass-cli"


def build(contents: Contents, release: Release, platform: Platform, out: Path) -> list[Path]:
    stem = f"{PROJECT.replace('-', '_')}-{release.for_python}"
    tag = f"py3-none-{platform.for_python}"
    info = f"{stem}.dist-info"
    metadata = "\n".join([
        "Metadata-Version: 2.4",
        f"Name: {PROJECT}",
        f"Version: {release.for_python}",
        f"Summary: {release.summary}",
        f"License-Expression: {LICENSE}",
        *(f"License-File: {name}" for name in contents.licenses),
        "Requires-Python: >=3.8",
        "Classifier: Environment :: Console",
        "Classifier: Programming Language :: Rust",
        "Description-Content-Type: text/markdown",
        "",
        (CHECKOUT / "README.md").read_text(),
    ])
    about = f"Wheel-Version: 1.0\nGenerator: windlass packaging\nRoot-Is-Purelib: false\nTag: {tag}\n"
    files = {f"{stem}.data/scripts/windlass": (contents.binary, True)}
    files |= {f"{info}/licenses/{name}": (text, False) for name, text in contents.licenses.items()}
    files |= {f"{info}/METADATA": (metadata.encode(), False), f"{info}/WHEEL": (about.encode(), False)}
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={digest(data)},{len(data)}" for name, (data, _) in files.items()]
    files[record] = ("\n".join([*lines, f"{record},,", ""]).encode(), False)
    return [zipped(out / f"{stem}-{tag}.whl", files, release.time)]


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
