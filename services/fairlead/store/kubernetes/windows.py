"""Windows since the head, in the route's status: they name the head they were counted under, so the next voids them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead import errors
from fairlead.contracts.revision import Window
from fairlead.store.kubernetes.kinds import ROUTES, Object
from fairlead.store.kubernetes.ledger import KubernetesLedger
from fairlead.store.kubernetes.session import Session
from fairlead.store.windows import MAX_WINDOWS, condensed


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Windows that go with the next status: under which head and in which term of ours they were counted."""

    head: int
    term: int
    windows: tuple[Window, ...]


class KubernetesWindows(KubernetesLedger):
    """The rest of `store.base.Ledger`."""

    _session: Session
    _counted: dict[str, Mapping[str, Window]]
    """By route: what its stored lines say."""
    _unwritten: dict[str, Unwritten]

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:
        """Remember what was counted since the head; at most 240, older ones merged pairwise.

        Raises Conflict when this process does not lead.
        """
        term, head = self._session.fence.token(), self._head_seq(route)
        waiting = self._waiting(route, head)
        more = Unwritten(head, term, (*(one.passed() for one in waiting), window))
        if at_once:
            self._session.write_status(
                ROUTES, route, lambda status: {**status, **self._analysis(route, status, head, more.windows)}
            )
            self._unwritten.pop(route, None)
        else:
            self._unwritten[route] = more

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, ascending; also those that are not written yet."""
        found = self._session.objects.get(ROUTES, route)
        if found is None:
            return []
        head = self._head_seq(route)
        lines = self._lines(route, found.get("status") or {}, head, self._waiting(route, head))
        windows = self._parsed_windows(route, lines)
        self._counted[route] = dict(zip(lines, windows, strict=True))
        return windows

    def _head_seq(self, route: str) -> int:
        entries = self._entries(route)
        return entries[-1].seq if entries else 0

    def _waiting(self, route: str, head: int) -> tuple[Window, ...]:
        """What is not written yet. What another head took along, or another leader may have counted, never will be."""
        known = self._unwritten.get(route)
        if known is None:
            return ()
        try:
            term = self._session.fence.token()
        except errors.Conflict:
            return ()
        return known.windows if (known.head, known.term) == (head, term) else ()

    def _analysis(self, route: str, status: Object, head: int, more: Sequence[Window]) -> Object:
        """This part of the status with more windows. What was counted under an earlier head is not kept."""
        analysis = status.get("analysis") or {}
        if more:
            return {"analysis": {"head": head, "windows": self._lines(route, status, head, more)}}
        return {"analysis": analysis} if analysis and int(analysis.get("head") or 0) >= head else {}

    def _lines(self, route: str, status: Object, head: int, more: Sequence[Window]) -> list[str]:
        analysis = status.get("analysis") or {}
        lines: list[str] = list(analysis.get("windows") or () if analysis.get("head") == head else ())
        added = [_line(window) for window in more]
        if not added or lines[-len(added) :] == added:
            return lines  # they were written, and the answer was lost on its way
        # The next window carries on what this one carried; kept in both, it would be the most of what is stored.
        lines[-1:] = [_line(one.passed()) for one in self._parsed_windows(route, lines[-1:])]
        lines += added
        return lines if len(lines) <= MAX_WINDOWS else list(map(_line, condensed(self._parsed_windows(route, lines))))

    def _parsed_windows(self, route: str, lines: Sequence[str]) -> list[Window]:
        """Each line is parsed once, however often the list that holds it comes anew."""
        known = self._counted.get(route, {})
        try:
            return [known.get(line) or Window.model_validate_json(line) for line in lines]
        except ValueError as error:
            raise errors.Invalid(f"status.analysis of route {route!r} cannot be read: {error}") from error


def _line(window: Window) -> str:
    return window.model_dump_json(by_alias=True, exclude_defaults=True)
