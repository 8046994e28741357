"""The README's table of clients, made from the adapters: `python -m tests.acceptance.clients.table` prints it."""

from collections.abc import Callable, Iterator, Sequence

from tests.acceptance.clients import CLIENTS, OPERATIONS, Client

BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
CAN, CANNOT, REFUSED = "✓", "–", "no"


def rows(version: Callable[[type[Client]], str]) -> Iterator[Sequence[str]]:
    """The table's rows, the first with the columns' names."""
    yield ("client", "version", *OPERATIONS.values(), "notes")
    for client in CLIENTS:
        cells = [_cell(client, operation) for operation in OPERATIONS]
        notes = dict.fromkeys(note for note in (client.note, *client.cannot.values()) if note)
        yield (client.name, version(client), *cells, "; ".join(notes))


def _cell(client: type[Client], operation: str) -> str:
    if operation in client.cannot:
        return CANNOT
    return REFUSED if operation == "rename_over" and not client.replaces else CAN


def as_markdown(table: Iterator[Sequence[str]]) -> str:
    """The table between its marks."""
    head, *body = table
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body)]
    return "\n".join([BEGIN, *lines, END])


def read_markdown(text: str) -> list[Sequence[str]]:
    """The rows of the table in `text`."""
    lines = text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip().splitlines()
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [found[0], *found[2:]]


if __name__ == "__main__":
    print(as_markdown(rows(lambda client: client.version())))
