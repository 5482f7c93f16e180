"""Every parked message and open row is counted once, whatever it is."""

import json
import string
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from services.ops.dlq.check import Checker, checked
from services.ops.dlq.entries import looking
from services.ops.dlq.filters import Filter, filter_of
from services.ops.dlq.listing import grouped, kind_of
from services.ops.dlq.parked import NO_REASON, of
from services.ops.dlq.report import (
    NOT_ALL,
    NOTHING_MATCHES,
    NOTHING_THERE,
    Report,
    ago,
    as_json,
    check_view,
    list_view,
    report_of,
)
from services.ops.dlq.show import Shower, lines
from services.ops.quarantine import ReplayedRows, marker_key
from shared.errors import ConfigurationError
from shared.queues import Received
from tests.ops.dlq.conftest import Waits
from tests.transform.archived import NOW, changed, row, rows

EVERYTHING = Filter()
LATER = NOW + timedelta(days=900)


def everything(site, wanted=EVERYTHING, **options):
    with looking(site.places, wanted, **{"wait": Waits(), **options}) as entries:
        return list(entries)


def groups_of(site, wanted=EVERYTHING):
    return [
        (group.kind.queue, group.kind.feed, group.kind.cause, group.count)
        for group in grouped(everything(site, wanted))
    ]


def printed(view, width=80):
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(view)
    return console.file.getvalue()


def fill(site):
    """Two parked batches of one cause, one of another, one that SQS redrove, and three rows of two kinds."""
    for page in (1, 2):
        batch, _ = changed("sales_order", rows("sales_order", 2), page=page)
        site.park("changes", batch.body(), reason=f"Page {page} broke.", reason_class="contract_drift")
    site.park("changes", "no json", reason="Expected a change batch.", reason_class="malformed_message")
    site.redrive("loads", "{}")
    bad = [row("staff", staff_id="1", first_name=None), row("staff", staff_id="2", first_name=None)]
    site.quarantine("staff", [*bad, row("staff", staff_id="x"), row("staff", staff_id="4")])


def test_what_is_there_is_grouped_by_place_feed_cause_contract_and_of_rows_by_field_and_reason(site):
    fill(site)

    found = grouped(everything(site))

    assert [(g.kind.queue, g.kind.feed, g.kind.cause, g.kind.contract, g.kind.field, g.count) for g in found] == [
        ("changes", None, "malformed_message", None, None, 1),
        ("changes", "sales_order", "contract_drift", 1, None, 2),
        ("loads", None, "receives_exhausted", None, None, 1),
        ("quarantine", "staff", "string_pattern_mismatch", 1, "staff_id", 1),
        ("quarantine", "staff", "string_type", 1, "first_name", 2),
    ]


def test_listing_twice_gives_the_same_and_leaves_every_queue_as_it_was(site):
    fill(site)
    queues = [place.dead_letters for place in site.places.queues.values()]
    before = [queue.depth() for queue in queues]

    first, second = grouped(everything(site)), grouped(everything(site))

    assert first == second
    assert [queue.depth() for queue in queues] == before


def test_a_group_tells_its_oldest_newest_and_most_replayed(site):
    body = changed("sales_order", rows("sales_order", 1))[0].body()
    for replays in ("", "3", "many"):
        site.park("changes", body, reason="r", reason_class="contract", replays=replays)

    (group,) = grouped(everything(site))

    assert (group.count, group.replays) == (3, 3)
    assert group.oldest <= group.newest


def test_what_fits_no_filter_is_left_out(site):
    fill(site)
    now = datetime.now(UTC)

    assert groups_of(site, filter_of(now=now, queues=["loads"])) == [("loads", None, "receives_exhausted", 1)]
    assert groups_of(site, filter_of(now=now, feeds=["sales_order"])) == [
        ("changes", "sales_order", "contract_drift", 2)
    ]
    assert sum(count for *_, count in groups_of(site, filter_of(now=now, causes=["contract", "string_type"]))) == 2
    assert sum(count for *_, count in groups_of(site, filter_of(now=now, span=("1h", None)))) == 4
    assert [place for place, *_ in groups_of(site, filter_of(now=now, span=(None, "2024-06-01")))] == ["quarantine"] * 2
    assert len(everything(site, Filter(), limit=2)) == 2


def test_since_and_until_take_in_what_was_parked_at_that_very_moment_and_nothing_beyond():
    entry = of("changes", Received("m1", "h", 1, NOW, "body", {}))
    moment = timedelta(microseconds=1)

    assert Filter(since=NOW, until=NOW).matches(entry)
    assert not Filter(since=NOW + moment).matches(entry)
    assert not Filter(until=NOW - moment).matches(entry)


