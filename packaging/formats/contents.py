"""What is in every package: the binary, and what it writes about itself."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .archive import Files, gzipped
from .licenses import third_party
from .platform import Platform
from .release import CHECKOUT, Release

SHELLS = {"bash": "windlass.bash", "zsh": "_windlass", "fish": "windlass.fish", "powershell": "windlass.ps1", "elvish": "windlass.elv"}


@dataclass(frozen=True)
class Contents:
    binary: bytes
    # Name of a page → its text.
    manual: dict[str, bytes]
    # Name of a shell → what it loads.
    completions: dict[str, bytes]
    # Name of a file → its text: licences, of the crates in the binary too.
    licenses: dict[str, bytes]

    @staticmethod
    def of(binary: Path, release: Release, platform: Platform) -> "Contents":
        said = run(binary, "--version").decode().strip()
        if said != f"windlass {release.version}":
            raise RuntimeError(f"{binary} is {said}, and Cargo.toml says {release.version}")
        with tempfile.TemporaryDirectory() as folder:
            run(binary, "man", folder)
            manual = {page.name: page.read_bytes() for page in sorted(Path(folder).iterdir())}
        licenses = {name: (CHECKOUT / name).read_bytes() for name in ("LICENSE-APACHE", "LICENSE-MIT")}
        licenses["THIRD-PARTY.txt"] = third_party(platform.triple)
        return Contents(
            binary.read_bytes(),
            manual,
            {shell: run(binary, "completions", shell) for shell in SHELLS},
            licenses,
        )

    def system(self, zsh: str) -> Files:
        """As a Linux distribution lays it out; zsh's completions are in a folder of the distribution's own."""
        share = "usr/share"
        service = (CHECKOUT / "contrib/windlass.service").read_text().split("\n\n", 1)[1]
        files = {
            "usr/bin/windlass": (self.binary, True),
            "usr/lib/systemd/system/windlass.service": (service.replace("/usr/local/bin/", "/usr/bin/").encode(), False),
            f"{share}/bash-completion/completions/windlass": (self.completions["bash"], False),
            f"{share}/{zsh}/_windlass": (self.completions["zsh"], False),
            f"{share}/fish/vendor_completions.d/windlass.fish": (self.completions["fish"], False),
        }
        for name, page in self.manual.items():
            files[f"{share}/man/man1/{name}.gz"] = (gzipped(page), False)
        return files


def run(binary: Path, *arguments: str) -> bytes:
    return subprocess.run([binary, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
