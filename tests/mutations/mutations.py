"""The deliberate bugs. Each says what it would cost, where it is made, and which tests must find it.

Mostly property tests, attacks and enumerated crashes: they know nothing of the line that is wrong. The old text must
occur exactly once in its file, so that a bug whose place has moved is told instead of being tried in vain.
"""

from dataclasses import dataclass

POLLER, READING, CENSUS = "services/poller/poller.py", "services/poller/reading.py", "services/poller/census.py"
SQL, SESSION = "shared/totesys/sql.py", "shared/totesys/session.py"
HISTORY, DIMENSIONS = "services/loader/history.py", "services/loader/dimensions.py"
WAREHOUSE, LOAD = "services/loader/warehouse.py", "services/loader/load.py"
PROOF, REFERENCES = "services/loader/proof.py", "services/loader/references.py"
STRAIGHT = "services/loader/straight.py"
ROW_HASH = "services/transform/row_hash.py"
SEND_AGAIN = "services/ops/dlq/send_again.py"
PLAN, RECONCILE, RANGES = (f"services/reconciler/{name}.py" for name in ("plan", "reconcile", "ranges"))


@dataclass(frozen=True)
class Edit:
    """One place in one file: what stands there, exactly once, and what is to stand there."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """One bug: its name, what would be lost, doubled or wrong, where it is made, and what must find it."""

    name: str
    loss: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


# -- tests that find more than one of them

ANY_ORDER = (
    "tests/loader/test_history.py::test_any_order_repetition_and_grouping_of_observations_ends_in_the_same_history"
)
IN_ORDER = (
    "tests/loader/test_history.py::test_what_comes_mostly_in_order_ends_in_its_history_whichever_way_it_is_merged"
)
REPLAY_DIES = (
    "tests/ops/dlq/test_replay_crash.py::test_whichever_call_of_a_replay_fails_nothing_is_lost_and_running_it_again_"
    "ends_as_if_it_never_had"
)
NOT_SENT = "tests/ops/dlq/test_replay.py::test_what_could_not_be_sent_is_still_parked_and_still_open"
ANY_MEMBER = "tests/loader/test_history.py::test_any_order_repetition_and_grouping_ends_in_the_same_member"
ANY_INTERLEAVING = "tests/poller/test_interleavings.py::test_whatever_was_committed_when_a_poll_looked_is_sent"
ANY_SCAN = "tests/poller/test_census.py::test_after_each_scan_what_was_sent_is_what_the_source_holds"
ANY_RANGE = "tests/reconciler/test_ranges.py::test_every_key_that_differs_is_read_and_each_range_once"
MACHINE = "tests/attack/test_machine.py"
CRASHES = "tests/attack/test_crash.py::test_whichever_call_fails_nothing_is_lost_and_a_second_run_changes_nothing"
BULK_CRASH = "tests/poller/test_crash.py::test_a_bulk_change_survives_a_failure_at_any_call"
RUN_DIES = (
    "tests/reconciler/test_reconcile.py::test_a_run_that_dies_at_any_call_to_store_or_queue_is_mended_by_the_next"
)
BETWEEN_ANY_TWO = (
    "tests/poller/test_between.py::test_a_transaction_that_begins_or_ends_between_any_two_statements_of_a_poll_is_found"
)
RIVAL_KEYS = (
    "tests/loader/test_rivals.py::test_a_key_that_another_session_inserts_meanwhile_is_waited_for_and_refused_by_nobody"
)
RIVAL_LOADERS = (
    "tests/loader/test_rivals.py::test_two_loaders_of_one_fact_at_once_know_of_each_other_and_double_no_version"
)

PUBLISH = """\
        batch = self._publisher.publish(turn.feed, page, state.page, self._circumstances(turn))
        self._log.info("published", batch=batch.id, origin=turn.origin, rows=page.rows)
        counted = {"page": state.page + 1, "rows_captured": state.rows_captured + page.rows}
        self._set(turn.feed, after(state).model_copy(update=counted | self._position(turn)))
        self._move()
