"""How what is staged for a record goes over what the record holds, column by column."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Marked:
    """A column of which some staged texts are no values, but marks: they empty what is there, or leave it as it is.

    The marks are literals of SQL; no record ever holds one.
    """

    name: str
    empties: str = ""
    leaves: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether a new record takes what is staged as it is."""
        return not (self.empties or self.leaves)


@dataclass(frozen=True)
class Taking(Marked):
    """One column of a record. In texts, NULL stands for nothing, '' never does.

    Nothing that is staged leaves what is there if the column is `kept`, and empties it otherwise. Where the condition
    `stays` is true, of columns of rows `{new}` and `{old}`, nothing is taken.
    """

    kept: bool = False
    stays: str = ""

    def begins(self) -> str:
        """What the column is in a new record."""
        value = self.name
        for literal in filter(None, (self.empties, self.leaves)):
            value = f"nullif({value}, {literal})"
        return value

    def becomes(self, new: str, old: str) -> str:
        """What the column becomes, of the rows of these names: the staged one, and the record's."""
        value, there = f"{new}.{self.name}", f"{old}.{self.name}"
        taken = f"coalesce({value}, {there})" if self.kept else value
        taken = f"nullif({taken}, {self.empties})" if self.empties else taken
        left = f"{value} = {self.leaves}" if self.leaves else ""
        stays = " OR ".join(filter(None, (left, self.stays.format(new=new, old=old))))
        return f"CASE WHEN {stays} THEN {there} ELSE {taken} END" if stays else taken


@dataclass(frozen=True)
class Laying(Marked):
    """A column that holds a JSON object of texts (see `Backend.pack`), or NULL: what is staged is laid over it, key by
    key.

    If `taken_out` is given, the name of a parameter that holds a JSON object, its keys are taken out before. Each of
    the texts may be a mark.
    """

    taken_out: str = ""
