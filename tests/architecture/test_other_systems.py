"""Nothing that only POSIX systems have is called without asking whether it is there; Windows and macOS train too."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "traiNNer"
ONLY_POSIX = {
    "os": [
        "fork",
        "forkpty",
        "getuid",
        "geteuid",
        "getgid",
        "getpgid",
        "setsid",
        "killpg",
        "nice",
        "mkfifo",
        "statvfs",
        "sysconf",
        "sync",
        "uname",
        "chown",
        "sched_getaffinity",
        "sched_setaffinity",
        "O_NOFOLLOW",
        "O_NONBLOCK",
        "O_CLOEXEC",
        "O_DIRECTORY",
        "O_SYNC",
    ],
    "signal": [
        "SIGHUP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGALRM",
        "SIGPIPE",
        "SIGKILL",
        "SIGCHLD",
        "alarm",
        "setitimer",
        "pthread_kill",
        "sigwait",
    ],
}
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix"}
GUARDS = ("hasattr(", "getattr(", "os.name", "sys.platform", "except ImportError", "except (ImportError")


def unguarded(source: str) -> list[str]:
    """Return what a file takes for granted that other systems do not have, as `line: name`."""
    tree, found = ast.parse(source), []
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.attr if node.attr in ONLY_POSIX.get(node.value.id, ()) else ""
        elif isinstance(node, ast.Import):
            name = next((alias.name for alias in node.names if alias.name in MODULES), "")
        elif isinstance(node, ast.ImportFrom):
            name = node.module if node.module in MODULES else ""
        if name:
            around = [each for each in functions if each.lineno <= node.lineno <= (each.end_lineno or 0)]
            text = ast.get_source_segment(source, around[-1]) or "" if around else source
            if not any(guard in text for guard in GUARDS):
                found.append(f"{node.lineno}: {name}")
    return found


def test_only_what_every_system_has_is_taken_for_granted():
    found = {str(path): unguarded(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert {file: calls for file, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "statement", ["import fcntl", "from resource import getrusage", "os.getuid()", "signal.signal(signal.SIGHUP, f)"]
)
def test_call_that_only_posix_has_is_found(statement):
    assert unguarded(f"def f():\n    {statement}\n")
    assert not unguarded(f"def f():\n    if sys.platform == 'linux':\n        {statement}\n")
