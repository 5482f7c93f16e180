"""What a command makes, in a document that people write: it stands between two marks. Pure."""

import re

from shared.errors import ConfigurationError


def put(document: str, name: str, made: str) -> str:
    """The document with what is made between `<!-- name -->` and `<!-- /name -->`.

    Raises ConfigurationError where it does not have the marks.
    """
    marks = (f"<!-- {name} -->", f"<!-- /{name} -->")
    begin, end = map(re.escape, marks)
    found = re.search(f"(?s)({begin}\n).*?({end})", document)
    if found is None:
        raise ConfigurationError(f"Expected the marks {marks[0]} and {marks[1]} in the document, found none.")
    return f"{document[: found.start()]}{found[1]}{made}{found[2]}{document[found.end() :]}"
