"""Who may hear, judge, barge, export: roles to rights, scoped by queue and team. Pure questions, pure answers."""

from callguard.access.may import Answer, Person, Scope, Thing, may, role_names_of
from callguard.access.roles import DEFAULT_RIGHTS, Role, Verb, rights_under

__all__ = [
    "DEFAULT_RIGHTS",
    "Answer",
    "Person",
    "Role",
    "Scope",
    "Thing",
    "Verb",
    "may",
    "rights_under",
    "role_names_of",
]
