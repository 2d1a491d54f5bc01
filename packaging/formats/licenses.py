"""The licences of the crates in the binary: most of them ask that their text goes with every copy."""

import json
import subprocess
from pathlib import Path

from .release import CHECKOUT

RULE = "\n" + "=" * 100 + "\n\n"


def third_party(triple: str) -> bytes:
    """The licence files of every crate that a build for the triple links, equal texts once."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", triple]
    found = subprocess.run(command, check=True, capture_output=True, cwd=CHECKOUT).stdout
    metadata = json.loads(found)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    linked, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        package = waiting.pop()
        if package in linked:
            continue
        linked.add(package)
        # Development dependencies are not in the binary. Build dependencies are counted in: some write code that is.
        waiting += [dep["pkg"] for dep in nodes[package]["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
    crates_of_text: dict[str, list[str]] = {}
    without = []
    for package in sorted((packages[id] for id in linked), key=lambda package: (package["name"], package["version"])):
        if package["source"] is None:
            continue
        crate = f"{package['name']} {package['version']} ({package['license']})"
        texts = license_files(Path(package["manifest_path"]).parent)
        for text in texts:
            crates_of_text.setdefault(text, []).append(crate)
        if not texts:
            without.append(crate)
    parts = [f"{chr(10).join(crates)}\n\n{text}\n" for text, crates in crates_of_text.items()]
    if without:
        parts.append("Crates whose packages hold no licence file, under the licences that they name:\n\n" + "\n".join(without) + "\n")
    return RULE.join(parts).encode()


def license_files(folder: Path) -> list[str]:
    names = ("license", "licence", "copying", "copyright", "notice", "unlicense")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(names))
    return [path.read_text(errors="replace").strip() for path in files]