"""
PUBLISH_LATE = """\
        counted = {"page": state.page + 1, "rows_captured": state.rows_captured + page.rows}
        self._set(turn.feed, after(state).model_copy(update=counted | self._position(turn)))
        self._move()
        batch = self._publisher.publish(turn.feed, page, state.page, self._circumstances(turn))
        self._log.info("published", batch=batch.id, origin=turn.origin, rows=page.rows)
"""
HEADS_END = """\
 WHERE t.head AND {_has_no_row(fact)}
 ORDER BY {place}\"\"\""""
NO_ROW_OF_A_TIME = (
    "   AND NOT EXISTS (SELECT FROM {{identifier(fact.table)}} k WHERE k.{{identifier(fact.key)}} = t.key\n"
    "        AND (k.last_updated_date, k.last_updated_time) {than} (b.last_updated_date, b.last_updated_time))"
)
"""No fact row of the key bears that time, or a later one."""
OBSERVATIONS_END = """WHERE NOT EXISTS (SELECT FROM {seen} s WHERE {_seen_place("s")} = {_place(fact, "b")})
     ORDER BY"""

POLLS = (
    Mutation(
        "checkpoint before publish",
        "A poller that dies between the two has counted a page that nobody was told of: its rows are lost.",
        (Edit(POLLER, PUBLISH, PUBLISH_LATE),),
        (BULK_CRASH,),
    ),
    Mutation(
        "> for >= in the xmin rule",
        "The rows of the oldest transaction that ended since the last snapshot are never read.",
        (
            Edit(
                SQL,
                "{widened} >= {_once(at('oldest_new_id', place))}",
                "{widened} > {_once(at('oldest_new_id', place))}",
            ),
        ),
        (ANY_INTERLEAVING,),
    ),
    Mutation(
        "> for >= in the look-back",
        "A row whose time is exactly that from which is read, as a rounded one may be, is left out.",
        (
            Edit(
                SQL,
                "{moved} >= {moment}",
                "{moved} > {moment}",
            ),
        ),
        ("tests/poller/test_between.py::test_a_row_dated_exactly_where_the_reading_begins_is_read",),
    ),
    Mutation(
        "an upper bound on last_updated",
        "What an application's clock dates ahead is passed over, and never looked for again.",
        (
            Edit(
                SQL,
                "terms = []",
                'terms = [f"{_TABLE}.last_updated <= now()"] if asked.look_back is not None else []',
            ),
        ),
        (
            "tests/trouble/test_clocks.py::test_an_application_s_clock_may_be_behind_by_the_margin_and_ahead_by_anything",
        ),
    ),
    Mutation(
        "a look-back to the last poll alone",
        "A transaction that began before the last poll and committed after it is lost: the usual late commit.",
        (Edit(READING, "earliest = min([base.clock, *ended])", "earliest = base.clock"),),
        (BETWEEN_ANY_TWO,),
    ),
    Mutation(
        "open transactions listed before the clock",
        "One that begins between the two is taken to have begun after that clock: nobody reads so far back.",
        (
            Edit(
                SESSION,
                "(clock,), (listed,) = self._run(sql.LOOK)",
                "[[listed]] = self._run(sql.OPEN_TRANSACTIONS)\n            [[clock]] = self._run(sql.CLOCK)",
            ),
        ),
        (BETWEEN_ANY_TWO,),
    ),
    Mutation(
        "open transactions listed again before the snapshot",
        "One that commits between the two is taken for still open while its rows are visible already: they are lost.",
        (
            Edit(
                SESSION,
                "            self._run(begin)\n",
                "            still = self._run(sql.OPEN_TRANSACTIONS)[0][0]\n            self._run(begin)\n",
            ),
            Edit(
                SESSION,
                "vitals = self._run(sql.VITALS)[0]\n            still = self._run(sql.OPEN_TRANSACTIONS)[0][0]\n",
                "vitals = self._run(sql.VITALS)[0]\n",
            ),
        ),
        (BETWEEN_ANY_TWO,),
    ),
    Mutation(
        "a glance without a count",
        "Of a feed whose rows only go, none is new: what was deleted stays for ever.",
        (Edit(POLLER, "        return agrees and not glimpse.met\n", "        return not glimpse.met\n"),),
        ("tests/poller/test_census.py::test_a_deletion_is_found_by_the_next_scan_and_by_nothing_sooner",),
    ),
    Mutation(
        "a glance from the last poll where a scan is due",
        "What changed silently before the last poll is older than that: the scan that is due is taken to find nothing.",
        (
            Edit(
                READING,
                "min(polled.oldest_new_id, scanned.oldest_new_id)",
                "polled.oldest_new_id",
            ),
        ),
        ("tests/poller/test_poll.py::test_a_silent_update_is_found_by_the_scan_and_by_nothing_sooner",),
    ),
    Mutation(
        "a scan that leaves out what only some polls have read",
        "A row that changes silently behind a poll of several turns is taken for read.",
        (
            Edit(
                POLLER,
                "polled = self._state(turn.feed).polled == turn.horizon",
                "polled = True",
            ),
        ),
        (
            "tests/poller/test_poll.py::"
            "test_a_row_that_changes_silently_behind_a_poll_of_several_turns_is_found_by_the_scan_in_its_last",
        ),
    ),
    Mutation(
        "invisible in the previous snapshot for the xmin rule",
        "No snapshot lists subtransactions, so rows written behind a savepoint look as if they had been seen before.",
        (
            Edit(
                READING,
                "    return min([base.xmax, *(set(base.xip) - set(snapshot.xip))])",
                "    return f\"{min([base.xmax, *base.xip])}:{base.xmax}:{','.join(map(str, base.xip))}\"",
            ),
            Edit(
                SQL,
                "{widened} >= {_once(at('oldest_new_id', place))}",
                "NOT pg_visible_in_snapshot({widened}::text::xid8, "
                "current_setting('totes.{at('oldest_new_id', place)}')::pg_snapshot)",
            ),
        ),
        ("tests/poller/test_poll.py::test_rows_of_savepoints_are_found_however_many_there_are",),
    ),
    Mutation(
        "no lock before the snapshot",
        "A snapshot older than a TRUNCATE that is under way shows an empty table, and every row is told deleted.",
        (
            Edit(
                SQL,
                'f"LOCK TABLE {tables} IN ACCESS',
                'f"SELECT pg_current_snapshot(); LOCK TABLE {tables} IN ACCESS',
            ),
        ),
        ("tests/poller/test_poll.py::test_a_snapshot_waits_for_a_reload_and_then_sees_its_rows",),
    ),
    Mutation(
        "the next read from the end of the last",
        "What changes behind a read of many pages, while it is under way, is read by neither it nor the next.",
        (
            Edit(
                POLLER,
                "reading.ended(state, turn.origin, turn.read)",
                'reading.ended(state, turn.origin, turn.read.model_copy(update={"first": turn.horizon}))',
            ),
        ),
        (ANY_INTERLEAVING, "tests/poller/test_poll.py::test_what_changes_behind_a_backfill_is_read_after_it"),
    ),
    Mutation(
        "dedupe by any earlier hash",
        "A row that changes and changes back is not sent the second time: the warehouse keeps what was in between.",
        (
            Edit(
                READING,
                "        self._latest: dict[int, int | None] = {}\n",
                "        self._latest: dict[int, int | None] = {}\n"
                "        self._ever: set[tuple[int, int | None]] = set()\n",
            ),
            Edit(READING, "= dict(self._latest.items() & rows)", "= dict(self._ever & set(rows))"),
            Edit(
                READING,
                "        self._greatest = max(self._greatest, greatest)\n",
                "        self._greatest = max(self._greatest, greatest)\n        self._ever |= set(sent.items())\n",
            ),
        ),
        (ANY_SCAN, "tests/poller/test_poll.py::test_a_row_that_changes_and_changes_back_is_sent_each_time"),
    ),
    Mutation(
        "skipped Failed entries",
        "SendMessageBatch answers 200 for messages it did not take: their rows are stored and never loaded.",
        (
            Edit(
                "shared/queues.py",
                """failed = self._call("send_message_batch", Entries=entries).get("Failed", [])""",
                """failed = self._call("send_message_batch", Entries=entries) and []""",
            ),
        ),
        (
            MACHINE,
            "tests/poller/test_crash.py::test_a_message_that_sqs_refused_inside_a_200_holds_the_checkpoint_back",
        ),
    ),
    Mutation(
        "a generation that a crash does not end",
        "Transaction ids come twice after a crash: the newer data has the smaller revision and loses to the older.",
        (Edit(READING, '"generation": last.generation + ended,', '"generation": last.generation,'),),
        ("tests/trouble/test_sources.py::test_ids_used_twice_after_a_sigkill_lose_nothing",),
    ),
    Mutation(
        "deletions told and their hashes remembered",
        "A row that is deleted and inserted again unchanged is taken for sent: it stays deleted in the warehouse.",
        (
            Edit(POLLER, "        self._memories[turn.feed.name].keep_only(there)\n", ""),
            Edit(
                READING,
                "        self._use(sent)\n        for key",
                "        self._use({key: found for key, found in sent.items() if found is not None})\n        for key",
            ),
        ),
        ("tests/poller/test_census.py::test_a_row_that_comes_back_is_sent_whether_or_not_it_is_the_same",),
    ),
    Mutation(
        "a census that tells no deletion",
        "A deleted row stays until the reconciler comes.",
        (
            Edit(
                POLLER,
                "self._publish_gone(replace(turn, read=since), census.gone(there), live=len(census))",
                "census.gone(there)",
            ),
        ),
        (ANY_SCAN,),
    ),
)

