"""Verify an exported bundle. Needs nothing of callguard: this file, the bundle, and the public key of who exported it.

    python proof.py BUNDLE.zip KEY.pub

A bundle is a ZIP without compression. ``manifest.json`` names every part with its size and SHA-256, in order;
``manifest.sig`` is its Ed25519 signature. The ZIP itself has one spelling only, so that every byte is accounted for:
it is put together again from its parts and compared. Needs the package ``cryptography``.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

FORMAT = "callguard-bundle-1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verifying found. broken: the first thing that was changed, "" where nothing was. why: in plain words."""

    broken: str = ""
    why: str = ""
    case: str = ""
    parts: int = 0

    @property
    def whole(self) -> bool:
        """True where every byte is as it was signed."""
        return not self.broken


def read_public_key(text: str) -> Ed25519PublicKey:
    """A public key as PEM or as 64 hexadecimal digits. Raises ValueError."""
    if "BEGIN" in text:
        key = load_pem_public_key(text.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("not an Ed25519 key")
        return key
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))


def verify(bundle: bytes, key: Ed25519PublicKey) -> Verdict:
    """Look at everything; stop at the first thing that is not as it was signed."""
    try:
        parts = _parts(bundle)
    except _Broken as broken:
        return Verdict(broken=broken.what, why=broken.why)
    for needed in (MANIFEST, SIGNATURE):
        if needed not in parts:
            return Verdict(broken=needed, why="is missing")
    try:
        signature = bytes.fromhex(parts[SIGNATURE].decode("ascii").strip())
        if parts[SIGNATURE] != signature.hex().encode() + b"\n":
            return Verdict(broken=SIGNATURE, why="is not spelled as it was signed")
        key.verify(signature, parts[MANIFEST])
    except (InvalidSignature, ValueError):
        return Verdict(broken=MANIFEST, why="was changed, or was signed with another key")
    manifest = json.loads(parts[MANIFEST])
    found = _compare(manifest, parts) or _spelled(bundle, parts) or _story(parts)
    if found:
        return Verdict(broken=found[0], why=found[1], case=str(manifest.get("case", "")))
    return Verdict(case=str(manifest["case"]), parts=len(manifest["parts"]))


def zip_of(parts: Mapping[str, bytes]) -> bytes:
    """The one spelling of a ZIP with these parts: stored, ASCII names, no times, no extras."""
    out, directory = io.BytesIO(), io.BytesIO()
    for name, content in parts.items():
        spelled = name.encode("ascii")
        facts = (20, 0, 0, 0, 33, zlib.crc32(content), len(content), len(content), len(spelled), 0)
        place = out.tell()
        out.write(struct.pack("<4s5H3I2H", b"PK\3\4", *facts) + spelled + content)
        directory.write(struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *facts, 0, 0, 0, 0, place) + spelled)
    start, size = out.tell(), directory.tell()
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(parts), len(parts), size, start, 0)
    return out.getvalue() + directory.getvalue() + end


class _Broken(Exception):
    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.what, self.why = what, why


def _parts(bundle: bytes) -> dict[str, bytes]:
    name = "bundle"
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
            parts: dict[str, bytes] = {}
            for info in packed.infolist():
                name = info.filename
                if name in parts:
                    raise _Broken(name, "is there twice")
                parts[name] = packed.read(info)
            return parts
    except _Broken:
        raise
    except Exception:
        # zipfile answers broken archives with many kinds of errors
        raise _Broken(name, "is damaged or cut short") from None


def _compare(manifest: Mapping[str, object], parts: Mapping[str, bytes]) -> tuple[str, str] | None:
    listed = manifest.get("parts")
    if manifest.get("format") != FORMAT or not isinstance(listed, list):
        return MANIFEST, "is of a kind this program does not know"
    for one in listed:
        if one["name"] not in parts:
            return str(one["name"]), "is missing"
        content = parts[one["name"]]
        if len(content) != one["bytes"] or hashlib.sha256(content).hexdigest() != one["sha256"]:
            return str(one["name"]), "was changed"
    expected = [*(one["name"] for one in listed), MANIFEST, SIGNATURE]
    for name, wanted in zip(parts, expected, strict=False):
        if name != wanted:
            return name, "was added" if name not in expected else "stands in another place"
    if len(parts) > len(expected):
        return list(parts)[len(expected)], "was added"
    return None


def _spelled(bundle: bytes, parts: Mapping[str, bytes]) -> tuple[str, str] | None:
    again = zip_of(parts)
    if again == bundle:
        return None
    at = next((n for n, (a, b) in enumerate(zip(bundle, again, strict=False)) if a != b), min(len(bundle), len(again)))
    return f"byte {at} of the file", "lies between the parts and was changed"


def _story(parts: Mapping[str, bytes]) -> tuple[str, str] | None:
    """The chain of records, which was made line by line while the call went on."""
    before = "0" * 64
    for number, text in enumerate(parts.get("records.jsonl", b"").decode().splitlines(), start=1):
        line = json.loads(text)
        if line["data"] is None:
            before = line["hash"]
            continue
        chained = {key: line[key] for key in ("number", "kind", "at_ms", "written_at", "data")}
        spelled = json.dumps(chained, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        before = hashlib.sha256(f"{before}\n{spelled}".encode()).hexdigest()
        if line["number"] != number or line["hash"] != before:
            return f"records.jsonl line {number}", "was changed before the bundle was made"
    return None


def main(arguments: Sequence[str]) -> int:
    """0 whole, 1 changed, 2 asked wrongly."""
    if len(arguments) != 2:
        print("usage: proof.py BUNDLE.zip KEY.pub", file=sys.stderr)  # noqa: T201
        return 2
    verdict = verify(Path(arguments[0]).read_bytes(), read_public_key(Path(arguments[1]).read_text()))
    said = f"whole: case {verdict.case}, {verdict.parts} parts" if verdict.whole else f"{verdict.broken} {verdict.why}"
    print(said)  # noqa: T201
    return 0 if verdict.whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
