"""The presentation has ten slides, each figure stands in the document that names its command, and a PDF comes of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.test_documents import ROOT

SLIDES = (ROOT / "docs" / "presentation" / "slides.md").read_text(encoding="utf-8")
MEASURED = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("evidence", "performance", "deploy"))]
FIGURES = sorted(set(re.findall(r"\*\*(\d[\d.,]*(?: of \d+)?)(?: [^*\n]{1,5})?\*\*", SLIDES)))
"""What is set in bold and begins with a digit, without its unit."""
COUNTED = {"17", "12"}
"""What no command measures: numbers of the topology, which the tests below hold."""


def test_there_are_ten_slides_each_with_a_title() -> None:
    slides = SLIDES.split("\n---\n")[1:]

    assert len(slides) == 10
    assert all(re.search(r"^# \S", slide, re.M) for slide in slides)


@pytest.mark.parametrize("figure", [each for each in FIGURES if each not in COUNTED])
def test_every_figure_stands_in_a_document_too(figure: str) -> None:
    told = "\n".join(document.read_text(encoding="utf-8") for document in MEASURED)

    assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)", told)


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", SLIDES)

    assert len(pictures) >= 4
    assert [each for each in pictures if not (ROOT / "docs" / "presentation" / each).exists()] == []


def test_what_follows_from_the_topology_is_as_it_has_it() -> None:
    described = yaml.safe_load((ROOT / "terraform" / "topology.yaml").read_text())

    assert re.findall(r"\*\*(\d+)\*\* kinds of alarm", SLIDES) == [f"{len(described['alarms'])}"]
    assert re.findall(r"\*\*(\d+) hours\*\*", SLIDES) == [f"{described['rules']['outage_hours']}"]


def placed(tmp_path: Path, *pictures: str) -> str:
    """The slides as the script makes them beside these pictures."""
    for name in pictures:
        (tmp_path / name).touch()
    script, slides = ROOT / ".ci" / "dashboards.py", ROOT / "docs" / "presentation" / "slides.md"
    return subprocess.run(
        [sys.executable, script, slides, tmp_path], capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout


def test_the_dashboards_pictures_are_put_where_their_mark_stands(tmp_path: Path) -> None:
    made = placed(tmp_path, "sales.png", "orders.png", "path.svg")

    assert re.findall(r'<img src="../images/(.*)">', made) == ["orders.png", "sales.png"]
    assert "<!-- dashboards -->" not in made


def test_without_pictures_the_slide_says_so(tmp_path: Path) -> None:
    assert "there are none in docs/images yet" in placed(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("npm") and shutil.which("chromium") and shutil.which("pdfinfo")),
    reason="needs npm, chromium and pdfinfo (Debian: npm, chromium, poppler-utils)",
)
def test_the_slides_become_a_pdf_of_ten_pages(tmp_path: Path) -> None:
    pdf = tmp_path / "totes.pdf"

    subprocess.run([ROOT / ".ci" / "slides", ROOT / "build" / "slides", pdf], cwd=ROOT, check=True)

    told = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^Pages: +10$", told, re.M)