OWNERS = (
    Mutation(
        "a checkpoint moved without comparing",
        "Two pollers at once: the one that lost its place goes on, and its older checkpoint covers what it never read.",
        (
            Edit(
                "shared/objects.py",
                """Key=key, Body=body, **condition)["ETag"])""",
                """Key=key, Body=body)["ETag"])""",
            ),
        ),
        ("tests/poller/test_crash.py::test_two_pollers_at_once_lose_nothing_and_the_slower_one_stops",),
    ),
    Mutation(
        "a memory that outlives its ownership",
        "Another poller sent B over our A; when it is A again, our memory says that A was sent: B stays.",
        (Edit(POLLER, "            memory.clear()\n", ""),),
        ("tests/poller/test_crash.py::test_what_another_owner_sent_in_between_empties_the_memory",),
    ),
    Mutation(
        "ids of another generation trusted",
        "After a crash the ids come twice: new rows bear ids below the last snapshot's and are not read.",
        (
            Edit(
                POLLER,
                "(base.generation == self._checkpoint.generation and base not in self._untrusted)",
                "base is not None",
            ),
        ),
        ("tests/trouble/test_sources.py::test_ids_used_twice_after_a_sigkill_lose_nothing",),
    ),
    Mutation(
        "xmin of a joined feed's own table alone",
        "A department that moves shows in no member of its staff.",
        (
            Edit(
                SQL,
                """widened = _greatest([_widened(xmin) for xmin in _each(feed, "xmin")])""",
                """widened = _widened(f"{_TABLE}.xmin")""",
            ),
        ),
        ("tests/poller/test_poll.py::test_a_change_of_the_joined_table_sends_its_rows_again",),
    ),
)

