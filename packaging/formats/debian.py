"""A package for Debian and Ubuntu.

The control file has nine lines, of which only the version, the architecture and the C library differ, so `dpkg-deb`
alone is enough: cargo-deb would have to be compiled, and asks `dpkg-shlibdeps` of the build machine for what the
binary itself says.
"""

import hashlib
import subprocess
import tempfile
from email.utils import formatdate
from pathlib import Path

from .archive import LEVEL, gzipped, laid_out
from .contents import Contents
from .platform import DEBIAN_OF_LIBRARY, Platform
from .release import CHECKOUT, NAME, Release

ZSH = "zsh/vendor-completions"
MAINTAINER = "Windlass maintainers <windlass@localhost.invalid>"
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: windlass

Files: *
Copyright: {copyright}
License: MIT or Apache-2.0
 The texts are in LICENSE-MIT and LICENSE-APACHE beside this file, and those of the crates that the program contains in
 THIRD-PARTY.txt.gz.
"""


def build(contents: Contents, release: Release, platform: Platform, out: Path) -> list[Path]:
    docs = f"usr/share/doc/{NAME}"
    files = contents.system(ZSH)
    license = contents.licenses["LICENSE-MIT"].decode()
    copyright = next(line.removeprefix("Copyright ") for line in license.splitlines() if line.startswith("Copyright "))
    changes = f"{NAME} ({release.for_systems}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- {MAINTAINER}  {formatdate(release.time)}\n"
    files[f"{docs}/copyright"] = (COPYRIGHT.format(copyright=copyright).encode(), False)
    files[f"{docs}/changelog.gz"] = (gzipped(changes.encode()), False)
    files[f"{docs}/CHANGELOG.md.gz"] = (gzipped((CHECKOUT / "CHANGELOG.md").read_bytes()), False)
    for name, text in contents.licenses.items():
        is_long = name == "THIRD-PARTY.txt"
        files[f"{docs}/{name}{'.gz' if is_long else ''}"] = (gzipped(text) if is_long else text, False)
    sums = "".join(f"{hashlib.md5(data).hexdigest()}  {name}\n" for name, (data, _) in sorted(files.items()))
    size = sum(-(-len(data) // 1024) for data, _ in files.values())
    files["DEBIAN/control"] = (control(release, platform, size).encode(), False)
    files["DEBIAN/md5sums"] = (sums.encode(), False)
    path = out / f"{NAME}_{release.for_systems}_{platform.for_debian}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        laid_out(tree, files)
        tree.chmod(0o755)
        # gzip, because dpkg before Debian 12 reads no zstd, and xz takes ten times as long for a fifth less.
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", f"-z{LEVEL}", "--build", str(tree), str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [path]


def control(release: Release, platform: Platform, kibibytes: int) -> str:
    major, minor = platform.oldest
    needs = {DEBIAN_OF_LIBRARY[library] for library in platform.libraries}
    depends = [f"libc6 (>= {major}.{minor})" if need == "libc6" else need for need in sorted(needs)]
    return f"""\
Package: {NAME}
Version: {release.for_systems}
Architecture: {platform.for_debian}
Maintainer: {MAINTAINER}
Section: admin
Priority: optional
Installed-Size: {kibibytes}
Depends: {", ".join(depends)}
Recommends: ca-certificates
Description: workflow engine for certificate rotation and runbooks
 Windlass runs certificate rotations, and any other runbook, as a graph of small
 scripts. A run that stops anywhere is resumed there, with nothing done twice.
"""
