"""Words that go around the four taps (clock, randomness, network, disk) stay in the rooms that own them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pilothouse"

# word → (who may use it, what to use instead)
BANNED: dict[str, tuple[tuple[str, ...], str]] = {
    r"\btime\.(time|monotonic|perf_counter|process_time|time_ns|localtime|gmtime)\b": (
        # The second process of --verify shifts the wall clock on purpose.
        ("base/clock.py", "assemble/second_process.py"),
        "base.clock.Clock",
    ),
    r"\b_time\.": (("base/clock.py",), "base.clock.Clock"),
    r"\bdatetime\.(now|utcnow|today)\b|\bdate\.today\b": ((), "base.clock.Clock"),
    r"\btime\.sleep\b|\bfrom time import\b": (("base/guard.py",), "await asyncio.sleep"),
    r"^\s*(import|from) (random|secrets|uuid)\b": ((), "base.entropy.Entropy"),
    r"\bnp\.random\.(seed|rand|randn|randint|default_rng|normal|choice|shuffle|RandomState)\b": (
        (),
        "base.entropy.Entropy.stream",
    ),
    r"\bnp\.random\.(PCG64|Generator)\(": (("base/entropy.py",), "base.entropy.Entropy.stream"),
    r"\burandom\b|\bgetrandbits\b": ((), "base.entropy.Entropy"),
    r"^\s*(import|from) (threading|_thread|concurrent)\b": (
        ("base/guard.py",),
        "asyncio tasks; seeds run as processes of cli",
    ),
    r"^\s*(import|from) (multiprocessing|subprocess)\b": (
        ("cli/", "assemble/processes.py"),
        "a port of the live world",
    ),
    r"\brun_in_executor\b|\bto_thread\b": (
        # A commit waits for the disk; the loop goes on meanwhile.
        ("base/virtual_loop.py", "store/disk.py"),
        "asyncio tasks",
    ),
    r"^\s*(import|from) (socket|ssl|http|urllib\.request)\b": (("wire/", "signals/metrics/http_fetch.py"), "a port"),
}


def _offences(pattern: str, allowed: tuple[str, ...]) -> list[str]:
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        if name.startswith(allowed):
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


@pytest.mark.parametrize("pattern", BANNED, ids=lambda p: p[:40])
def test_nothing_goes_around_the_taps(pattern: str) -> None:
    allowed, instead = BANNED[pattern]
    offences = _offences(pattern, allowed) if allowed else _offences(pattern, ("//",))
    assert not offences, f"use {instead} instead:\n  " + "\n  ".join(offences)


def test_the_search_would_find_an_offence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.py").write_text("import uuid\nstarted = time.time()\n")
    monkeypatch.setattr("tests.tidy.test_banned_words.SOURCE", tmp_path)
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    hits = [p for p, (allowed, _) in BANNED.items() if _offences(p, allowed or ("//",))]
    assert len(hits) == 2


def test_no_registry_host_and_no_machine_path_is_committed() -> None:
    root = SOURCE.parents[1]
    words = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian|/root/|" + "/wo" + "rk/")
    found = []
    for file in sorted(root.rglob("*")):
        parts = file.relative_to(root).parts
        if not file.is_file() or parts[0].startswith((".venv", ".git", ".mypy", ".ruff", ".pytest", ".hypo", "build")):
            continue
        if file.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".cfg", ""}:
            text = file.read_text(errors="ignore")
            if match := words.search(text):
                found.append(f"{file.relative_to(root)}: {match[0]}")
    assert not [f for f in found if not f.startswith("tests/tidy/")]