def test_rows_that_break_their_contract_in_two_ways_at_one_field_are_two_groups(site):
    site.quarantine("payment", [row("payment", payment_date="nonsense"), row("payment", payment_date="2022-02-30")])

    groups = grouped(everything(site))

    assert [(group.kind.field, group.count) for group in groups] == [("payment_date", 1)] * 2
    assert len({group.kind.reason for group in groups}) == 2


def test_a_look_that_could_not_see_everything_says_so(site, monkeypatch):
    monkeypatch.setattr("services.ops.dlq.browse.MOST_HIDDEN", 10)
    for number in range(25):
        site.redrive("loads", f"m{number}")

    with looking(site.places, EVERYTHING, wait=Waits()) as entries:
        report = Report(grouped(entries), complete=entries.complete)

    assert report.parked == 10
    assert as_json(report)["complete"] is False
    assert NOT_ALL in " ".join(printed(list_view(report, LATER, filtered=False)).split())


def test_an_id_may_be_shortened_but_the_number_of_a_row_is_never():
    site_ids = ["c-0123456789", "c-0199999999", "q-01234567-1", "q-01234567-12", "l-0123456789"]

    class Lying:
        feed, cause, at = None, "contract", NOW

        def __init__(self, name):
            self.id = name
            self.queue = {"c": "changes", "l": "loads", "q": "quarantine"}[name[0]]

    def named(*ids):
        return [name for name in site_ids if Filter(ids=ids).matches(Lying(name))]

    assert named("c-01") == ["c-0123456789", "c-0199999999"]
    assert named("q-01234567") == ["q-01234567-1", "q-01234567-12"]
    assert named("q-01234567-1") == ["q-01234567-1"]
    assert named("q-01234567-12", "l-0123456789") == ["q-01234567-12", "l-0123456789"]
    assert [place for place in ("changes", "loads", "quarantine") if Filter(ids=("q-0",)).looks_at(place)] == [
        "quarantine"
    ]


def test_an_unknown_place_is_refused_by_its_name():
    with pytest.raises(ConfigurationError, match="changes, loads, quarantine, found change"):
        filter_of(now=NOW, queues=["change"])


def test_a_filter_says_itself_for_the_audit():
    assert str(Filter()) == "everything"
    assert (
        str(filter_of(now=NOW, queues=["loads"], ids=["l-1"], span=("2h", None)))
        == "--queue loads --id l-1 --since 2024-05-01T10:30:15.123456+00:00"
    )


def test_a_replayed_row_is_open_no_more_and_one_that_fails_again_says_how_often(site):
    batch = site.quarantine("staff", [row("staff", staff_id="x"), row("staff", staff_id="y"), row("staff")])
    (key,) = (found.key for found in site.places.quarantine.listed())
    again = site.quarantine("staff", [row("staff", staff_id="x")], page=2)
    marker = ReplayedRows(quarantine=key, rows=(0,), batch=again.id, archive=again.data.object.key, replays=2)
    site.aws.s3.put_object(Bucket=site.aws.processed, Key=marker_key(marker), Body=marker.model_dump_json().encode())

    found = {(entry.row.object, entry.row.row): entry.replays for entry in everything(site)}

    assert found == {(batch.data.object.key, 1): 0, (again.data.object.key, 0): 2}
    assert site.places.quarantine.counts() == {"staff": 2}


def test_counts_of_open_rows_read_each_object_once(site):
    site.quarantine("staff", [row("staff", staff_id="x")])
    quarantine = site.places.quarantine
    first = quarantine.counts()
    for key in list(quarantine.listed()):
        site.aws.s3.put_object(Bucket=site.aws.processed, Key=key.key, Body=b"")

    assert first == quarantine.counts() == {"staff": 1}


def test_an_empty_list_is_one_sentence(site):
    report = Report(grouped(everything(site)))

    assert printed(list_view(report, LATER, filtered=False)) == f"{NOTHING_THERE}\n"
    assert printed(list_view(report, LATER, filtered=True)) == f"{NOTHING_MATCHES}\n"
    assert as_json(report) == {"parked": 0, "quarantined": 0, "complete": True, "groups": []}


