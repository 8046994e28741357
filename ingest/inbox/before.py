"""Whether a file has the columns that records are matched by as the last one of its profile had them."""

from dataclasses import replace

from sqlalchemy import Connection

from ingest.answer import Upload
from ingest.arrival import Arrival
from ingest.check import Rules
from ingest.errors import IngestError
from ingest.identity import matched_fields
from ingest.inbox.templates import find_template
from ingest.inbox.uploads import file_before
from ingest.mapping import refuse_unsteady
from ingest.template import Template, load_template


def refuse_unlike_before(conn: Connection, arrival: Arrival, upload: Upload, rules: Rules) -> None:
    """Raises IngestError `unsteady_column`. A new version of the template asks it as well, but for fields that it reads
    from other columns, or whose columns have become optional or are so no more."""
    before = file_before(conn, arrival, upload)
    if before is None or not before[0]:
        return
    header, version = before
    template = rules.template
    earlier = template if version == upload.template_version else _earlier(conn, upload, version)
    if earlier is not None:
        matched = matched_fields(template) & matched_fields(earlier)
        refuse_unsteady(template, rules.plan, _loose(earlier, template), header, matched, rules.limits)


def _earlier(conn: Connection, upload: Upload, version: int) -> Template | None:
    try:
        return load_template(find_template(conn, upload.agency_id, upload.template, version).text)
    except IngestError:
        return None  # what an older program took; no file can be read by it any more


def _loose(earlier: Template, template: Template) -> Template:
    """Another version does without whatever its file lacked: an operator may have accepted that."""
    if earlier is template:
        return template
    return replace(earlier, spared=frozenset(earlier.columns), required=frozenset())
