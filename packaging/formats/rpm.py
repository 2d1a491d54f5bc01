"""A package for Fedora, RHEL and SUSE, by `rpmbuild`: it reads from the binary which libraries and which glibc it needs."""

import subprocess
import tempfile
from pathlib import Path

from .archive import LEVEL, laid_out
from .contents import Contents
from .platform import Platform
from .release import CHECKOUT, NAME, Release

SPEC = CHECKOUT / "packaging/rpm/windlass.spec"


def build(contents: Contents, release: Release, platform: Platform, out: Path) -> list[Path]:
    files = contents.system("zsh/site-functions")
    for name, text in contents.licenses.items():
        files[f"usr/share/licenses/{NAME}/{name}"] = (text, False)
    with tempfile.TemporaryDirectory() as folder:
        laid_out(Path(folder) / "tree", files)
        defined = {
            "_topdir": f"{folder}/rpmbuild",
            "tree": f"{folder}/tree",
            "release_version": release.for_systems,
            "summary": release.summary,
            # Older systems read no zstd.
            "_binary_payload": f"w{LEVEL}.gzdio",
            # The same bytes again, wherever and whenever it is built.
            "_buildhost": "windlass",
            "use_source_date_epoch_as_buildtime": "1",
            "clamp_mtime_to_source_date_epoch": "1",
            "_build_id_links": "none",
            # The files are as they shall be: nothing is stripped, compressed or split off.
            "__os_install_post": "%{nil}",
            "debug_package": "%{nil}",
        }
        command = ["rpmbuild", "--quiet", "-bb", "--target", f"{platform.arch}-linux", str(SPEC)]
        for name, value in defined.items():
            command += ["--define", f"{name} {value}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"rpmbuild failed\n{done.stdout}{done.stderr}")
        (made,) = Path(folder).glob("rpmbuild/RPMS/*/*.rpm")
        path = out / f"{NAME}-{release.for_systems}-1.{platform.arch}.rpm"
        path.write_bytes(made.read_bytes())
    return [path]