def test_the_list_says_every_number_at_80_columns_and_in_json(site):
    fill(site)
    report = Report(grouped(everything(site)))

    text = printed(list_view(report, LATER, filtered=False))
    said = json.loads(json.dumps(as_json(report)))

    assert max(map(len, text.splitlines())) <= 80
    assert "Parked messages of changes: 3" in text
    assert "Quarantined rows: 3" in text
    assert "first_name: Input should be a valid string" in text
    assert NO_REASON.split(":")[0] in text
    assert (said["parked"], said["quarantined"]) == (4, 3)
    assert sum(group["count"] for group in said["groups"]) == 7


def test_what_a_message_says_moves_no_cursor(site):
    site.park("changes", "\x1b[2J", reason="\x1b[31mred\u202e", reason_class="contract")
    (entry,) = everything(site)

    text = printed(list_view(Report(grouped([entry])), LATER, filtered=False))
    shown = "\n".join(lines(Shower(site.places).detail(entry)))

    assert "\x1b" not in text + shown
    assert "\\x1b[31mred\\u202e" in text


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (59.9, "60 s"), (60, "1 min"), (3600 * 2.5, "2 h"), (86_400 * 4, "4 d")]
)
def test_ages_fit_a_narrow_column(seconds, words):
    assert ago(seconds) == words


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_SQS_TEXT = st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x00")


@st.composite
def almost_batches(draw):
    """A change batch or load batch of which one thing is something else."""
    batch, _ = changed("payment", rows("payment", 1))
    message = json.loads(batch.body())
    place = draw(st.sampled_from(["", "data", "position", "object"]))
    target = {"": message, "data": message["data"]}.get(place) or message["data"][place]
    target[draw(st.sampled_from(sorted(target)))] = draw(anything)
    return json.dumps(message)


bodies = (
    st.text(_SQS_TEXT, min_size=1, max_size=200)
    | anything.map(json.dumps)
    | almost_batches()
    | st.sampled_from(["[" * 100_000, "9" * 10_000, '{"data": ' * 5_000, "x" * 200_000, '"' + "é" * 50_000])
)
attributes = st.dictionaries(
    st.sampled_from(["reason", "reason_class", "receives", "replays", "first_failed_at", "replay"]),
    st.text(_SQS_TEXT, max_size=30)
    | st.sampled_from(["contract", "9" * 500, "2026-01-01", "9999-12-31T23:59:59-23:00"]),
)


@pytest.mark.no_cover
@given(st.lists(st.tuples(st.sampled_from(["changes", "loads"]), bodies, attributes), max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_of_messages_is_listed_shown_and_checked_and_each_is_in_exactly_one_group(site, messages):
    found = [
        of(queue, Received(f"m{number}", "handle", 1, NOW, body, attributes))
        for number, (queue, body, attributes) in enumerate(messages)
    ]

    groups = grouped(found)
    report = report_of(checked(Checker(site.places), found))
    texts = [*map(str.__len__, map("\n".join, map(lines, map(Shower(site.places).detail, found))))]
    view = printed(list_view(Report(groups), LATER, filtered=False)) + printed(check_view(report, filtered=False))

    assert sum(group.count for group in groups) == len(found) == report.parked
    assert [group.count for group in groups] == [each.passes + each.fails for each in report.verdicts]
    assert {group.kind for group in groups} == set(map(kind_of, found))
    assert len(texts) == len(found)
    assert max(map(len, view.splitlines())) <= 80
    json.dumps(as_json(report))


def test_an_id_is_stable_and_tells_its_queue():
    def at(queue):
        return of(queue, Received("m1", "any handle", 7, NOW, "body", {})).id

    assert at("changes") == of("changes", Received("m1", "another", 8, LATER, "body", {})).id
    assert at("changes")[:2] + at("loads")[:2] == "c-l-"
    assert set(at("changes")[2:]) <= set(string.hexdigits)


def test_a_message_says_when_it_failed_first_and_how_often_it_was_received_and_replayed():
    said = {
        "reason": "Expected this.",
        "reason_class": "corrupt_object",
        "receives": "4",
        "replays": "2",
        "first_failed_at": "2026-01-02T03:04:05+01:00",
    }

    told = of("changes", Received("m1", "h", 9, NOW, "body", said))
    silent = of("changes", Received("m1", "h", 9, NOW, "body", {}))

    assert (told.cause, told.receives, told.replays) == ("corrupt_object", 4, 2)
    assert told.first_failed_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert (silent.cause, silent.reason, silent.receives, silent.replays) == ("receives_exhausted", NO_REASON, 9, 0)
    assert silent.first_failed_at == silent.parked_at == NOW
