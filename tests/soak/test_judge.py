"""The judge finds what is lost, doubled or invented, and asks for nothing that no snapshot had to show."""

from dataclasses import replace

import pytest

from tests.soak.judge import (
    DELETE,
    DELETED,
    INSERT,
    NEVER,
    REINSERT,
    SILENT,
    UPDATE,
    Change,
    Member,
    Moment,
    Verdict,
    Version,
    judge,
    judge_last,
)

LIFE = (INSERT, UPDATE, SILENT, DELETE, REINSERT)
"""Of one row: each change is committed ten transactions after the one before."""


def life(*operations: str, key: int = 7) -> list[Change]:
    return [
        Change(key, version, operation, before=Moment(1, 10 * version), after=Moment(1, 10 * version + 1))
        for version, operation in enumerate(operations, start=1)
    ]


WHOLE = [Version(7, 1, "changed"), Version(7, 2, "changed"), Version(7, 3, DELETED), Version(7, 5, None)]
EVERYWHERE = [Moment(1, revision) for revision in range(100)]


def judged(
    shown: list[Version], *, changes: list[Change] | None = None, polled=EVERYWHERE, scanned=EVERYWHERE
) -> Verdict:
    return judge("fact", life(*LIFE) if changes is None else changes, shown, polled=polled, scanned=scanned)


def wrong(verdict: Verdict) -> dict[str, int]:
    return {kind: len(getattr(verdict, kind)) for kind in ("lost", "doubled", "invented") if getattr(verdict, kind)}


def test_a_history_that_shows_every_version_is_right():
    verdict = judged(WHOLE)

    assert (verdict.expected, verdict.found, verdict.shown, wrong(verdict)) == (4, 4, 4, {})


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_version_that_a_snapshot_showed_is_lost_if_it_is_missing(gone: int):
    assert wrong(judged(WHOLE[:gone] + WHOLE[gone + 1 :])) == {"lost": 1}


def test_a_missing_last_version_is_lost_twice_over():
    assert wrong(judged(WHOLE[:-1])) == {"lost": 2}


def test_a_version_between_two_snapshots_may_be_missing():
    verdict = judged([WHOLE[0], WHOLE[2], WHOLE[3]], polled=[Moment(1, 20), Moment(1, 31), Moment(1, 60)])

    assert wrong(verdict) == {}
    assert verdict.expected == 3


@pytest.mark.parametrize("revision", [21, 30])
def test_a_snapshot_from_the_commit_on_to_the_next_commit_shows_a_version(revision: int):
    assert wrong(judged([WHOLE[0], *WHOLE[2:]], polled=[Moment(1, revision)])) == {"lost": 1}


def test_a_silent_update_need_not_be_seen_by_polls():
    assert wrong(judged([WHOLE[0], Version(7, 2, DELETED), WHOLE[3]], scanned=[])) == {}


def test_a_snapshot_of_an_earlier_start_of_the_server_proves_nothing():
    crashed = [replace(change, before=Moment(2, change.before.revision)) for change in life(INSERT, UPDATE)]
    changes = [replace(change, after=Moment(2, change.after.revision)) for change in crashed]

    assert judged([Version(7, 2, None)], changes=changes).expected == 0


def test_a_commit_of_unknown_outcome_is_expected_from_the_next_start_on():
    [change] = life(INSERT)
    unknown = replace(change, after=Moment(2, 0))

    assert judged([], changes=[unknown]).expected == 0
    assert judged([], changes=[unknown], polled=[Moment(2, 5)]).expected == 1


def test_a_version_shown_twice_is_doubled():
    assert wrong(judged([WHOLE[0], WHOLE[0], *WHOLE[1:]])) == {"doubled": 1}


def test_versions_in_another_order_are_doubled():
    assert wrong(judged([WHOLE[1], WHOLE[0], *WHOLE[2:]])) == {"doubled": 1}


def test_a_version_that_was_never_committed_is_invented():
    rolled_back = [change for change in life(*LIFE) if change.version != 2]

    assert wrong(judged(WHOLE, changes=rolled_back)) == {"invented": 1}
    assert wrong(judged([*WHOLE, Version(8, 1, None)])) == {"invented": 1}


def test_a_deletion_that_was_never_committed_is_invented():
    assert wrong(judged([replace(WHOLE[0], ended_by=DELETED), *WHOLE[1:]])) == {"invented": 1}


def test_a_row_that_was_deleted_must_end():
    changes = life(INSERT, DELETE)

    assert wrong(judged([Version(7, 1, DELETED)], changes=changes)) == {}
    assert wrong(judged([Version(7, 1, None)], changes=changes)) == {"lost": 1}
    assert wrong(judged([], changes=changes, polled=[])) == {}


def test_a_live_row_must_be_shown_even_if_no_snapshot_proves_it():
    assert wrong(judged([], changes=life(INSERT), polled=[])) == {"lost": 1}
    assert wrong(judged([Version(7, 1, DELETED)], changes=life(INSERT), polled=[])) == {"lost": 1, "invented": 1}


@pytest.mark.parametrize(
    ("operations", "member", "expected"),
    [
        ((INSERT, UPDATE), Member(2, deleted=False), {}),
        ((INSERT, UPDATE), Member(1, deleted=False), {"lost": 1}),
        ((INSERT, UPDATE), Member(2, deleted=True), {"lost": 1}),
        ((INSERT, UPDATE), None, {"lost": 1}),
        ((INSERT, DELETE), Member(1, deleted=True), {}),
        ((INSERT, DELETE), None, {}),
        ((INSERT, DELETE), Member(1, deleted=False), {"lost": 1}),
        ((), Member(1, deleted=False), {"invented": 1}),
    ],
)
def test_a_dimension_shows_the_last_state(operations: tuple[str, ...], member: Member | None, expected: dict[str, int]):
    assert wrong(judge_last("dimension", life(*operations), {} if member is None else {7: member})) == expected


def test_never_comes_after_every_moment():
    assert max(EVERYWHERE) < NEVER
