"""Know which keys a feed has, so that a row that is gone shows as a count that is too small. Pure.

Invariant: once taken, a census knows at least every key that the source held at the horizon of the feed's last scan;
what became visible since is met by the next one. So after a scan that saw all there is to see in its own snapshot,
the source's count is equal exactly if no known key is gone. Meeting a key twice changes nothing.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from shared.checkpoint import Horizon

DENSE = 20
"""So many known keys for each that is asked about are looked at sooner than that one is sought."""
AT_ONCE = 10_000
"""Keys that are sought together: their set is small beside the keys themselves."""
MOST_UNSOUGHT = 200_000
"""Keys met of which it is not known whether they are new, eight bytes each."""
MOST_MET = 50_000
"""Keys met since the last listing, about 5 MB: with more, the keys are listed anew, which costs eight bytes each."""


class Keys:
    """Keys in their order, eight bytes each."""

    def __init__(self, listed: Iterable["array[int]"]) -> None:
        """Take keys, always the next greater ones."""
        self._sorted = array("q")
        for keys in listed:
            self._sorted.extend(keys)

    def __len__(self) -> int:
        """How many were listed."""
        return len(self._sorted)

    def __iter__(self) -> Iterator[int]:
        """In their order."""
        return iter(self._sorted)

    def lacking(self, keys: Iterable[int]) -> list[int]:
        """Those of some ascending keys that are not among them."""
        asked = [*keys]
        if not asked:
            return []
        start = bisect_left(self._sorted, asked[0])
        end = bisect_left(self._sorted, asked[-1] + 1, start)
        if end - start <= DENSE * len(asked):
            return sorted(set(asked).difference(self._sorted[start:end]))
        return self._sought(asked)

    def _sought(self, keys: Sequence[int]) -> list[int]:
        """The same, one by one."""
        found, known, at, before = [], self._sorted, 0, None
        for key in keys:
            # Distinct numbers: between two keys there are no more of them than the keys are apart.
            end = len(known) if before is None else min(len(known), at + key - before)
            at = bisect_left(known, key, at, end)
            if at == len(known) or known[at] != key:
                found.append(key)
            before = key
        return found


class Census:
    """The keys of one feed, in memory alone: whoever starts anew knows none until it has listed them."""

    def __init__(self) -> None:
        self._listed: Keys | None = None
        self._met: set[int] = set()
        self._unsought = array("q")
        self.counted: Horizon | None = None
        """The last snapshot in which known keys and the source's count agreed."""

    @property
    def listed(self) -> bool:
        """Whether keys are known at all: until then none that is read counts."""
        return self._listed is not None

    def meet(self, keys: Iterable[int]) -> None:
        """Rows of these keys, in their order, were read, whether or not they were sent.

        Which of them are new is found out when somebody asks, so that no row waits for it.
        """
        if self._listed is not None:
            self._unsought.extend(keys)
            if len(self._unsought) > MOST_UNSOUGHT:
                self._seek()

    def _seek(self) -> None:
        unsought, self._unsought = self._unsought, array("q")
        if self._listed is not None and unsought:
            self._met.update(self._listed.lacking(sorted(set(unsought))))

    def agrees(self, count: int) -> bool:
        """Whether nothing that is known can be gone, after a scan in the snapshot that was counted."""
        return self._listed is not None and len(self) == count and len(self._met) <= MOST_MET

    def gone(self, there: Keys) -> list[int]:
        """The known keys that are not there, in their order; none before the first listing."""
        self._seek()
        known = sorted((*self._listed, *self._met)) if self._listed is not None else []
        parts = (known[start : start + AT_ONCE] for start in range(0, len(known), AT_ONCE))
        return [key for part in parts for key in there.lacking(part)]

    def take(self, there: Keys, at: Horizon) -> None:
        """Know these keys and no others: they were listed in the snapshot `at`."""
        self._listed, self._met, self._unsought, self.counted = there, set(), array("q"), at

    def forget(self) -> None:
        """Somebody else may have read rows that were not met here."""
        self._listed, self._met, self._unsought, self.counted = None, set(), array("q"), None

    def __len__(self) -> int:
        """How many keys are known."""
        self._seek()
        return len(self._listed or ()) + len(self._met)
