"""``callguard policy check``: everything that is wrong with a policy, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callguard.model.errors import SettingsError
from callguard.policyfile import load_policy, load_rules


def check_policy(file: Path, queues: tuple[str, ...]) -> dict[str, Any]:
    """What was found, ready for JSON: ``good`` with name, mode, hash and rules, or ``faults`` with places."""
    try:
        policy = load_policy(file)
        rules = load_rules(policy)
        for queue in queues:
            load_rules(load_policy(file, queue=queue))
    except SettingsError as error:
        first, *others = str(error).splitlines()
        where, _, text = first.rpartition(": ") if not error.where else (error.where, "", first)
        text = text.removeprefix(f"{error.where}: ")
        faults = [{"where": where, "text": text, "hint": error.hint, "code": error.code}]
        faults += [
            {"where": place, "text": rest, "hint": "", "code": error.code}
            for place, _, rest in (other.partition(": ") for other in others)
        ]
        return {"good": False, "faults": faults}
    return {
        "good": True,
        "name": policy.name,
        "mode": policy.mode.value,
        "languages": list(policy.languages),
        "hash": policy.hash,
        "rules": {language: len(found.rules) for language, found in rules.languages.items()},
        "measures": len(rules.measures),
    }
