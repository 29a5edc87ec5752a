"""`./millrace query`: read the local Log Analytics tables."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def query(
    sql: Annotated[str, typer.Argument(help='For example "select count(*) from Code42Logs_CL".')],
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """One read-only SQL statement over the rows that arrived. Tables are named as in Log Analytics."""
    screen = Screen(json=json)
    answer = local_stack().query(sql)
    screen.document(answer)
    screen.table(answer.columns, [list(row) for row in answer.rows])
