"""An Upload Template: how a file is read and which of its columns become which fields.

Written in TOML; docs/templates.md tells all of it:

    name = "county-daily"
    required = ["case.number"]              # a row without a value is answered
    optional = ["contact.email"]            # the file may come without the column
    [file]
    header = true                           # false: columns by position only
    [formats]
    date = ["%m/%d/%Y", "excel"]            # strptime directives, tried in order
    [columns]
    client.reference = "Party ID"           # exact header, case-sensitive
    case.number = 13                        # or position, the first column is 1
    event.date = ["Event Date", "Hearing Date"]     # or the first of these that the file has
    client.name = { column = "Defendant", order = "last first" }
    event.status = { column = "Status", values = { Cancelled = "canceled" }, default = "scheduled" }
    [custom]
    case."Bond Type" = "BOND_TYP"
    [constants]
    client.group = "Court"
    [[party]]                               # a further person of each row
    columns.client.reference = "Attorney ID"
    constants.case.role = "Attorney"
    [match]
    case = "number + location"
    [[exclude]]
    field = "event.status"
    is = ["Vacated"]
    [limits]
    rows = 100000
    [processing]
    method = "replace_template"
"""

from ingest.template.formats import DATE_FORMATS, TIME_FORMATS, UNDECIDED
from ingest.template.lookup import with_files, with_lookup
from ingest.template.model import (
    Clock,
    Exclude,
    Match,
    Party,
    Place,
    Rule,
    Template,
    TemplateVersion,
    of_party,
    slot_owner,
    split_party,
)
from ingest.template.processing import REPLACE_ALL, REPLACE_TEMPLATE, UPDATE, Processing
from ingest.template.toml import builtin_templates, load_template

__all__ = [
    "DATE_FORMATS",
    "REPLACE_ALL",
    "REPLACE_TEMPLATE",
    "TIME_FORMATS",
    "UNDECIDED",
    "UPDATE",
    "Clock",
    "Exclude",
    "Match",
    "Party",
    "Place",
    "Processing",
    "Rule",
    "Template",
    "TemplateVersion",
    "builtin_templates",
    "load_template",
    "of_party",
    "slot_owner",
    "split_party",
    "with_files",
    "with_lookup",
]
