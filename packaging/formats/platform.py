"""The platform of a binary, as the binary itself says it."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# What a package manager has to bring for each library; the dynamic linker belongs to the C library.
DEBIAN_OF_LIBRARY = {
    "libc.so.6": "libc6",
    "libm.so.6": "libc6",
    "libpthread.so.0": "libc6",
    "libdl.so.2": "libc6",
    "librt.so.1": "libc6",
    "ld-linux-x86-64.so.2": "libc6",
    "ld-linux-aarch64.so.1": "libc6",
    "libgcc_s.so.1": "libgcc-s1",
}


@dataclass(frozen=True)
class Platform:
    # `x86_64` or `aarch64`.
    arch: str
    is_linux: bool
    # The oldest glibc or macOS that it runs on.
    oldest: tuple[int, int]
    libraries: tuple[str, ...]

    @staticmethod
    def of(binary: Path) -> "Platform":
        magic = binary.read_bytes()[:4]
        if magic == b"\x7fELF":
            return of_elf(binary)
        if magic == b"\xcf\xfa\xed\xfe":
            return of_macho(binary)
        raise RuntimeError(f"{binary} is neither an ELF nor a 64-bit Mach-O file")

    @property
    def triple(self) -> str:
        return f"{self.arch}-unknown-linux-gnu" if self.is_linux else f"{self.arch}-apple-darwin"

    @property
    def for_node(self) -> tuple[str, str]:
        """`process.platform` and `process.arch`."""
        return ("linux" if self.is_linux else "darwin", {"x86_64": "x64", "aarch64": "arm64"}[self.arch])

    @property
    def for_debian(self) -> str:
        return {"x86_64": "amd64", "aarch64": "arm64"}[self.arch]

    @property
    def for_python(self) -> str:
        """The platform tag of a wheel: PEP 600 (manylinux), or macOS."""
        major, minor = self.oldest
        if self.is_linux:
            # https://peps.python.org/pep-0600/: nothing older than 2.5 has a tag, and Rust needs 2.17.
            return f"manylinux_{major}_{minor}_{self.arch}"
        return f"macosx_{major}_{minor}_{'arm64' if self.arch == 'aarch64' else self.arch}"


def of_elf(binary: Path) -> Platform:
    text = output("readelf", "--wide", "--file-header", "--dynamic", "--version-info", str(binary))
    machine = re.search(r"Machine: +(.*)", text)[1]
    arch = next((arch for name, arch in {"X86-64": "x86_64", "AArch64": "aarch64"}.items() if name in machine), None)
    if arch is None:
        raise RuntimeError(f"there are no packages for {machine}")
    libraries = tuple(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    unknown = [name for name in libraries if name not in DEBIAN_OF_LIBRARY]
    if unknown:
        raise RuntimeError(f"{binary} needs {', '.join(unknown)}, which users may not have")
    needs = [(int(major), int(minor)) for major, minor in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", text)]
    if not needs:
        raise RuntimeError(f"{binary} does not say which glibc it needs")
    return Platform(arch, True, max(needs), libraries)


def of_macho(binary: Path) -> Platform:
    arch = {"arm64": "aarch64", "x86_64": "x86_64"}[output("lipo", "-archs", str(binary)).strip()]
    oldest = re.search(r"minos (\d+)\.(\d+)", output("vtool", "-show-build", str(binary)))
    return Platform(arch, False, (int(oldest[1]), int(oldest[2])), ())


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
