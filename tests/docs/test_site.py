"""The built site loads nothing from another host, and each of its links leads to a page and to an anchor of it.

`make docs` builds it first and names its folder; without that the tests of built pages skip.
"""

import os
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import Page, broken, elsewhere, in_style

SITE = Path(os.environ.get("TOTES_SITE", ""))
built = pytest.mark.skipif("TOTES_SITE" not in os.environ, reason="`make docs` builds the site first")


@cache
def pages() -> dict[str, Page]:
    return {
        f"{file.relative_to(SITE)}": Page.of(file.read_text(encoding="utf-8")) for file in sorted(SITE.rglob("*.html"))
    }


@built
def test_there_is_a_site_with_every_kind_of_page() -> None:
    names = set(pages())

    assert {
        "index.html",
        "tutorial.html",
        "deploy.html",
        "reference/cli.html",
        "explanation/loses-nothing.html",
    } <= names


@built
def test_no_page_loads_anything_from_another_host() -> None:
    loaded = {name: [each for each in page.loads if elsewhere(each)] for name, page in pages().items()}

    assert {name: found for name, found in loaded.items() if found} == {}


@built
def test_no_style_loads_anything_from_another_host() -> None:
    files = [*SITE.rglob("*.css"), *SITE.rglob("*.svg")]

    assert len(files) >= 3
    assert [(f.name, each) for f in files for each in in_style(f.read_text(encoding="utf-8")) if elsewhere(each)] == []


@built
def test_no_page_has_what_the_theme_s_script_would_load_a_library_for() -> None:
    """Material's script holds the address of Mermaid and asks for it where a page has such a block; of nothing else."""
    [script] = SITE.glob("assets/javascripts/bundle.*.min.js")
    hosts = set(re.findall(r"https://([\w.-]+)/", script.read_text(encoding="utf-8")))

    assert hosts <= {"unpkg.com", "api.github.com", "gitlab.com", "clipboardjs.com"}, "the last stands in a comment"
    for file in SITE.rglob("*.html"):
        assert not re.search(r'class="[^"]*\bmermaid\b|data-md-component="source"', file.read_text(encoding="utf-8")), (
            file
        )


@built
def test_every_link_within_the_site_leads_to_a_page_and_to_an_anchor_of_it() -> None:
    files = {f"{file.relative_to(SITE)}" for file in SITE.rglob("*") if file.is_file()}

    assert list(broken(pages(), files)) == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/mermaid.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/a.css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img src="http://example.org/a.png">',
        '<img srcset="a.png 1x, https://example.org/b.png 2x">',
        '<style>@import "https://example.org/a.css";</style>',
        '<p style="background: url(https://example.org/a.png)">',
        "<style>@font-face { src: url('https://example.org/a.woff2') }</style>",
    ],
)
def test_what_is_loaded_from_another_host_is_found(html: str) -> None:
    assert [each for each in Page.of(html).loads if elsewhere(each)] != []


def test_a_link_to_another_host_is_no_load() -> None:
    page = Page.of('<a href="https://example.org">there</a><img src="a.png"><img src="data:image/png;base64,AA">')

    assert [each for each in page.loads if elsewhere(each)] == []


@pytest.mark.parametrize(
    ("link", "said"), [("b.html", "no file"), ("a.html#there", "no anchor"), ("#there", "no anchor")]
)
def test_a_link_that_leads_nowhere_is_found(link: str, said: str) -> None:
    page = Page.of(f'<a href="{link}">x</a><h1 id="here">')

    [found] = broken({"d/a.html": page}, {"d/a.html"})

    assert said in found


def test_a_link_that_leads_somewhere_is_not_found() -> None:
    page = Page.of('<a href="../index.html">x</a><a href="#here">y</a><a href="..">z</a><h1 id="here">')

    assert list(broken({"d/a.html": page, "index.html": Page.of("")}, {"d/a.html", "index.html"})) == []
