"""What a person tries by hand, and what is our own trouble, is not held against a server; alarms are told to all."""

import asyncio
from datetime import timedelta

import asyncssh
import pytest
from sqlalchemy import update

from keys.secret import Secret
from server.checkup import examine
from server.clock import new_id, now
from server.errors import AppError, Code
from server.remotes.secrets import forget_secrets, seal_secret
from server.remotes.server import Kind, SecretField, Server
from server.remotes.store import add_server, note_shown_key, server_by_id, trust_key
from server.sync.places import PATIENCE, Standing, standing_of
from server.sync.plan import Task, due_tasks, list_places
from server.sync.reach import reach_place
from server.sync.rounds import SyncRounds
from server.sync.runs import PERSON, Run
from server.sync.syncer import Syncer
from server.sync.tables import sync_places
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Town

FILE = ecr(ecr_row(1))
REFUSAL = AppError(Code.DENIED, "The server refuses the key.", "Check it.")
AWAY = AppError(Code.UNAVAILABLE, "The server did not answer.")


def host_key() -> str:
    return " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])


def add_sftp(town: Town) -> Server:
    """A trusted server with a password, where nobody listens."""
    made = Server(new_id(), "vault", Kind.SFTP, now(), host="127.0.0.1", port=9, username="u", host_key=host_key())
    sealed = seal_secret(town.state.cipher(), made.id, SecretField.PASSWORD, Secret(b"the secret"))
    with town.state.database.writing() as conn:
        return add_server(conn, Server(**{**vars(made), "sealed": {SecretField.PASSWORD: sealed}}))


def reach_really(town: Town, by: str) -> Run:
    """A cycle of the one place, over the connection that the server itself would make."""
    with town.state.database.reading() as conn:
        [place] = list_places(conn)
    syncer = Syncer(town.state, town.log, reach_place(town.state, town.log))
    [run] = asyncio.run(syncer.work(Task(place, tuple(place.active)), by)) or []
    return run


def standing(town: Town) -> Standing:
    with town.state.database.reading() as conn:
        [place] = list_places(conn)
        return standing_of(conn, place.id)


def refuse(town: Town, error: AppError | None) -> None:
    def connect(_place: object) -> None:
        if error:
            raise error

    town.connect = connect


# Our own trouble


@pytest.mark.parametrize("by", [PERSON, "schedule"])
def test_a_missing_master_key_parks_no_server_and_names_itself(town: Town, by: str) -> None:
    add_sftp(town)
    town.profile("court", "p", server="vault")
    stored = town.state.settings.data / "keys" / "master.key"
    kept = stored.read_bytes()
    stored.unlink()
    for _ in range(4):
        run = reach_really(town, by)
        assert str(run.error).startswith("The master key is missing")
    assert standing(town).state == "ok"
    stored.write_bytes(kept)
    stored.chmod(0o600)
    assert "refused the connection" in str(reach_really(town, by).error)
    assert standing(town).state == "failing"


def test_another_master_key_parks_no_server(town: Town) -> None:
    add_sftp(town)
    town.profile("court", "p", server="vault")
    (town.state.settings.data / "keys" / "master.key").write_bytes(bytes(range(32)))
    for _ in range(4):
        assert "sealed with another master key" in str(reach_really(town, "schedule").error)
    assert standing(town).state == "ok"


def test_a_secret_that_was_given_up_with_its_master_key_is_told(town: Town) -> None:
    server = add_sftp(town)
    town.profile("court", "p", server="vault")
    with town.state.database.writing() as conn:
        forget_secrets(conn, [(server, SecretField.PASSWORD)])
    run = reach_really(town, "schedule")
    assert run.error == "The server vault has neither a password nor a private key."
    assert str(run.hint).startswith("Give one: dropslot server edit vault --password-file FILE")
    [found] = [one for one in examine(town.state) if one.subject == "server vault"]
    assert (found.good, found.sentence, found.hint) == (False, run.error, run.hint)


