"""Two terminals, one above the other, in which real programs run: tmux holds them, asciinema records what they show.

Invariant: what is recorded was printed by the programs; only waiting is shortened. Nothing of it runs afterwards.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "build" / "demo" / "bin"
COLUMNS, ROWS = 100, 38
"""As wide as a README shows without making it smaller, by 8 pixels a character."""
LOWER_ROWS = 13
LONGEST_PAUSE_SECONDS = 2
"""What a viewer waits at most where nothing moves."""
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.2
WORD_SECONDS = 0.12
"""Between two words that are typed."""
PROMPT = "$ "
UPPER, LOWER = "demo:0.0", "demo:0.1"
SETTINGS = """
set -g status off
set -g escape-time 0
set -g default-terminal screen-256color
set -g pane-border-style fg=blue
set -g pane-active-border-style fg=blue
"""
SHELL = "exec env PS1='\\[\\e[1;32m\\]$\\[\\e[0m\\] ' bash --noprofile --norc"


@dataclass(frozen=True)
class Terminal:
    """A tmux server of its own; panes are named UPPER and LOWER."""

    folder: Path
    environment: Mapping[str, str]

    def tmux(self, *arguments: str) -> str:
        """Tell the server something; what it answers."""
        answer = subprocess.run(
            ["tmux", "-u", "-S", str(self.folder / "tmux"), "-f", str(self.folder / "tmux.conf"), *arguments],
            env=dict(self.environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout

    def open_lower(self, **environment: str) -> None:
        """A second terminal below the first."""
        variables = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        self.tmux("split-window", "-v", "-l", str(LOWER_ROWS), "-t", UPPER, *variables, SHELL)
        self.until(LOWER, ready)

    def close_lower(self) -> None:
        """End the second terminal; the first has all the room again."""
        self.type(LOWER, "exit")
        time.sleep(1)

    def type(self, pane: str, words: str) -> None:
        """Type a line, word by word, and the return key."""
        for word in re.findall(r"\S+\s*", words):
            self.tmux("send-keys", "-t", pane, "-l", "--", word)
            time.sleep(WORD_SECONDS)
        self.tmux("send-keys", "-t", pane, "Enter")

    def run(self, words: str, *, read_seconds: float) -> None:
        """Type a command into the lower terminal, wait for its end, and give a viewer the time to read."""
        self.type(LOWER, words)
        self.until(LOWER, ready)
        time.sleep(read_seconds)

    def note(self, sentence: str) -> None:
        """Clear the lower terminal and type a comment."""
        self.tmux("send-keys", "-t", LOWER, "C-l")
        self.type(LOWER, f"# {sentence}")

    def shown(self, pane: str) -> str:
        """What a pane shows now."""
        return self.tmux("capture-pane", "-p", "-t", pane)

    def until(self, pane: str, holds: Callable[[str], bool]) -> None:
        """Wait until a pane shows something. Raises TimeoutError with what it shows."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        time.sleep(LOOK_SECONDS)
        while not holds(self.shown(pane)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s; the terminal shows:\n{self.shown(pane)}")
            time.sleep(LOOK_SECONDS)


def ready(shown: str) -> bool:
    """Whether the shell waits for a command."""
    return shown.rstrip("\n").splitlines()[-1:] == [PROMPT.rstrip()]


@contextmanager
def recorded(folder: Path, environment: Mapping[str, str], cast: Path) -> Iterator[Terminal]:
    """The upper terminal, recorded until the block ends."""
    (folder / "tmux.conf").write_text(SETTINGS, encoding="utf-8")
    terminal = Terminal(folder, environment)
    size = ["-x", str(COLUMNS), "-y", str(ROWS)]
    terminal.tmux("new-session", "-d", "-s", "demo", *size, SHELL)
    attach = f"tmux -u -S {folder / 'tmux'} attach -t demo"
    limits = ["--idle-time-limit", str(LONGEST_PAUSE_SECONDS), "--cols", str(COLUMNS), "--rows", str(ROWS)]
    recorder = subprocess.Popen(
        [TOOLS / "asciinema", "rec", "--quiet", "--overwrite", *limits, "--env", "TERM", "--command", attach, cast],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        terminal.until(UPPER, ready)
        yield terminal
    finally:
        terminal.tmux("kill-server")
        recorder.wait(PATIENCE_SECONDS)
