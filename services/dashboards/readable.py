"""Exported dashboards as files that read well in review. Pure: what Superset exported in, texts out.

Invariant: what is left out is what Superset fills in by itself: what is empty, what is its default, what it derives
from the rest, and numbers that its own database has given. Importing a text and exporting it again gives the text.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

METADATA = "metadata.yaml"
_METADATA = {"version": "1.0.0", "type": "assets"}
_WIDTH = 110
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "databases": {"impersonate_user": False, "configuration_method": "sqlalchemy_form"},
    "datasets": {
        "offset": 0,
        "filter_select_enabled": True,
        "normalize_columns": False,
        "always_filter_main_dttm": False,
        "folders": None,
    },
    "charts": {},
    "dashboards": {"theme_id": None},
}
"""Kind of file -> what a new one has; empty values are left out everywhere."""
_COLUMN_DEFAULTS = {"is_active": True, "groupby": True, "filterable": True, "is_dttm": False}
_PARAMS_DERIVED = ("datasource", "slice_id", "dashboards", "url_params", "dashboardId")
_METADATA_DERIVED = (
    "chart_configuration",
    "global_chart_configuration",
    "map_label_colors",
    "shared_label_colors",
    "color_scheme_domain",
    "default_filters",
    "expanded_slices",
    "timed_refresh_immune_slices",
)
_FILTER_DERIVED = ("chartsInScope", "tabsInScope")
_LAST = ("uuid", "version", "dataset_uuid", "database_uuid")
_TAKE_EMPTY = frozenset({"defaultDataMask", "filterState", "extraFormData", "targets", "excluded", "cascadeParentIds"})
"""Keys of a filter that Superset's pages look for even where there is nothing in them."""


def readable(exported: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Name of each file -> its text. `known`: UUID -> name of the file that it has here; a new one is named anew."""
    documents = {name: yaml.safe_load(content) for name, content in exported.items()}
    shown = {chart for name, document in documents.items() if _kind(name) == "dashboards" for chart in _shown(document)}
    texts = {METADATA: _text(_METADATA)}
    for name, document in documents.items():
        kind = _kind(name)
        if kind in _DEFAULTS and (kind != "charts" or document["uuid"] in shown):
            texts[known.get(document["uuid"]) or _named(name)] = _text(_shortened(kind, document))
    return texts


def known_names(files: Mapping[str, str]) -> dict[str, str]:
    """UUID -> name, of files that are here."""
    return {uuid: name for name, text in files.items() if (uuid := yaml.safe_load(text).get("uuid")) is not None}


def _kind(name: str) -> str:
    return name.split("/", maxsplit=1)[0]


def _shown(dashboard: Mapping[str, Any]) -> list[str]:
    """UUIDs of the charts on it; a chart that no dashboard shows is somebody's draft and is not exported."""
    position = dashboard["position"]
    return [position[key]["meta"]["uuid"] for key in _charts(position, "ROOT_ID")]


def _named(name: str) -> str:
    """Superset's own name without the number of its database: charts/Top_designs_17.yaml → charts/top_designs.yaml."""
    return re.sub(r"_\d+\.yaml$", ".yaml", name).lower()


def _shortened(kind: str, document: dict[str, Any]) -> dict[str, Any]:
    defaults = _DEFAULTS[kind]
    kept = {key: value for key, value in document.items() if key not in defaults or value != defaults[key]}
    if kind == "datasets":
        columns = [_without(column, _COLUMN_DEFAULTS) for column in kept.get("columns", [])]
        kept["columns"] = sorted(columns, key=lambda column: str(column["column_name"]))
        kept["metrics"] = sorted(kept.get("metrics", []), key=lambda metric: str(metric["metric_name"]))
    if kind == "charts":
        kept["params"] = {key: value for key, value in kept["params"].items() if key not in _PARAMS_DERIVED}
        kept.pop("query_context", None)
    if kind == "dashboards":
        kept = _renumbered({**kept, "metadata": _settings(kept["metadata"])})
    full = _filled(kept)
    first = {key: value for key, value in full.items() if key not in _LAST}
    return first | {key: full[key] for key in _LAST if key in full}


def _without(document: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in defaults or value != defaults[key]}


def _settings(metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in metadata.items() if key not in _METADATA_DERIVED}
    filters = kept.get("native_filter_configuration", [])
    kept["native_filter_configuration"] = [
        {key: value for key, value in each.items() if key not in _FILTER_DERIVED} for each in filters
    ]
    return kept


def _renumbered(dashboard: dict[str, Any]) -> dict[str, Any]:
    """Charts numbered in the order in which they lie: the numbers of Superset's database differ between two of them."""
    position = dashboard["position"]
    numbers = {position[key]["meta"]["chartId"]: number for number, key in enumerate(_charts(position, "ROOT_ID"), 1)}
    for part in position.values():
        if isinstance(part, dict) and part["type"] == "CHART":
            part["meta"]["chartId"] = numbers[part["meta"]["chartId"]]
    for each in dashboard["metadata"]["native_filter_configuration"]:
        scope = each.get("scope", {})
        scope["excluded"] = sorted(numbers[chart] for chart in scope.get("excluded", []) if chart in numbers)
    return dashboard


def _charts(position: Mapping[str, Any], key: str) -> Iterator[str]:
    if position[key]["type"] == "CHART":
        yield key
    for child in position[key].get("children", []):
        yield from _charts(position, child)


def _filled(value: Any) -> Any:
    """Without what is empty, however deep it lies."""
    if isinstance(value, dict):
        inner = {key: _filled(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if key in _TAKE_EMPTY or not _is_empty(each)}
    if isinstance(value, str) and "\n" in value:
        return "\n".join(line.rstrip() for line in value.split("\n"))  # YAML has no block for lines that end in spaces
    return [_filled(each) for each in value] if isinstance(value, list) else value


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, as it was written."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _string)


def _text(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