LOADS = (
    Mutation(
        "a guard on last_updated",
        "The source updates rows without moving it, and an older transaction may commit last: neither is a version.",
        (
            Edit(
                HISTORY,
                HEADS_END,
                HEADS_END.replace("\n ORDER", f"\n{NO_ROW_OF_A_TIME.format(than='>=')}\n ORDER"),
            ),
        ),
        (ANY_ORDER,),
    ),
    Mutation(
        "history keyed on last_updated",
        "Two versions of one row may share it: the second is not kept.",
        (
            Edit(
                HISTORY,
                HEADS_END,
                HEADS_END.replace("\n ORDER", f"\n{NO_ROW_OF_A_TIME.format(than='=')}\n ORDER"),
            ),
        ),
        (ANY_ORDER,),
    ),
    Mutation(
        "a member guarded by a clock",
        "The source's clock may be set back: the newer state of a member is then taken for the older one.",
        (
            Edit(
                DIMENSIONS,
                """AND ({row(POSITION, "d")} < {row(POSITION, "n")}\n""",
                """AND (d._seen_at IS NULL OR d._seen_at < n._seen_at\n""",
            ),
        ),
        (ANY_MEMBER,),
    ),
    Mutation(
        "missing DISTINCT",
        "One row read twice at one position, by two readers, and both batches can never be loaded together.",
        (Edit(HISTORY, "SELECT DISTINCT ON ({key}, {listed(POSITION)}) {_obs", "SELECT {_obs"),),
        (ANY_ORDER,),
    ),
    Mutation(
        "no conflict clause",
        "Two loaders that infer the same member at once: one batch fails, and again, and is parked in the end.",
        (
            Edit(
                DIMENSIONS,
                " WHERE NOT EXISTS (SELECT FROM {name} d WHERE d.{key} = wanted.key)\n ORDER BY wanted.key\n"
                "    ON CONFLICT DO NOTHING",
                " WHERE NOT EXISTS (SELECT FROM {name} d WHERE d.{key} = wanted.key)\n ORDER BY wanted.key",
            ),
        ),
        (RIVAL_KEYS,),
    ),
    Mutation(
        "equal observation forgotten",
        "A late observation between two equal ones splits their run, and its second part gets no version.",
        (
            Edit(
                HISTORY,
                OBSERVATIONS_END,
                OBSERVATIONS_END.replace(
                    "\n     ORDER",
                    "\n       AND b._star_hash IS DISTINCT FROM (SELECT p.star_hash FROM {seen} p"
                    """ WHERE p.key = b.{key} AND {row(SEEN_POSITION, "p")} < {row(POSITION, "b")}"""
                    "\n            ORDER BY p.generation DESC, p.revision DESC, p.contract DESC LIMIT 1)"
                    "\n     ORDER",
                ),
            ),
        ),
        (ANY_ORDER,),
    ),
    Mutation(
        "a deletion lost by the loader",
        "A deleted fact stays current for ever.",
        (Edit(HISTORY, OBSERVATIONS_END, OBSERVATIONS_END.replace("WHERE", "WHERE NOT b._deleted AND")),),
        (ANY_ORDER,),
    ),
    Mutation(
        "a deletion lost by the transform",
        "A deletion of a fact or of a member goes no further than the archive.",
        (
            Edit(
                "services/transform/transform.py",
                "done = None if feed.star is None or parquet is None else",
                "done = None if feed.star is None or parquet is None or batch.data.operation is Operation.DELETED else",
            ),
        ),
        (MACHINE,),
    ),
    Mutation(
        "a fact's ungenerationed revision",
        "After a crash of the source the newer observation has the smaller revision: history is in the wrong order.",
        (
            Edit(
                HISTORY,
                "         ORDER BY p.generation DESC, p.revision DESC, p.contract DESC LIMIT 1)",
                "         ORDER BY p.revision DESC, p.contract DESC LIMIT 1)",
            ),
        ),
        (ANY_ORDER,),
    ),
    Mutation(
        "a member's ungenerationed revision",
        "After a crash of the source the newer state of a member has the smaller revision: the older one stays.",
        (
            Edit(
                DIMENSIONS,
                """AND ({row(POSITION, "d")} < {row(POSITION, "n")}\n""",
                """AND ({row(POSITION[1:], "d")} < {row(POSITION[1:], "n")}\n""",
            ),
        ),
        (ANY_MEMBER,),
    ),
    Mutation(
        "a run that is not split",
        "A late observation between two equal ones leaves the later of them without a version.",
        (
            Edit(
                HISTORY,
                "return _insert(connection, sql.insert_heads, held=held) + _count(connection, sql.copy_heads)",
                "return _insert(connection, sql.insert_heads, held=held)",
            ),
        ),
        (
            "tests/loader/test_history.py::test_a_late_observation_splits_a_run_and_its_second_part_is_a_copy",
            ANY_ORDER,
        ),
    ),
    Mutation(
        "a row that does not move to its earlier head",
        "An older equal observation that comes late gets a version of its own: one state is shown twice.",
        (Edit(HISTORY, "    connection.run(sql.move_rows)\n", ""),),
        (ANY_ORDER,),
    ),
    Mutation(
        "a late observation taken for a later one",
        "It starts a run of its own, and the version after it stays although it says the same.",
        (
            Edit(
                HISTORY,
                """COALESCE({row(SEEN_POSITION, "last")} < {row(POSITION, "b")}, true) AS later""",
                "true AS later",
            ),
        ),
        (ANY_ORDER,),
    ),
    Mutation(
        "a key taken for one that nobody has seen",
        "An update that changes nothing gets a version, in a large merge alone.",
        (Edit(HISTORY, "if many and not any_seen(connection, fact, staged):", "if many:"),),
        (ANY_ORDER,),
    ),
    Mutation(
        "an equal row copied into its fact",
        "An update that changes nothing gets a version, where rows are so many that they need no stage.",
        (Edit(STRAIGHT, " OR last.star_hash = b.{binary.STAR_HASH})", ")"),),
        (IN_ORDER,),
    ),
    Mutation(
        "an older row copied into its fact",
        "An observation that comes late is taken for the newest, where rows are so many that they need no stage.",
        (Edit(STRAIGHT, """{row(SEEN_POSITION, "last")} >= {row(POSITION, "b")} OR""", ""),),
        (IN_ORDER,),
    ),
    Mutation(
        "what another loader saw before the lock",
        "Two loaders of the same rows at once: both copy them, and a key has two versions of one state.",
        (Edit(STRAIGHT, "    return not any_seen(connection, fact, told)", "    return True"),),
        ("tests/loader/test_rivals.py::test_two_loaders_of_one_fact_at_once_know_of_each_other_and_double_no_version",),
    ),
    Mutation(
        "hashes left out although keys are known",
        "A table that was swapped is sent whole, since nobody can tell by their hashes which of its rows are known.",
        (Edit(POLLER, "        return not (many and unknown and", "        return not (many and"),),
        ("tests/poller/test_bulk.py::test_a_small_table_or_one_of_which_rows_are_remembered_comes_with_hashes",),
    ),
    Mutation(
        "hashes of a source that hashes otherwise",
        "The reconciler finds every row of a backfill changed and sends it again.",
        (Edit(POLLER, "unknown and self._source.hashes_alike(feed))", "unknown)"),),
        ("tests/poller/test_bulk.py::test_a_source_that_hashes_otherwise_is_asked_for_every_hash",),
    ),
    Mutation(
        "a scan put off for ever",
        "As long as bulk reads follow each other, a change that the source hides is never found.",
        (Edit(READING, "return known if known is not None and known.read != read.first else Wait(", "return Wait("),),
        ("tests/poller/test_bulk.py::test_a_second_bulk_read_puts_off_no_scan_that_waits_already",),
    ),
    Mutation(
        "a hash of the texts with their padding",
        "The bytes behind a short text count: equal rows have different hashes, page by page.",
        (Edit(ROW_HASH, "words if kept is None else words & kept", "words if kept is None else words"),),
        ("tests/transform/test_row_hash.py::test_any_texts_hash_as_in_postgres",),
    ),
    Mutation(
        "two positions copied beside each other",
        "Neither loader sees what the other has not committed: a key has two versions of one state.",
        (
            Edit(
                WAREHOUSE,
                "    if rows_of(connection, _FIND_OTHER.format(mine=mine)) == [[True]]:",
                "    if rows_of(connection, _FIND_OTHER.format(mine=mine)) == []:",
            ),
        ),
        ("tests/loader/test_beside.py::test_whatever_is_of_another_snapshot_waits_for_the_lock",),
    ),
    Mutation(
        "a row brought twice at one moment",
        "A page that two pollers sent of one snapshot is parked as a mistake of ours instead of being found there.",
        (Edit(WAREHOUSE, '("40001", "40P01", "23505")', '("40001", "40P01")'),),
        ("tests/loader/test_beside.py::test_one_row_that_two_pages_bring_of_one_position_is_there_once",),
    ),
    Mutation(
        "a member that nobody holds",
        "Somebody deletes it while a large merge runs without triggers: a foreign key points to nothing.",
        (Edit(REFERENCES, " FOR KEY SHARE) held)", ") held)"),),
        (
            "tests/loader/test_references.py::test_a_member_that_is_referred_to_cannot_be_deleted_before_or_after_the_"
            "commit",
        ),
    ),
    Mutation(
        "triggers left out whatever they do",
        "What the warehouse's owner has added to a fact does not fire for a large merge.",
        (
            Edit(
                REFERENCES,
                "if not _may_skip(connection) or not _nothing_else_fires(connection, fact):",
                "if not _may_skip(connection):",
            ),
        ),
        ("tests/loader/test_references.py::test_what_an_owner_has_added_fires_as_ever",),
    ),
    Mutation(
        "no lock of the star table",
        "Two loaders each miss what the other has not committed: a version is doubled.",
        (
            Edit(
                WAREHOUSE,
                """return f"SELECT {way}(hashtextextended({_name('totes load', table)}, 0))\"""",
                """return f"SELECT {_name('totes load', table)}\"""",
            ),
        ),
        (RIVAL_LOADERS,),
    ),
    Mutation(
        "a snapshot before the star table's lock",
        "REPEATABLE READ does not see what the other loader committed: a version is doubled, or all is done again.",
        (Edit(WAREHOUSE, "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN ISOLATION LEVEL REPEATABLE READ"),),
        (RIVAL_LOADERS,),
    ),
    Mutation(
        "a message done before the commit",
        "A commit that fails has nobody to try it again: its message is gone, and its rows with it.",
        (
            Edit(
                WAREHOUSE,
                """            connection.run("COMMIT")\n            return done\n""",
                """            try:\n                connection.run("COMMIT")\n"""
                "            except (DatabaseError, *_LOST):\n                self.close()\n            return done\n",
            ),
        ),
        ("tests/loader/test_commit.py",),
    ),
    Mutation(
        "a batch that is not written down",
        "A second delivery is merged again, and the reconciler takes what was loaded for what is on its way.",
        (Edit(LOAD, "[item.batch for item in new])", "[item.batch for item in new[1:]])"),),
        ("tests/loader/test_load.py::test_a_batch_that_is_delivered_twice_is_loaded_once",),
    ),
    Mutation(
        "a repair taken for the page whose number it bears",
        "A feed is said to be complete although a page of it is parked, or still on its way.",
        (Edit(PROOF, " AND b.origin IN ('backfill', 'poll', 'scan'))", ")"),),
        ("tests/loader/test_proof.py::test_a_repair_or_replay_is_not_the_page_whose_number_it_bears",),
    ),
    Mutation(
        "a heartbeat that is believed at once",
        "A feed is said to be complete as of now, whatever of it is loaded.",
        (Edit(PROOF, "AND h.page <= r.page\n", "\n"),),
        ("tests/loader/test_proof.py::test_a_parked_batch_holds_its_feed_s_proof_until_it_is_replayed",),
    ),
    Mutation(
        "a fact row that is not restored",
        "A version that somebody edited by hand stays wrong although its row was sent again.",
        (Edit(HISTORY, "        connection.run(sql.restore)\n", ""),),
        ("tests/reconciler/test_deep.py::test_edited_versions_get_their_columns_back_and_no_history_changes",),
    ),
)

