"""`python -m server.cli`: how the supervisor starts its children."""

from server.cli import main

main()
