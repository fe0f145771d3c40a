"""The `pilothouse` command: its subcommands, exit codes, and the one place where errors end.

Exit codes: 0 met, 1 not met, 2 undecided, 3 unusable input or usage, 70 an error of ours, 130 interrupted, 141
broken pipe. Imports nothing heavy at start: each command brings in what it needs when it runs, so that `--help`
answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from pilothouse import __version__
from pilothouse.cli.backtest import backtest
from pilothouse.cli.budget import budget
from pilothouse.cli.demo import demo
from pilothouse.cli.metrics import metrics
from pilothouse.cli.rehearse import rehearse
from pilothouse.cli.rule_tests import test
from pilothouse.cli.slo import slo
from pilothouse.cli.up import up

USAGE = 3
OURS = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

EPILOG = """\b
Examples:
  pilothouse demo                          see three rehearsals of an example
  pilothouse rehearse k8s/ monitoring/     an ordinary day of your own files
  pilothouse rehearse alerts.yaml          rules only: which alerts fire, when
  pilothouse test rules alerts.test.yml    promtool's rule unit tests
  pilothouse backtest alerts.yml --from history.om
                                           which alerts would have fired, who would be woken
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
    invoke_without_command=True,
    no_args_is_help=False,
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error of ours.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> int | None:  # noqa: ARG001  (read by main, listed here for --help)
    """Rehearse production delivery files in virtual time: what scales, what breaks, which alerts fire."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return 0
    return None


cli.add_command(rehearse)
cli.add_command(demo)
cli.add_command(up)
cli.add_command(metrics)
cli.add_command(test)
cli.add_command(slo)
cli.add_command(budget)
cli.add_command(backtest)


@cli.command()
def version() -> int:
    """Print the version."""
    click.echo(f"pilothouse {__version__}")
    return 0


@cli.command(
    epilog="""\b
Examples:
  eval "$(pilothouse completion bash)"
  pilothouse completion zsh > ~/.zfunc/_pilothouse
  pilothouse completion fish > ~/.config/fish/completions/pilothouse.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(made(cli, {}, "pilothouse", "_PILOTHOUSE_COMPLETE").source())
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the installed command; ends the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    code = run(given)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
        _forget_stdout()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs a command line and gives its exit code. Shows errors on stderr, never a traceback unless `--debug`."""
    debug = "--debug" in arguments or bool(os.environ.get("PILOTHOUSE_DEBUG"))
    given = [a for a in arguments if a != "--debug"]
    stdout, stderr = sys.stdout, sys.stderr
    try:
        result = cli.main(given, prog_name="pilothouse", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped", err=True)
        return INTERRUPTED
    except SystemExit:
        # click turns a broken pipe into exit 1, which would read as "not met"; it has wrapped the streams by then.
        if sys.stdout is stdout:
            raise
        sys.stdout, sys.stderr = stdout, stderr
        _forget_stdout()
        return BROKEN_PIPE
    except Exception as error:
        return _explain(error, debug)
    return result if isinstance(result, int) else 0


def _explain(error: Exception, debug: bool) -> int:
    """One or two lines about what went wrong, and the exit code for it."""
    from pilothouse.base.errors import InputError, PilothouseError, TimeError

    if debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, InputError):
        click.echo(str(error.finding), err=True)
        return USAGE
    if isinstance(error, PilothouseError) and not isinstance(error, TimeError):
        click.echo(f"error PH503: {error}", err=True)
        return USAGE
    if isinstance(error, MemoryError):
        click.echo(
            "error PH504: out of memory\n    → rehearse fewer pods, a shorter duration, or use --jobs 1", err=True
        )
        return OURS
    text = str(error).strip() or "no message"
    click.echo(f"error PH900: {type(error).__name__}: {text}", err=True)
    click.echo("    → this is our mistake: please report it, with what the same command prints with --debug", err=True)
    return OURS


def _forget_stdout() -> None:
    """The reader has gone (`| head`): nothing may complain when the interpreter flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
