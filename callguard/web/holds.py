"""Holds and bundles, as far as the store beneath offers them."""

from __future__ import annotations

from typing import Any

from callguard.model.errors import Refused
from callguard.model.ids import CaseId
from callguard.store.store import Store


def holds_of(store: Store, case: CaseId) -> list[Any]:
    """The holds on this case, newest first."""
    listed = getattr(store, "holds", None)
    return list(listed(case))[::-1] if listed is not None else []


def hold(store: Store, case: CaseId, *, reason: str, who: str) -> None:
    """Keep the case from being deleted."""
    store.hold(case, reason=reason, who=who)  # type: ignore[attr-defined]


def release(store: Store, case: CaseId, *, who: str) -> bool:
    """Ask for the release, or agree to it: True when the case is free."""
    return bool(store.release(case, who=who))  # type: ignore[attr-defined]


def export_bundle(store: Store, case: CaseId, *, who: str) -> tuple[str, bytes]:
    """File name and bytes of the signed bundle. Raises Refused where this store makes none."""
    made = getattr(store, "export", None)
    if made is None:
        raise Refused("this store makes no bundles", code="export-missing")
    return f"{case}.zip", made(case, who=who)
