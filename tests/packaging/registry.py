"""An npm registry that holds the packages of a folder, and has nothing else.

    registry.py FOLDER ADDRESS-FILE

Serves on a free port of 127.0.0.1 and writes its address to the file. The answers are those that npm asks for:
https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md
"""

import base64
import hashlib
import http.server
import json
import sys
import tarfile
import urllib.parse
from pathlib import Path


class Registry(http.server.BaseHTTPRequestHandler):
    packages: dict[str, tuple[dict, Path]]

    def do_GET(self) -> None:
        name = urllib.parse.unquote(self.path.lstrip("/"))
        if name in self.packages:
            self.answer(json.dumps(self.about(name)).encode())
        elif name.startswith("-/") and name[2:] in self.packages:
            self.answer(self.packages[name[2:]][1].read_bytes())
        else:
            self.send_error(404)

    def about(self, name: str) -> dict:
        manifest, path = self.packages[name]
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        address = f"http://127.0.0.1:{self.server.server_address[1]}/-/{name}"
        dist = {"tarball": address, "integrity": f"sha512-{digest}"}
        version = manifest["version"]
        return {"name": name, "dist-tags": {"latest": version}, "versions": {version: {**manifest, "dist": dist}}}

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: npm says what it did not get."""


def manifest_of(path: Path) -> dict:
    with tarfile.open(path) as archive:
        return json.load(archive.extractfile("package/package.json"))


def main() -> None:
    folder, address = map(Path, sys.argv[1:])
    found = [(manifest_of(path), path) for path in folder.glob("npm-*.tgz")]
    Registry.packages = {manifest["name"]: (manifest, path) for manifest, path in found}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        partial = address.with_suffix(".part")
        partial.write_text(f"http://127.0.0.1:{server.server_address[1]}/")
        partial.rename(address)
        server.serve_forever()


main()
