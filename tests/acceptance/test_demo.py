"""`make run`: the demonstration, the first time and again."""

import re

from tests.acceptance.court import Court, Dropslot, need


def test_the_demonstration_shows_the_journey_and_is_idempotent(dropslot: Dropslot) -> None:
    need("sftp")
    first = dropslot.shell("demo", "--once", "--sftp-port", "0").stdout
    assert "partially_processed" in first
    assert re.search(r"rows +6000", first)
    assert re.search(r"errors +[1-9]", first)
    assert re.search(r"[\d.]+ from CLOSE to commit", first)
    assert "receipt.txt" in first
    assert "sftp -P" in first
    court = Court(dropslot, "demo-county", dropslot.data)
    before = court.records("events")

    second = dropslot.shell("demo", "--once", "--sftp-port", "0").stdout
    assert "duplicate" in second
    assert court.records("events") == before
