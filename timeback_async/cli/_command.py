"""What every command has without a line of its own: `-h`, `-v`, `-q`, its log and its ending.

A command is a function whose parameters are its options. Two of them have a meaning here:

- `json: AsJson`: every ending is one object on stdout, also an error
- `log_format: LogFormatName`: an error is a line of the log
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ._exit import ending
from ._logs import logged

__all__ = ["Commands"]

Function = Callable[..., Any]


def _common(
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            show_default=False,
            help="Print log lines on stderr; -vv prints all.",
        ),
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print one line, if something is wrong.")
    ] = False,
) -> None:
    """Have the options of every command."""


COMMON = tuple(inspect.signature(_common).parameters.values())


class Commands(typer.Typer):
    """A command with subcommands, each of which has the common options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            cls=_Group,
            no_args_is_help=True,
            # Plain help: rich would add a third of the CPU that importing the library takes.
            rich_markup_mode=None,
            context_settings={"help_option_names": ["-h", "--help"]},
            # A traceback with local variables would show records.
            pretty_exceptions_enable=False,
            **settings,
        )

    def command(  # type: ignore[override]
        self, name: str | None = None, **settings: Any
    ) -> Callable[[Function], Function]:
        """Return a decorator that makes a command of a function; its help is the docstring."""
        add = super().command(name, cls=_Command, **settings)
        return lambda function: add(_with_common(function))


def _with_common(function: Function) -> Function:
    """Return a function that has the common options besides its own, and acts on them."""

    @wraps(function)
    def command(*, verbose: int, quiet: bool, **own: Any) -> None:
        log_format, json = own.get("log_format"), own.get("json", False)
        with (
            logged(log_format, verbose),
            ending(json=json, is_logged=log_format is not None),
            _silent(quiet or json),
        ):
            function(**own)

    signature = inspect.signature(function)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *COMMON]
    )
    return command


@contextmanager
def _silent(quiet: bool) -> Iterator[None]:
    """Print no tables and no bars while the block runs."""
    from ._screen import out

    out.quiet = quiet
    try:
        yield
    finally:
        out.quiet = False


def _parsing(args: list[str]) -> AbstractContextManager[None]:
    """Let a wrong option be one JSON object, too, if that is asked for."""
    return ending(json="--json" in args, is_logged=False)


class _Command(TyperCommand):
    """A command whose help has a section for each `rich_help_panel`, in plain text."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _parsing(args):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            usual = "Options" if parameter.param_type_name == "option" else "Arguments"
            assert row is not None  # no parameter is hidden
            panel = getattr(parameter, "rich_help_panel", None) or usual
            sections.setdefault(panel, []).append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


class _Group(TyperGroup):
    """A command with subcommands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        with _parsing(args):
            return super().resolve_command(ctx, args)
