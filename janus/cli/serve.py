"""`janus serve`: an OpenAI-compatible service, with the studio beside it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, ModelOptions
from janus.cli.ports import Host, free_port, port_option
from janus.errors import MissingExtraError, UsageError
from weights.hub import locate

if TYPE_CHECKING:
    from janus.server.replicas import ReplicaSettings

FIRST_PORT = 8000


@command
def serve(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[int | None, port_option(FIRST_PORT)] = None,
    web: Annotated[
        bool | None,
        typer.Option(
            "--web/--no-web",
            help="The studio as well, at /. [default: yes, except with --ray]",
            show_default=False,
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="JANUS_KEYS", help="Let in only who has a key of this file."
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Add a key to --keys FILE, print it and end."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Rows at once; a guided picture takes two. [default: what fits, at most 32]",
            show_default=False,
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="Tokens of a row at most. [default: as many as the model takes]",
            show_default=False,
        ),
    ] = None,
    max_waiting: Annotated[
        int, typer.Option(min=0, help="Rows that may queue; more are refused with 429.")
    ] = 64,
    max_seconds: Annotated[float, typer.Option(min=1, help="Of a request.")] = 300.0,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="That running requests have when the server stops.")
    ] = 30.0,
    tokens_per_minute: Annotated[
        int | None,
        typer.Option(min=1, help="Of each key: tokens times rows.", show_default=False),
    ] = None,
    fetch_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Fetch pictures from there (*.example.org, or * for all); repeatable.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model, beside its own name.")
    ] = None,
    log_contents: Annotated[
        bool, typer.Option("--log-contents", help="Log prompts and answers, too.")
    ] = False,
    ray: Annotated[
        bool,
        typer.Option("--ray", help="Run replicas with Ray Serve; RAY_ADDRESS names its cluster."),
    ] = False,
    replicas: Annotated[
        str,
        typer.Option(metavar="N", help="With --ray: how many, or from 1-4, as the load needs."),
    ] = "1",
    model: ModelOptions,
    messages: Messages,
) -> None:
    """Serve a model to OpenAI's clients: chat, pictures, and the studio.

    \b
    janus serve
    janus serve --model janus-pro-1b --quantize int8 --port 8000 --no-web
    janus serve --new-key alice --keys keys.txt
    janus serve --keys keys.txt --host 0.0.0.0 --tokens-per-minute 60000
    janus serve --ray --replicas 2
    """
    try:
        import prometheus_client  # noqa: F401

        from janus.server import app as server
        from janus.server import keys as api_keys
        from janus.server.logs import write_logs
        from janus.server.replicas import ReplicaSettings
        from janus.server.run import serve as run
    except ImportError as error:
        raise MissingExtraError(
            f"The service cannot start: {error}.",
            "Install it with: pip install 'janus-multimodal[server]'",
        ) from error
    if new_key is not None:
        if keys is None:
            raise UsageError("--new-key needs --keys FILE.", "Say where the keys are kept.")
        print(api_keys.new_key(new_key, keys))
        return
    if ray and web:
        raise UsageError("The studio keeps to one process.", "Leave out --ray, or --web.")
    if replicas != "1" and not ray:
        raise UsageError("--replicas needs --ray.", "Add it, or leave out --replicas.")
    settings = ReplicaSettings(
        model=model.name,
        device=model.device,
        dtype=model.dtype or "auto",
        quantize=model.quantize,
        offline=model.offline,
        slots=slots,
        context=context,
        name=name,
        replicas=replicas,
        keys_file=keys,
        max_waiting=max_waiting,
        max_seconds=max_seconds,
        drain_seconds=drain_seconds,
        tokens_per_minute=tokens_per_minute,
        fetch_from=tuple(fetch_from or ()),
        log_contents=log_contents,
    )
    chosen = free_port(host, port, first=FIRST_PORT)
    if ray:
        if keys is not None:
            api_keys.Keys(keys)
        _serve_replicas(settings, messages, host, chosen)
        return
    janus = model.load(messages)
    app = server.create_app(
        janus, settings, slots=slots, context=context, name=name, aliases=(model.name,)
    )
    if web is not False:
        try:
            from webui.app import mount
        except ImportError as error:
            raise MissingExtraError(
                f"The studio cannot start: {error}.", "Use --no-web, or: pip install gradio"
            ) from error
        mount(app, janus)
    write_logs()
    _announce(messages, janus.name, host, chosen, is_open=keys is None)
    if web is not False and not messages.quiet:
        print(f"The studio is at http://{host}:{chosen}", file=sys.stderr)
    run(app, host=host, port=chosen)


def _serve_replicas(settings: "ReplicaSettings", messages: Messages, host: str, port: int) -> None:
    # Ray reads them when it is imported: it would report its use to its makers, install everything
    # anew for each replica under `uv run`, and show but one of log lines that resemble each other.
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_DEDUP_LOGS"):
        os.environ.setdefault(name, "0")
    try:
        from janus.server import cluster
    except ImportError as error:
        raise MissingExtraError(
            f"Replicas cannot start: {error}.",
            "Install it with: pip install 'janus-multimodal[server,ray]'",
        ) from error
    messages.note(f"Starting replicas of {settings.model} ...")
    if "RAY_ADDRESS" not in os.environ:
        locate(settings.model, local_files_only=settings.offline)  # once, before all want it
    with cluster.serving(settings.at_home(), host=host, port=port):
        _announce(messages, settings.model, host, port, is_open=settings.keys_file is None)
        cluster.wait_for_a_signal()


def _announce(messages: Messages, model: str, host: str, port: int, *, is_open: bool) -> None:
    if messages.quiet:
        return
    print(f"{model} is served at http://{host}:{port}/v1", file=sys.stderr, flush=True)
    if is_open and host not in ("127.0.0.1", "localhost", "::1"):
        print("Anybody who reaches this address may use it: see --keys.", file=sys.stderr)
