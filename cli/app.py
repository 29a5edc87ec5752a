"""The command line: one small file a command; this one only lists them and turns errors into messages."""

import os
import sys

import typer

from cli import (
    alma,
    aws_env,
    bench,
    chaos,
    check,
    dlq,
    down,
    feed,
    logs,
    outputs,
    package,
    pins,
    preview,
    pulumi,
    query,
    queue,
    reset,
    review,
    secret,
    status,
    test,
    token,
    up,
    wait,
)

app = typer.Typer(
    help="Millrace: one Pulumi program, two clouds. Type `./millrace up` to run it on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up.up)
app.command()(feed.feed)
app.command()(wait.wait)
app.command()(status.status)
app.command()(preview.preview)
app.command()(review.review)
app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False}
)(pulumi.pulumi)
app.command()(package.package)
app.command()(query.query)
app.command()(logs.logs)
app.add_typer(dlq.app, name="dlq")
app.add_typer(queue.app, name="queue")
app.add_typer(alma.app, name="alma")
app.command()(outputs.outputs)
app.command()(secret.secret)
app.command()(token.token)
app.command("aws-env")(aws_env.aws_env)
app.command()(down.down)
app.command()(reset.reset)
app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(test.test)
app.command()(check.check)
app.command()(bench.bench)
app.command()(chaos.chaos)
app.command()(pins.pins)

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended


def main() -> None:
    """Run; an error that was expected is a message and exit 1, Ctrl-C is exit 130."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reports every orderly shutdown otherwise
    try:
        app(prog_name="./millrace")
    except (KeyboardInterrupt, SystemExit) as stop:
        # Typer turns Ctrl-C into exit 130 without a word.
        if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:
            raise
        _fail("stopped; a local cloud that ran before this command still runs (see ./millrace status)", INTERRUPTED)
    except Exception as error:
        if not _expected(error):
            raise
        _fail(str(error), 1)


def _expected(error: Exception) -> bool:
    """Whether the error's text is meant for the user."""
    from localcloud.session.messages import EXPECTED  # late: `--help` must not load the SDKs

    return isinstance(error, EXPECTED)


def _fail(message: str, code: int) -> None:
    print(f"millrace: {message}", file=sys.stderr)
    sys.exit(code)
