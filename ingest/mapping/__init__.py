"""Which column of a file is which field of the template, and how a field's text is made of its columns."""

from ingest.mapping.plan import Plan, filled_by, is_answered, is_told, made_of, map_columns
from ingest.mapping.rules import apply_rule, find_lost, lay_over, may_lose
from ingest.mapping.steady import refuse_unsteady

__all__ = [
    "Plan",
    "apply_rule",
    "filled_by",
    "find_lost",
    "is_answered",
    "is_told",
    "lay_over",
    "made_of",
    "map_columns",
    "may_lose",
    "refuse_unsteady",
]
