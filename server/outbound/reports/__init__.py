"""The reports: what each tells, in which columns, and how it is asked for.

    catalogue    every report by its name
    definition   what a report is made of
    wanted       one report as somebody wants it: days, filters, sorting
    run          a report as a file
    (the others) the reports themselves, by what they are about

The columns of a report never change their name, meaning or place; new ones come at the end.
"""
