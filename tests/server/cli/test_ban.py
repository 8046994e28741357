"""`dropslot ban`: what it refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.program import assemble
from server.errors import AppError
from server.state import prepare_folders

NETWORKS = {"DROPSLOT_NEVER_BAN": "2001:db8::/32 10.1.0.0/16", "DROPSLOT_PROXY_NETWORKS": "10.9.0.0/16"}


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("10.1.2.3", "never banned"),
        ("2001:db8:0:7::1", "never banned"),
        ("2001:db8:0:7::/64", "never banned"),
        ("10.9.0.1", "load balancer"),
        ("10.2.0.0/16", "no address"),
        ("0.0.0.0", "Nobody connects from"),
        ("0.1.2.3", "Nobody connects from"),
        ("::", "Nobody connects from"),
        ("::/64", "Nobody connects from"),
        ("::ffff:0.0.0.0", "Nobody connects from"),
        ("224.0.0.1", "Nobody connects from"),
        ("ff02::1", "Nobody connects from"),
        ("255.255.255.255", "Nobody connects from"),
    ],
)
def test_an_address_that_would_not_stay_out_is_not_banned(tmp_path: Path, address: str, sentence: str) -> None:
    prepare_folders(tmp_path)
    done = CliRunner(env=NETWORKS).invoke(assemble(), ["--data", str(tmp_path), "ban", "add", address])
    assert isinstance(done.exception, AppError)
    assert sentence in str(done.exception)