RECONCILES = (
    Mutation(
        "repairs of what is in flight",
        "Whatever the pipeline is behind with is read and sent once more by every run: an outage grows.",
        (
            Edit(
                PLAN,
                "if pending.all or one.key in pending.captured:\n        return Kind.IN_FLIGHT\n    if one.kind",
                "if one.kind",
            ),
        ),
        (
            "tests/reconciler/test_rolling.py::"
            "test_what_the_poller_has_captured_is_left_to_arrive_however_far_behind_the_pipeline_is",
        ),
    ),
    Mutation(
        "repairs of what arrived at the second look",
        "What has just been loaded is sent once more.",
        (Edit(PLAN, "kind=Kind.IN_FLIGHT if now is None or overtaken else now", "kind=now or one.kind"),),
        ("tests/reconciler/test_reconcile.py::test_what_arrives_while_it_waits_was_in_flight_and_is_not_repaired",),
    ),
    Mutation(
        "ranges compared by their counts alone",
        "A silent update changes no count: it is never found.",
        (
            Edit(
                RANGES,
                "if mine.get(number) != yours.get(number)]",
                "if mine.get(number, NOTHING).rows != yours.get(number, NOTHING).rows]",
            ),
        ),
        (ANY_RANGE, "tests/reconciler/test_reconcile.py::test_a_silent_update_arrives_without_any_poll"),
    ),
    Mutation(
        "no guard of deletions",
        "A table emptied by mistake, or a grant that hides its rows, empties the warehouse.",
        (
            Edit(
                "shared/deletions.py",
                "return gone > max(ALWAYS_DELETABLE, LARGEST_SHARE_DELETED * live)",
                "return gone > live",
            ),
        ),
        ("tests/reconciler/test_reconcile.py::test_a_mass_deletion_is_held_back_and_everything_else_is_repaired",),
    ),
    Mutation(
        "progress moved before the repairs are sent",
        "A run that dies in between is remembered to have repaired what it never sent: taken for refused, it is left.",
        (
            Edit(
                RECONCILE,
                "        sent = Totals()\n        for start in range(",
                "        sent = Totals()\n"
                "        early = one.progress.remember(_remembered(one.progress, look.after, decisions, mendable))\n"
                "        if not task.dry_run:\n"
                "            self._progress.move(self._progress.load().having(one.feed.name, early))\n"
                "        for start in range(",
            ),
        ),
        (RUN_DIES,),
    ),
    Mutation(
        "a snapshot that overrules what is newer",
        "What is loaded while a feed is compared is taken for drift: told, and sent again at an older position.",
        (
            Edit(
                PLAN,
                "if kind is not None and (held.generation, held.revision) > self._at:",
                "if kind is not None and held.generation > self._at[0]:",
            ),
        ),
        ("tests/reconciler/test_plan.py",),
    ),
)

