"""Two npm packages: `windlass`, which starts the binary, and one with the binary for this platform.

npm installs, of the platforms that the first names as optional, the one whose `os`, `cpu` and `libc` fit: no script
runs on installation. esbuild and Biome do the same.
"""

import json
from pathlib import Path

from .archive import Files, tar_gz
from .contents import Contents
from .platform import Platform
from .release import CHECKOUT, LICENSE, NAME, Release

SOURCES = CHECKOUT / "packaging/npm"
PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]


def build(contents: Contents, release: Release, platform: Platform, out: Path) -> list[Path]:
    os, cpu = platform.for_node
    common = {"version": release.version, "description": release.summary + ".", "license": LICENSE}
    licenses = {name: (text, False) for name, text in contents.licenses.items()}
    own = {name: held for name, held in licenses.items() if name.startswith("LICENSE")}
    launcher = {
        "name": NAME,
        **common,
        "bin": {"windlass": "windlass.js"},
        "engines": {"node": ">=18"},
        "files": ["windlass.js"],
        # The launcher and the binary of one release belong together: no range.
        "optionalDependencies": {f"@{NAME}/{each}": release.version for each in PLATFORMS},
    }
    binary = {
        "name": f"@{NAME}/{os}-{cpu}",
        **common,
        "os": [os],
        "cpu": [cpu],
        **({"libc": ["glibc"]} if platform.is_linux else {}),
        "preferUnplugged": True,
        "files": ["bin/windlass", "THIRD-PARTY.txt"],
    }
    readme = (CHECKOUT / "README.md").read_bytes()
    return [
        pack(out / f"npm-{NAME}-{release.version}.tgz", launcher, release, {
            "windlass.js": ((SOURCES / "windlass.js").read_bytes(), True),
            "README.md": (readme, False),
            **own,
        }),
        pack(out / f"npm-{NAME}-{os}-{cpu}-{release.version}.tgz", binary, release, {
            "bin/windlass": (contents.binary, True),
            **licenses,
        }),
    ]


def pack(path: Path, manifest: dict, release: Release, files: Files) -> Path:
    files = {"package.json": ((json.dumps(manifest, indent=2) + "\n").encode(), False), **files}
    return tar_gz(path, {f"package/{name}": held for name, held in files.items()}, release.time)
