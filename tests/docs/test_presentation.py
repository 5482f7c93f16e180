"""The presentation has ten slides, and each figure on them stands in the document that names its command."""

import re

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
