"""The released contracts as files: contracts/schemas/<kind>/<name>/v<version>.written.json and .read.json.

Invariant: what was released never changes. `released.json` holds the digest of every file, so that an edited or a lost
one is found and named; a version is written once, and writing the same again changes nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import contracts
from services.ops.contracts.published import Kind, Published, Schema
from shared.errors import ConfigurationError

FOLDER = Path(contracts.__file__).parent / "schemas"
RELEASED = "released.json"
_FORMS = ("written", "read")


@dataclass(frozen=True)
class Registry:
    """The released contracts in a folder."""

    folder: Path = FOLDER

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The sha256 (hex) of every released file, by its path in the folder."""
        path = self.folder / RELEASED
        try:
            found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError as exc:
            raise ConfigurationError(f"Expected JSON in {path}, found {exc}: restore it from git.") from exc
        if not isinstance(found, dict):
            raise ConfigurationError(f"Expected digests by file in {path}, found something else: restore it from git.")
        return found

    def titles(self) -> tuple[str, ...]:
        """The contracts that were ever released, as `source.sales_order`."""
        return tuple(sorted({_title(name) for name in self._digests}))

    def versions(self, title: str) -> Mapping[int, Published]:
        """All released versions of a contract, oldest first. Raises ConfigurationError for a file that changed."""
        numbers = sorted({_version(name) for name in self._digests if _title(name) == title})
        return {number: self._published(title, number) for number in numbers}

    def newest(self, title: str) -> int:
        """The last released version; 0 where there is none."""
        return max((_version(name) for name in self._digests if _title(name) == title), default=0)

    def add(self, published: Published) -> tuple[Path, ...]:
        """Write one version; the files that are new. Raises ConfigurationError where another was released under it."""
        return tuple(path for form in _FORMS if (path := self._add(published, form)) is not None)

    def _add(self, published: Published, form: str) -> Path | None:
        name, body = _name(published.title, published.version, form), render(getattr(published, form))
        digest = sha256(body.encode()).hexdigest()
        released = self._digests.get(name)
        if released == digest and (self.folder / name).exists():
            return None
        if released not in (None, digest):
            raise ConfigurationError(
                f"Expected a new version of {published.title}, found v{published.version} released as something else."
            )
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
        self._digests[name] = digest
        (self.folder / RELEASED).write_text(render(self._digests), encoding="utf-8")
        return path

    def _published(self, title: str, version: int) -> Published:
        kind, _, name = title.partition(".")
        written, read = (self._read(_name(title, version, form)) for form in _FORMS)
        return Published(Kind(kind), name, version, written, read)

    def _read(self, name: str) -> Schema:
        path = self.folder / name
        body = path.read_bytes() if path.exists() else b""
        if sha256(body).hexdigest() != self._digests.get(name):
            found = "other bytes" if body else "none"
            raise ConfigurationError(
                f"Expected {path} as it was released, found {found}: restore it from git; a change is a new version."
            )
        schema: Schema = json.loads(body)
        return schema


def render(schema: Mapping[str, object]) -> str:
    """JSON as it lies in the registry: sorted, so that equal schemas are equal bytes."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def lines(schema: Schema) -> list[str]:
    """One line for each thing a schema says, as `properties.units_sold.type: "integer"`: what a diff is made of."""
    return sorted(_said("", schema))


def _said(place: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _said(f"{place}.{key}" if place else str(key), each)
    else:
        yield f"{place}: {json.dumps(value, ensure_ascii=False)}"


def _name(title: str, version: int, form: str) -> str:
    return f"{title.replace('.', '/')}/v{version}.{form}.json"


def _title(name: str) -> str:
    return ".".join(name.split("/")[:2])


def _version(name: str) -> int:
    number, _, _ = name.split("/")[2].partition(".")
    return int(number.removeprefix("v"))
