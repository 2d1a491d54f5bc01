"""Archives that are equal byte for byte if their files are."""

import gzip
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

# What a package is compressed with; tests that build many take 0.
LEVEL = int(os.environ.get("WINDLASS_PACKAGE_LEVEL") or 9)

# The name of a file in an archive → its bytes and whether it can be executed.
Files = dict[str, tuple[bytes, bool]]


def gzipped(data: bytes, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0)


def tar_gz(path: Path, files: Files, when: int) -> Path:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (data, is_program) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), when, mode(is_program)
            archive.addfile(entry, io.BytesIO(data))
    path.write_bytes(gzipped(made.getvalue(), LEVEL))
    return path


def zipped(path: Path, files: Files, when: int) -> Path:
    # A zip file knows no time before 1980.
    date = time.gmtime(max(when, 315532800))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name, (data, is_program) in files.items():
            entry = zipfile.ZipInfo(name, date)
            entry.external_attr = (0o100000 | mode(is_program)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return path


def laid_out(folder: Path, files: Files) -> None:
    """Writes files below a folder."""
    for name, (data, is_program) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode(is_program))


def mode(is_program: bool) -> int:
    return 0o755 if is_program else 0o644
