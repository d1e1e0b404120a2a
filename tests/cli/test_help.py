"""What stands on the surface of the command line, and how light it is."""

import subprocess
import sys

import pytest

from janus import __version__
from janus.cli.common import EXIT_CODES
from janus.errors import JanusError

RESULTS = "--json"
MESSAGES = "-q --quiet -v --verbose"
MODEL = "-m --model --device --dtype --quantize --offline"
TEXT = "--max-tokens --temperature --top-p --top-k --seed --stop"
OPTIONS = {
    "caption": f"{TEXT} {MODEL} {RESULTS} {MESSAGES}",
    "ask": f"{TEXT} --together {MODEL} {RESULTS} {MESSAGES}",
    "draw": "-n --count --seed --guidance --temperature --top-k --top-p --style --list-styles "
    "--reference --no-reference --best -o --output --format --quality --like --from "
    f"{MODEL} {RESULTS} {MESSAGES}",
    "chat": f"{TEXT} {MODEL} {RESULTS} {MESSAGES}",
    "web": f"--host --port --share --open --no-open --library {MODEL} {MESSAGES}",
    "serve": "--host --port --web --no-web --keys --new-key --slots --context --max-waiting "
    "--max-seconds --drain-seconds --tokens-per-minute --fetch-from --name --log-contents "
    f"--ray --replicas {MODEL} {MESSAGES}",
    "bench": "--random --steps --pictures --windows --drawings --against --plot --suite "
    f"{MODEL} {RESULTS} {MESSAGES}",
    "bench serve": f"--clients --rate --seconds --draw-share --key {RESULTS} {MESSAGES}",
    "info": f"{RESULTS} {MESSAGES}",
    "doctor": f"{MODEL} {RESULTS} {MESSAGES}",
    "space build": f"-m --model {RESULTS} {MESSAGES}",
    "space push": f"-m --model --dry-run --private {RESULTS} {MESSAGES}",
    "weights list": f"{RESULTS} {MESSAGES}",
    "weights get": f"--offline {RESULTS} {MESSAGES}",
    "weights verify": f"{RESULTS} {MESSAGES}",
    "weights upcycle": "--recipe --slices --experts --experts-per-token --shared --copies "
    f"--first-dense --seed --offline {RESULTS} {MESSAGES}",
    "weights quantize": f"--to --offline {RESULTS} {MESSAGES}",
    "eval parity": f"--dtype --device --tokens --offline {RESULTS} {MESSAGES}",
    "eval emoji": f"--limit --guidance --sheet --shuffle-routers {MODEL} {RESULTS} {MESSAGES}",
    "eval guidance": f"--limit --picture {MODEL} {RESULTS} {MESSAGES}",
    "eval precision": f"--against --types --device --offline {RESULTS} {MESSAGES}",
    "eval routing": "--scenes --see --draw --picture --shuffle --device --dtype --offline "
    f"{RESULTS} {MESSAGES}",
    "train curves": f"-o --output {RESULTS} {MESSAGES}",
    "train emoji": f"--out --run --steps --dense --encoders --device {RESULTS} {MESSAGES}",
}


def options_of(help: str) -> set[str]:
    first_words = [line.split("  ")[1] for line in help.splitlines() if line.startswith("  -")]
    return {word.strip(",/") for words in first_words for word in words.split() if word[0] == "-"}


@pytest.mark.parametrize("command", OPTIONS)
def test_options_change_on_purpose_only(run, command):
    result = run(*command.split(), "--help")
    assert options_of(result.stdout) == {*OPTIONS[command].split(), "-h", "--help"}
    example = result.stdout.index(f"  janus {command}")
    assert example < result.stdout.index("\nOptions:\n")


def test_all_commands_are_listed_here(run):
    listed = run("--help").stdout
    for command in OPTIONS:
        assert f"\n  {command.split()[0]} " in listed


def test_exit_codes_are_documented(run):
    help = run("--help").stdout
    kinds = [JanusError, *JanusError.__subclasses__()]
    assert {kind.exit_code for kind in kinds} <= EXIT_CODES.keys()
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in help


def test_version(run):
    assert run("--version").stdout == f"janus {__version__}\n"


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "janus", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.split()[-1] == __version__


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from janus.cli.main import app; sys.argv = ['janus', '--help']\n"
        "try: app()\n"
        "finally: print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    heavy = {"torch", "transformers", "numpy", "PIL", "huggingface_hub", "gradio", "rich", "tqdm"}
    assert done.returncode == 0
    assert "typer" in done.stderr.split()
    assert not heavy & set(done.stderr.split())
