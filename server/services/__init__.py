"""What an operator does, whichever door it comes through."""
