"""One entry whole: enough to act on, nothing that is secret, and something whatever it is."""

import json

import pytest

from contracts.columnar import MASK
from services.ops.dlq.entries import looking
from services.ops.dlq.filters import Filter
from services.ops.dlq.show import CANDIDATES, Shower, find, lines
from shared.errors import ConfigurationError
from tests.ops.dlq.conftest import Waits
from tests.transform.archived import changed, deleted, row, rows

SECRETS = ("67305075", "31622269")


def ids(site):
    with looking(site.places, Filter(), wait=Waits()) as entries:
        return sorted(entry.id for entry in entries)


def shown(site, ident=None):
    entry = find(site.places, ident or ids(site)[0], wait=Waits())
    return Shower(site.places).detail(entry)


def test_a_parked_batch_shows_its_reason_counts_object_first_rows_and_log_query(site):
    batch = site.archive(*changed("sales_order", rows("sales_order", 5)))
    said = {"reason_class": "contract_drift", "receives": "2", "replays": "1", "replay": "r-7"}
    site.park("changes", batch.body(), reason="It drifted.", first_failed_at="2026-01-02T03:04:05Z", **said)

    detail = shown(site)
    text = "\n".join(lines(detail))

    assert (detail.reason, detail.cause, detail.feed, detail.contract) == (
        "It drifted.",
        "contract_drift",
        "sales_order",
        1,
    )
    assert (detail.receives, detail.replays, detail.replay, detail.batch) == (2, 1, "r-7", batch.id)
    assert detail.object == f"s3://archive/{batch.data.object.key}"
    assert (detail.rows_in_object, [line["sales_order_id"] for line in detail.rows]) == (5, ["1", "2", "3"])
    assert f'filter batch = "{batch.id}"' in detail.log_query
    assert json.loads(detail.body) == json.loads(batch.body())
    assert all(word in text for word in ("It drifted.", "2026-01-02 03:04:05.000 UTC", "s3://archive/", "last replay"))


def test_account_numbers_are_masked_in_every_row_shown(site):
    site.park(
        "changes", site.archive(*changed("payment", rows("payment", 2))).body(), reason="r", reason_class="contract"
    )
    site.quarantine("payment", [row("payment", payment_id="x")], page=2)

    for ident in ids(site):
        detail = shown(site, ident)
        said = detail.model_dump_json() + "\n".join(lines(detail))

        assert not any(secret in said for secret in SECRETS)
        assert detail.rows[0]["company_ac_number"] == MASK


def test_a_quarantined_row_shows_what_was_wrong_and_where_it_lies_whole(site):
    batch = site.quarantine("staff", [row("staff"), row("staff", staff_id="9", first_name=None)])

    detail = shown(site)
    text = "\n".join(lines(detail))

    assert (detail.queue, detail.feed, detail.key, detail.field, detail.value) == (
        "quarantine",
        "staff",
        "9",
        "first_name",
        None,
    )
    assert (detail.reason, detail.contract, detail.row) == ("Input should be a valid string", 1, 1)
    assert detail.object == f"s3://archive/{batch.data.object.key}"
    assert detail.quarantine_object.startswith("s3://processed/_quarantine/staff/")
    assert (detail.rows[0]["staff_id"], detail.rows[0]["last_name"]) == ("9", "O'Keefe")
    assert f'filter batch = "{batch.id}"' in text
    assert "first_name                NULL" in text


def test_a_parked_deletion_shows_its_keys(site):
    site.park("changes", site.archive(*deleted("staff", [4, 7])).body(), reason="r", reason_class="contract")

    assert shown(site).rows == ({"staff_id": "4"}, {"staff_id": "7"})


def test_a_batch_whose_object_is_gone_says_so_and_shows_the_rest(site):
    batch, _ = changed("staff", rows("staff", 1))
    site.park("changes", batch.body(), reason="r", reason_class="corrupt_object")

    detail = shown(site)

    assert detail.rows == ()
    assert "found none" in detail.rows_unread
    assert "not shown: Expected the object" in "\n".join(lines(detail))


def test_a_load_batch_shows_its_object_and_the_change_batch_it_came_from(site):
    batch, body = changed("staff", rows("staff", 3))
    site.redrive("loads", site.transform(batch, body).body())

    detail = shown(site)

    assert (detail.batch, detail.rows_in_object) == (batch.id, 3)
    assert detail.object.startswith("s3://processed/dim_staff/")


def test_what_is_no_batch_is_looked_for_in_the_logs_by_its_cause_and_shown_as_it_is(site):
    site.park("changes", "not json\nat all", reason="Expected a change batch.", reason_class="malformed_message")

    detail = shown(site)

    assert 'reason_class = "malformed_message"' in detail.log_query
    assert list(lines(detail))[-2:] == ["  not json", "  at all"]


def test_what_sqs_redrove_is_looked_for_by_its_message_id_and_claims_no_time_that_nobody_wrote_down(site):
    site.redrive("loads", "{}")
    entry = find(site.places, ids(site)[0], wait=Waits())

    detail = shown(site)
    text = "\n".join(lines(detail))

    assert f'filter message_id = "{entry.message_id}"' in detail.log_query
    assert detail.first_failed_at is None
    assert ("first failed" in text, "\nsent  " in text, "which every look raises" in text) == (False, True, True)


def test_a_long_message_is_cut_on_a_terminal_and_whole_in_json(site):
    site.park("changes", "x" * 100_000, reason="r", reason_class="malformed_message")

    detail = shown(site)

    assert "96,000 characters more" in list(lines(detail))[-1]
    assert len(detail.body) == 100_000


def test_an_id_may_be_shortened_as_long_as_it_means_one(site):
    site.quarantine("staff", [row("staff", staff_id=f"x{number}") for number in range(13)])
    several = ids(site)[0].rsplit("-", 1)[0]

    assert find(site.places, f"{several}-1", wait=Waits()).id == f"{several}-1"
    with pytest.raises(ConfigurationError, match=f"may mean {several}-0, {several}-1, .*…"):
        find(site.places, several, wait=Waits())


def test_an_id_that_means_nothing_is_told_and_so_is_what_it_may_have_meant(site):
    for number in range(30):
        site.redrive("changes", f"m{number}")
    first = ids(site)[0]

    assert find(site.places, first, wait=Waits()).id == first
    with pytest.raises(ConfigurationError, match="found 'c-zz'"):
        find(site.places, "c-zz", wait=Waits())
    with pytest.raises(ConfigurationError) as told:
        find(site.places, "c", wait=Waits())
    assert str(told.value).count(" c-") == CANDIDATES
