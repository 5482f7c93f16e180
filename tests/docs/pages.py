"""What a built page loads and where its links lead. Pure: text in, findings out; knows no tool that builds pages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from posixpath import dirname, normpath
from urllib.parse import unquote, urlsplit

LOADING = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
"""Element -> its attributes whose address a browser loads by itself."""
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest", "prefetch"}
"""`rel` of a <link> for which a browser asks the other host."""
IN_STYLES = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")


@dataclass
class Page(HTMLParser):
    """One page: what it loads, where it leads, and what can be led to in it."""

    loads: list[str] = field(default_factory=list)
    leads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    _in_style: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, html: str) -> "Page":
        page = cls()
        page.feed(html)
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.loads += [address for name in LOADING.get(tag, ()) for address in addresses(name, given.get(name, ""))]
        self.loads += in_style(given.get("style", ""))
        self._in_style = tag == "style"
        if tag == "link" and LOADED_LINKS & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.loads += in_style(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def addresses(attribute: str, value: str) -> list[str]:
    """Of a srcset each picture's."""
    if attribute == "srcset":
        return [each.split()[0] for each in value.split(",") if each.strip()]
    return [value] if value else []


def in_style(text: str) -> list[str]:
    return [first or second for first, second in IN_STYLES.findall(text)]


def elsewhere(address: str) -> bool:
    """It names a host; `data:` brings its own bytes."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp")


def broken(pages: Mapping[str, Page], files: set[str]) -> Iterator[str]:
    """Every link and every load that leads to no file, or to no anchor of its page."""
    for name, page in pages.items():
        for address in dict.fromkeys((*page.leads, *page.loads)):
            parts = urlsplit(address)
            if elsewhere(address) or parts.scheme in ("data", "mailto"):
                continue
            target = name if not parts.path else normpath(f"{dirname(name)}/{unquote(parts.path)}".lstrip("/"))
            if parts.path.startswith("/"):
                target = normpath(unquote(parts.path).lstrip("/"))
            target = target if target in files else f"{target}/index.html".removeprefix("./")
            if target not in files:
                yield f"{name}: {address} leads to no file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name}: {address} leads to no anchor"
