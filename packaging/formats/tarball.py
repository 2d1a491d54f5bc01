"""A tarball: the binary, its completions and manual pages. For Homebrew, mise, a container, or a hand."""

from pathlib import Path

from .archive import tar_gz
from .contents import SHELLS, Contents
from .platform import Platform
from .release import CHECKOUT, NAME, Release


def build(contents: Contents, release: Release, platform: Platform, out: Path) -> list[Path]:
    name = f"{NAME}-{release.version}-{platform.triple}"
    files = {"windlass": (contents.binary, True)}
    for page, text in contents.manual.items():
        files[f"man/man1/{page}"] = (text, False)
    for shell, text in contents.completions.items():
        files[f"completions/{SHELLS[shell]}"] = (text, False)
    for file, text in contents.licenses.items():
        files[file] = (text, False)
    for file in ("README.md", "CHANGELOG.md"):
        files[file] = ((CHECKOUT / file).read_bytes(), False)
    return [tar_gz(out / f"{name}.tar.gz", {f"{name}/{file}": held for file, held in files.items()}, release.time)]
