"""From the texts of a cell to values: names, dates, times, amounts, phone numbers, e-mail addresses.

Every function takes the distinct texts of a column (already tidied) and returns as many values; None means that the
text cannot be read as such a value. Nothing is guessed.
"""

from ingest.coerce.contacts import email_oddities, phone_oddities, read_emails, read_phones
from ingest.coerce.dates import (
    YEARS,
    beginning_with_dates,
    clock_oddities,
    instants,
    ordinals,
    read_dates,
    read_days,
    read_moments,
    read_times,
)
from ingest.coerce.texts import keep_spaces, name_part, read_money, read_yes_no, split_name, tidy, titled, undotted

__all__ = [
    "YEARS",
    "beginning_with_dates",
    "clock_oddities",
    "email_oddities",
    "instants",
    "keep_spaces",
    "name_part",
    "ordinals",
    "phone_oddities",
    "read_dates",
    "read_days",
    "read_emails",
    "read_moments",
    "read_money",
    "read_phones",
    "read_times",
    "read_yes_no",
    "split_name",
    "tidy",
    "titled",
    "undotted",
]