def test_trouble_of_our_own_has_its_pause_at_a_server_that_failed_before(town: Town) -> None:
    refuse(town, REFUSAL)
    town.profile("court", "p")
    town.sync(by="schedule")
    with town.state.database.writing() as conn:
        conn.execute(update(sync_places).values(retry_at=now()))
    county = town.folders["county"]
    refuse(town, None)
    county.put("/a.txt", FILE)
    county.faults["fetch"] = AppError(Code.INTERNAL, "It cannot be kept here (no space left on device).")
    [run] = town.cycle()
    assert "no space left" in str(run.error)
    assert town.cycle() == [], "else it would be tried every two seconds"
    with town.state.database.reading() as conn:
        assert len(due_tasks(conn, now() + timedelta(seconds=61))) == 1


def test_trouble_of_a_shell_keeps_no_cycle_from_coming(town: Town) -> None:
    add_sftp(town)
    town.profile("court", "p", server="vault")
    (town.state.settings.data / "keys" / "master.key").unlink()
    for _ in range(4):
        reach_really(town, PERSON)
    with town.state.database.reading() as conn:
        assert len(due_tasks(conn, now() + timedelta(seconds=61))) == 1


# By hand


@pytest.mark.parametrize("error", [REFUSAL, AWAY], ids=["refused", "away"])
def test_tries_by_hand_make_no_pause_longer_and_park_nothing(town: Town, error: AppError) -> None:
    refuse(town, error)
    town.profile("court", "p")
    town.sync(by="schedule")
    before = standing(town)
    with town.state.database.writing() as conn:
        conn.execute(update(sync_places).values(failing_since=now() - PATIENCE))
    for _ in range(4):
        [run] = town.sync()
        assert run.error == error.message
    after = standing(town)
    assert (after.failures, after.retry_at, after.parked_at) == (1, before.retry_at, None)


def test_a_first_try_by_hand_that_fails_has_the_next_cycle_soon(town: Town) -> None:
    refuse(town, REFUSAL)
    town.profile("court", "p", cycle="daily at 06:00")
    town.sync()
    found = standing(town)
    assert (found.state, found.failures, found.error) == ("failing", 1, REFUSAL.message)
    assert town.cycle() == []
    with town.state.database.reading() as conn:
        assert len(due_tasks(conn, now() + timedelta(seconds=61))) == 1


def test_a_parked_server_goes_on_after_a_try_by_hand_only_if_it_answers(town: Town) -> None:
    refuse(town, REFUSAL)
    town.profile("court", "p")
    for _ in range(3):
        town.sync(by="schedule")
    parked = standing(town).parked_at
    assert parked
    town.sync()
    assert standing(town).parked_at == parked
    refuse(town, None)
    town.sync()
    assert standing(town).state == "ok"


# Alarms


def test_a_host_key_that_somebody_else_saw_to_change_is_told_once(town: Town) -> None:
    server = add_sftp(town)
    rounds = SyncRounds(town.state, town.log, town.syncer())

    def told() -> list[tuple[str, str, str]]:
        asyncio.run(rounds._round())
        alarms = [said for said in town.said if said["event"] == "host key changed"]
        return [(said["level"], said["server"], said["shown"]) for said in alarms]

    def show() -> str:
        with town.state.database.writing() as conn:
            noted = note_shown_key(conn, server.id, host_key(), now())
        return str(noted.shown_key)

    assert told() == []
    first = show()
    assert len(told()) == len(told()) == 1
    with town.state.database.writing() as conn:
        trust_key(conn, server.id, first)
    assert len(told()) == 1
    show()
    assert len({shown for _, _, shown in told()}) == len(told()) == 2
    assert {(level, name) for level, name, _ in told()} == {("error", "vault")}
    with town.state.database.reading() as conn:
        assert not server_by_id(conn, server.id).usable
