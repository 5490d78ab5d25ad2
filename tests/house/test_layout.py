from __future__ import annotations

import ast
import fnmatch
import re
from pathlib import Path

TOP_LEVEL = {
    *("gateway", "drivers", "buffer", "provisioning", "hil", "systemd", "tests", "docs"),
    *("pyproject.toml", "requirements.lock", "Makefile"),
    *("README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"),
}
MOST_LINES = 400
MOST_FUNCTION_LINES = 60
REASON_WITHIN_LINES = 20
"""How far down the top of a module or function reaches."""

VAGUE_NAMES = {"utils", "util", "common", "manager", "helper", "helpers", "base", "misc"}
UNITLESS = {"timeout", "interval", "delay", "period", "duration", "age", "latency", "deadline", "elapsed"}

WITHOUT_OWN_TEST = {
    "*/__init__.py": "holds a sentence, no code",
    "drivers/kit/contract.py": "protocols only; the driver contract suite is their test",
    "drivers/kit/errors.py": "names of errors; raised and caught in the tests of who raises them",
    "buffer/errors.py": "names of errors; raised and caught in the tests of who raises them",
    "buffer/settings.py": "bounds and plain types; the spool's and the writer's tests fill and compare them",
    "gateway/errors.py": "names of errors; raised and caught in the tests of who raises them",
    "gateway/uplink/message.py": "plain types; the dialect's and the sender's tests fill and compare them",
    "gateway/uplink/transport.py": "a protocol only; the transports' tests are its test",
    "buffer/disk.py": "translates errors of the disk; the spool's and the snapshots' tests provoke them",
    "buffer/owner.py": "the writer's thread; the writer's tests are its tests",
    "gateway/alarm_usage.py": "names of commands; test_cli runs each of them as a process",
    "gateway/commands/alarms.py": "thin commands; test_cli starts them as processes",
    "gateway/commands/limits.py": "thin commands; test_cli starts them as processes",
    "gateway/commands/asking.py": "thin commands; test_cli starts them as processes",
    "gateway/commands/check.py": "thin commands; test_cli starts them as processes",
    "gateway/commands/receive.py": "thin commands; test_cli starts them as processes",
    "gateway/commands/warnings.py": "thin commands; the receiver's test_warn starts them as processes",
    "gateway/sections.py": "what may stand in gateway.toml; config's tests fill it",
    "gateway/uplink/link.py": "one connection of a sender; the sender's tests are its tests",
    "gateway/plant.py": "plain types; config's and points' tests fill and compare them",
}


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _excused(top: str, most: int) -> bool:
    return re.search(rf"(?:Over|Longer than) {most} lines(?:,? because|:) \w", top) is not None


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_top_level_holds_what_the_layout_knows(checkout: Path):
    ignored = (checkout / ".gitignore").read_text(encoding="utf-8").split()
    found = {
        entry.name
        for entry in checkout.iterdir()
        if not entry.name.startswith(".")
        and not any(fnmatch.fnmatch(entry.name, pattern.rstrip("/")) for pattern in ignored)
    }
    assert found - TOP_LEVEL == set()


def test_systemd_holds_no_python(checkout: Path):
    assert list((checkout / "systemd").rglob("*.py")) == []


def test_names_say_what_is_inside(modules: list[Path]):
    assert [path for path in modules if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES] == []


def test_a_long_module_or_function_says_why(checkout: Path, modules: list[Path]):
    long = []
    for path in modules:
        lines = (checkout / path).read_text(encoding="utf-8").splitlines()
        top = "\n".join(lines[:REASON_WITHIN_LINES])
        if len(lines) > MOST_LINES and not _excused(top, MOST_LINES):
            long.append(f"{path}: {len(lines)} lines")
        for function in _functions(_tree(checkout / path)):
            assert function.end_lineno is not None
            length = function.end_lineno - function.lineno + 1
            top = "\n".join(lines[function.lineno - 1 : function.lineno + REASON_WITHIN_LINES])
            if length > MOST_FUNCTION_LINES and not _excused(top, MOST_FUNCTION_LINES):
                long.append(f"{path}:{function.lineno}: {function.name} has {length} lines")
    assert not long, "\n".join(long)


def test_every_module_has_its_test(checkout: Path, modules: list[Path]):
    untested = [
        path.as_posix()
        for path in modules
        if not any(fnmatch.fnmatch(path.as_posix(), pattern) for pattern in WITHOUT_OWN_TEST)
        and not (checkout / "tests" / path.parent / f"test_{path.name}").exists()
    ]
    assert not untested, "\n".join(untested)


def test_the_exceptions_to_that_are_still_needed(checkout: Path, modules: list[Path]):
    for pattern in WITHOUT_OWN_TEST:
        matching = [path for path in modules if fnmatch.fnmatch(path.as_posix(), pattern)]
        assert matching, f"{pattern} matches nothing"
        tested = [
            path for path in matching if (checkout / "tests" / path.parent / f"test_{path.name}").exists()
        ]
        assert tested == []


def test_every_driver_has_its_page(checkout: Path):
    drivers = [path for path in (checkout / "drivers").glob("*.py") if path.stem != "__init__"]
    assert [path.name for path in drivers if not path.with_suffix(".md").exists()] == []


def test_every_room_has_its_page(checkout: Path, rooms: tuple[str, ...]):
    assert [
        room for room in (*rooms, "systemd", "tests", "docs") if not (checkout / room / "README.md").exists()
    ] == []


def test_nothing_is_left_to_do_and_no_path_of_a_developers_machine_is_named(
    checkout: Path, texts: list[Path]
):
    left = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME)\b")
    machine = re.compile(r"(?<![\w.$}])/(?:work|farm|root|home)/[A-Za-z.]")
    found = []
    for path in texts:
        for number, line in enumerate((checkout / path).read_text(encoding="utf-8").splitlines(), 1):
            if left.search(line) or machine.search(line):
                found.append(f"{path}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_no_test_mocks(checkout: Path):
    named = re.compile(r"\b(?:unittest\." + r"mock|Magic" + r"Mock|Async" + r"Mock|mocker\.)")
    tests = (checkout / "tests").rglob("*.py")
    assert [path.name for path in tests if named.search(path.read_text(encoding="utf-8"))] == []


def test_times_carry_their_unit_last(checkout: Path, modules: list[Path]):
    unitless = []
    for path in modules:
        tree = _tree(checkout / path)
        # Private functions may have to bear the names of the library's method they stand in for.
        named = [
            (a.arg, a.annotation, a.lineno)
            for f in _functions(tree)
            if not f.name.startswith("_")
            for a in (*f.args.args, *f.args.kwonlyargs)
        ]
        named += [
            (node.target.id, node.annotation, node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]
        for name, annotation, line in named:
            number = isinstance(annotation, ast.Name) and annotation.id == "float"
            if number and name.rsplit("_", 1)[-1] in UNITLESS:
                unitless.append(f"{path}:{line}: {name}")
    assert not unitless, "\n".join(unitless)


def test_every_rule_that_ruff_ignores_has_its_reason(checkout: Path):
    text = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if re.fullmatch(r'  "[A-Z]+[0-9]*",.*', line)]
    assert len(rules) > 10
    assert [line for line in rules if not re.search(r"#\s*\w+", line)] == []
