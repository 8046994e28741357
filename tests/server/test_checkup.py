"""What is told of an installation."""

from server.checkup import examine_shut
from server.errors import AppError, Code
from server.settings import Settings
from server.state import hold_data, prepare_folders


def test_without_a_database_the_rest_is_told(settings: Settings) -> None:
    refusal = AppError(Code.UNAVAILABLE, "The database server does not answer.", "Start it.")
    settings.data.mkdir()
    program, server, database, disk = examine_shut(settings, refusal)
    assert (program.good, disk.subject) == (True, "disk")
    assert (database.good, database.sentence, database.hint) == (False, refusal.message, refusal.hint)
    assert server.sentence == "whether it runs cannot be told (no such file or directory)"
    prepare_folders(settings.data)
    assert examine_shut(settings, refusal)[1].sentence.startswith("not running, so nothing is received meanwhile")
    with hold_data(settings.data):
        assert examine_shut(settings, refusal)[1].sentence == f"running, port {settings.sftp_port}"
