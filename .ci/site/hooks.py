"""What MkDocs does not do by itself: pages for the files that the documents link to, and the star schema as a picture.

The documents are read in the repository too, where a link may lead to any file and Mermaid is drawn. In the site a
file that is no page becomes one, under source/, and the diagram of the data dictionary an SVG made from its own text.
Invariant: the same tree gives the same site; nothing is asked of another host.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

# A hook is loaded by its path alone.
sys.path.insert(0, str(Path(__file__).parent))
from star_schema import drawn

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
"""A relative link: its target, and behind it the anchor."""
PAGES_AND_PICTURES = (".md", ".svg", ".png", ".pdf")
"""What the site has as it is."""
MERMAID = re.compile(r"^```mermaid\n(erDiagram\n.*?)^```$", re.M | re.S)
PICTURE = "images/star-schema.svg"
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sql": "sql", ".json": "json", ".tf": "terraform"}


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages of linked files, and the picture of the star schema."""
    pages = [file for file in files if file.src_uri.endswith(".md") and file.inclusion.is_included()]
    texts = {page.src_uri: page.content_string for page in pages}
    for linked in sorted({path for uri, text in texts.items() for path in _linked(uri, text)}):
        files.append(File.generated(config, _page_of(linked), content=_shown(linked)))
    for text in texts.values():
        for diagram in MERMAID.findall(text):
            files.append(File.generated(config, PICTURE, content=drawn(diagram)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links to the pages of files, and show the picture."""
    here = page.file.src_uri
    if here.startswith("source/"):
        return markdown
    up = posixpath.relpath(PICTURE, posixpath.dirname(here) or ".")
    markdown = MERMAID.sub(f"![The star schema: facts between their dimensions]({up})", markdown)
    return LINK.sub(lambda found: f"{found[1]}{_led(here, found[2])}{found[3]}", markdown)


def _linked(uri: str, text: str) -> Iterator[str]:
    """The repository's paths of what a document links to that is no page; a folder brings the files in it."""
    for _, target, _ in LINK.findall(text):
        path = _in_repository(uri, target)
        if path is not None:
            yield path
            if (ROOT / path).is_dir():
                yield from (f"{file.relative_to(ROOT)}" for file in (ROOT / path).rglob("*") if file.is_file())


def _in_repository(uri: str, target: str) -> str | None:
    """None: a page, a picture, or nothing at all, which MkDocs then says."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(uri), target))
    known = path.startswith("docs/") and path.endswith(PAGES_AND_PICTURES)
    return None if known or not (ROOT / path).exists() else path


def _led(here: str, target: str) -> str:
    path = _in_repository(here, target)
    return target if path is None else posixpath.relpath(_page_of(path), posixpath.dirname(here) or ".")


def _page_of(path: str) -> str:
    return f"source/{path}.md"


def _shown(path: str) -> str:
    """The page of one file, or of a folder: what is in it. The search leaves both alone."""
    front = "---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n"
    if (ROOT / path).is_dir():
        inside = sorted(f"{file.relative_to(ROOT / path)}" for file in (ROOT / path).rglob("*") if file.is_file())
        listed = "".join(f"- [{name}]({posixpath.basename(path)}/{name}.md)\n" for name in inside)
        return f"{front}# {path}\n\n{listed}"
    language = LANGUAGES.get(PurePosixPath(path).suffix, "text")
    return f"{front}# {path}\n\n~~~~~ {language}\n{(ROOT / path).read_text(encoding='utf-8')}\n~~~~~\n"
