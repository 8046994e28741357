"""Templates and their versions; an upload names the version it was read with."""

import hashlib
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, insert, select

from ingest.errors import IngestError
from ingest.identity import known_by
from ingest.inbox.names import refuse_odd_name
from ingest.record import new_id
from ingest.tables import templates
from ingest.template import TemplateVersion, builtin_templates, load_template


def add_template(conn: Connection, agency_id: str, toml_text: str, at: datetime) -> TemplateVersion:
    """Keep a template, or its next version; the same text again is the version that is there.

    Raises IngestError with a code `template_...` if it cannot be used, `invalid` for a name that nobody can read.
    """
    name = load_template(toml_text).name
    newest = _newest(conn, agency_id, name)
    if newest is None:
        refuse_odd_name(name, "template")
    if newest is not None and newest.text == toml_text:
        return newest
    version = TemplateVersion(new_id(at), agency_id, name, newest.version + 1 if newest else 1, toml_text, at)
    conn.execute(insert(templates).values(vars(version)))
    return version


def warnings(conn: Connection, agency_id: str, toml_text: str) -> tuple[str, ...]:
    """What to know before this becomes the next version of a template: records that would be made a second time.

    Raises IngestError with a code `template_...` if it cannot be used.
    """
    template = load_template(toml_text)
    newest = _newest(conn, agency_id, template.name)
    if newest is None:
        return ()
    try:
        before, now = known_by(load_template(newest.text)), known_by(template)
    except IngestError:
        return ()  # what an older program took; no file can be read by it any more
    return tuple(
        f"{_PEOPLE_SAY[kind]} were matched by {_told(before[kind])} in version {newest.version}, and are by "
        f"{_told(now[kind])} now: the next file may make those that are there a second time."
        for kind in now
        if before.get(kind, now[kind]) != now[kind]
    )


_PEOPLE_SAY = MappingProxyType({"client": "Clients", "case": "Cases", "event": "Hearings", "payment": "Payments"})


def _told(combinations: list[list[str]]) -> str:
    return ", or else ".join(" + ".join(fields) for fields in combinations) or "nothing"


def find_template(conn: Connection, agency_id: str, name: str, version: int | None = None) -> TemplateVersion:
    """The newest version of the agency's own template of that name, else the built-in one; or `version` of it.

    Raises IngestError `not_found`.
    """
    if version is not None:
        return _of_version(conn, agency_id, name, version)
    own = _newest(conn, agency_id, name)
    if own is not None:
        return own
    builtin = builtin_templates().get(name)
    if builtin is None:
        names = ", ".join(sorted({version.name for version in list_templates(conn, agency_id)}))
        raise IngestError("not_found", f"There is no template named {name}.", f"There are: {names}.")
    return _builtin(name, builtin)


def _of_version(conn: Connection, agency_id: str, name: str, version: int) -> TemplateVersion:
    """That version of the template; the built-in one is version 0."""
    query = select(templates).where(templates.c.agency_id == agency_id, templates.c.name == name)
    known = {row.version: TemplateVersion(**row._mapping) for row in conn.execute(query)}
    if name in builtin_templates():
        known[0] = _builtin(name, builtin_templates()[name])
    if version not in known:
        versions = ", ".join(map(str, sorted(known))) or "none"
        raise IngestError(
            "not_found", f"There is no version {version} of the template {name}.", f"There are: {versions}."
        )
    return known[version]


def list_templates(conn: Connection, agency_id: str) -> list[TemplateVersion]:
    """The newest version of each of the agency's templates, and the built-in ones that it has not replaced."""
    query = select(templates).where(templates.c.agency_id == agency_id).order_by(templates.c.name, templates.c.version)
    own = {row.name: TemplateVersion(**row._mapping) for row in conn.execute(query)}
    builtin = {name: _builtin(name, text) for name, text in builtin_templates().items()}
    return [version for _, version in sorted((builtin | own).items())]


def _newest(conn: Connection, agency_id: str, name: str) -> TemplateVersion | None:
    query = select(templates).where(templates.c.agency_id == agency_id, templates.c.name == name)
    row = conn.execute(query.order_by(templates.c.version.desc()).limit(1)).first()
    return TemplateVersion(**row._mapping) if row else None


def _builtin(name: str, text: str) -> TemplateVersion:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return TemplateVersion(f"builtin:{digest}", None, name, 0, text, None)
