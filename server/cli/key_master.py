"""`dropslot key rotate-master`: a new master key, and everything sealed anew."""

import typer

from server.cli.output import Json, as_dict, counted, print_one
from server.rotation import rotate_master
from server.state import open_installation


def rotate(context: typer.Context, as_json: Json = False) -> None:
    """Replace the master key, and seal everything anew; the server may run meanwhile.

    A backup of the database from before opens only with the master key of its time: keep that one with it.
    """
    with open_installation(context.obj) as state:
        done = rotate_master(state)
    sentence = (
        f"The master key is {done.key_id} now, in {done.place}. Sealed anew with it: "
        f"{counted(done.host_keys, 'host key')}, {counted(done.server_secrets, 'secret')} of servers."
    )
    if done.left_over:
        sentence += f" {done.left_over} is not needed any more: delete it, or keep it with old backups."
    print_one(as_dict(done), as_json, sentence)
