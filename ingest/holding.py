"""Whose records were, before an upload that is undone: holders as they were, and templates that are alone again.

`ingest.merge` tells what holders are. What the upload has let go of is held again. What it has shared belongs again to
whom it belonged alone, unless a later upload has shared it as well; that one has then done it. A later snapshot that
goes on holding what this one began to hold has begun it.

Only names of our own tables and columns are put into the text; values are bound.
"""
# ruff: noqa: S608

from collections.abc import Sequence

from sqlalchemy import Connection, text

from ingest.answer import Upload
from ingest.record import write_instant

_MINE = "since_upload = :upload AND template = :template"
_SHARED = "since_upload = :upload AND template <> :template"
_OTHERS = (
    "FROM holders o WHERE o.kind = holders.kind AND o.record_id = holders.record_id "
    "AND o.template <> holders.template AND o.since_upload <> :upload"
)


def put_holders_back(conn: Connection, upload: Upload, since: Sequence[Upload], kinds: Sequence[str]) -> None:
    """Undo what the upload did to who holds records of these `kinds`, their tables. Those that it has created must be
    gone. `since` are the agency's later uploads that still count, the newest first."""
    names = {"upload": upload.id, "template": upload.template}
    conn.execute(text("UPDATE holders SET gone_upload = NULL WHERE gone_upload = :upload"), names)
    heirs = [each for each in since if each.template == upload.template and each.method != "update"]
    if heirs:
        _pass_on(conn, heirs[-1], names)
    conn.execute(text(f"DELETE FROM holders WHERE {_MINE}"), names)
    conn.execute(text(_shared_by_another()), names)
    conn.execute(text(f"DELETE FROM holders WHERE {_SHARED} AND EXISTS (SELECT 1 {_OTHERS})"), names)
    for kind in kinds:
        conn.execute(text(_alone(kind)), names)
    conn.execute(text(f"DELETE FROM holders WHERE {_SHARED}"), names)


def _pass_on(conn: Connection, heir: Upload, names: dict[str, str]) -> None:
    """The next snapshot of the template, `heir`, is the one that names what is still held after it."""
    held = "gone_upload IS NULL OR gone_upload IN (SELECT id FROM uploads WHERE finished_at > :then)"
    conn.execute(
        text(f"UPDATE holders SET since_upload = :heir WHERE {_MINE} AND ({held})"),
        {**names, "heir": heir.id, "then": write_instant(heir.finished_at)},
    )


def _shared_by_another() -> str:
    """Who else holds a record, or did, has come since then: the first of them has shared it.

    Not who has come only after it was let go of: what they found was withdrawn, or another's.
    """
    others = f"{_OTHERS} AND (holders.gone_upload IS NULL OR o.since_upload < holders.gone_upload)"
    first = f"SELECT min(o.since_upload) {others}"
    taken = (
        "SELECT 1 FROM holders t WHERE t.kind = holders.kind AND t.record_id = holders.record_id "
        f"AND t.template = holders.template AND t.since_upload = ({first})"
    )
    return (
        f"UPDATE holders SET since_upload = ({first}) WHERE {_SHARED} "
        f"AND EXISTS (SELECT 1 {others}) AND NOT EXISTS ({taken})"
    )


def _alone(kind: str) -> str:
    """Records of one template alone, as before: it is one, and who holds it still where a clock was set back."""
    owner = f"SELECT h.template FROM holders h WHERE h.kind = '{kind}' AND h.record_id = {kind}.id"
    first = "ORDER BY CASE WHEN h.gone_upload IS NULL THEN 0 ELSE 1 END, h.template LIMIT 1"
    return (
        f"UPDATE {kind} SET template = ({owner} AND h.since_upload = :upload AND h.template <> :template {first}) "
        f"WHERE template = '*' AND id IN (SELECT record_id FROM holders WHERE kind = '{kind}' AND {_SHARED})"
    )
