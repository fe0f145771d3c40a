"""`pilothouse up`: serve the Kubernetes API on this machine until interrupted."""

from __future__ import annotations

import click

EPILOG = """\b
Examples:
  pilothouse up --no-node                        the API and its controllers, nothing runs
  pilothouse up --no-node --kubeconfig kube.conf write how to reach it there
  pilothouse up --no-node --data ./state         keep everything in a folder
"""


@click.command(epilog=EPILOG)
@click.option("--no-node", is_flag=True, help="Run no pods: the API and its controllers only.")
@click.option("--api-only", is_flag=True, help="No controllers either; only aggregated roles are filled.")
@click.option("--data", metavar="DIR", help="Keep objects, keys and certificates here; in memory without it.")
@click.option("--api-port", type=click.IntRange(0, 65535), default=6443, show_default=True, help="0 picks a free port.")
@click.option("--bind-address", metavar="A", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--token-auth-file", metavar="F", help='Users by token: lines of token,user,uid,"group,group".')
@click.option("--kubeconfig", metavar="F", help="Write a kubeconfig for the administrator here.")
def up(
    no_node: bool,
    api_only: bool,
    data: str | None,
    api_port: int,
    bind_address: str,
    token_auth_file: str | None,
    kubeconfig: str | None,
) -> int:
    """Serve the Kubernetes API on this machine until interrupted."""
    if not no_node:
        raise click.UsageError("nodes that run pods are not there yet: add --no-node")
    from pilothouse.assemble.serving import ServeOptions, serve

    return serve(
        ServeOptions(
            bind_address=bind_address,
            port=api_port,
            data=data,
            token_auth_file=token_auth_file,
            kubeconfig=kubeconfig,
            controllers=not api_only,
            say=lambda text: click.echo(text),
        )
    )