# -- a replay that loses what it was to save

REPLAYS = (
    Mutation(
        "parked messages deleted before they are sent",
        "An operator's replay that dies in between: the message is nowhere, and nothing tells of it.",
        (
            Edit(
                SEND_AGAIN,
                "        self.messages.work.send_again(\n",
                "        self.browse.delete_all(parked)\n        self.messages.work.send_again(\n",
            ),
        ),
        (NOT_SENT, REPLAY_DIES),
    ),
    Mutation(
        "rows marked as replayed before their batch is sent",
        "A replay that dies in between: the rows are no longer open, and were never sent.",
        (
            Edit(
                SEND_AGAIN,
                "        self._sent.add(batch.data.object.sha256[:16])\n",
                "        self._mark(found, batch, replays)\n        self._sent.add(batch.data.object.sha256[:16])\n",
            ),
        ),
        (NOT_SENT, REPLAY_DIES),
    ),
    Mutation(
        "one object for every replay of the same rows",
        "Rows that fail again fall into the quarantine object that is marked already: nobody sees them any more.",
        (Edit(SEND_AGAIN, "COMPRESSION_LEVEL, mtime=replays)", "COMPRESSION_LEVEL, mtime=0)"),),
        ("tests/ops/dlq/test_replay.py::test_rows_that_fail_again_are_quarantined_again_and_refused_beyond_the_cap",),
    ),
)

MUTATIONS = (*POLLS, *OWNERS, *LOADS, *RECONCILES, *REPLAYS)
