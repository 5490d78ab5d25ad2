"""Mutation check of the judgement of alarms; run by ``make mutants``.

mutmut makes the mutants and the switch that turns one on. Here they are run: the tests are collected and run once, in
one process, which notes what each test reaches; then each mutant is turned on in a fork of that process, which runs
the tests that reach its function until one fails. Hypothesis draws few examples, always the same ones.

What no test sees may still be seen by mypy, which reads every mutant once; that is counted apart.

    python .ci/mutants.py FOLDER_OF_MUTMUT WORKING_FOLDER

Everything happens in a copy under WORKING_FOLDER. Verdicts are kept there: a run that was stopped goes on, and after
a change of code or tests each mutant is first shown to the test that killed it last time.

Over 400 lines because it is one program outside every package: making, running, judging and listing in this order.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MUTATED = ("gateway/engine.py", "gateway/alarm/*.py")
COPIED = ("drivers", "buffer", "gateway", "hil", "provisioning", "tests", "systemd", "docs", "pyproject.toml")
TESTS = (
    "tests/gateway/alarm",
    "tests/gateway/test_engine.py",
    "tests/gateway/replay/test_play.py",
    "tests/gateway/test_balances.py",
    "tests/gateway/test_alarm_states.py",
    "tests/gateway/test_limit_rules.py",
)
LEFT_OUT = "not named_mutant and not same_twice and not every_transition"
"""Tests of tests, those that start processes, those that play every script again."""
EXAMPLES = 25
WANTED = 0.90
CPU_S = 20
WALL_S = 120
"""What one mutant may take; one that never ends is seen by this."""
MEMORY_B = 6 << 30
TYPES = "types"
SWITCHES = """
from collections.abc import Callable
from typing import Any, TypeVar
F = TypeVar("F", bound=Callable[..., Any])
MutantDict = dict[str, F]
def wrap_in_trampoline(mutants_dict: Any, is_classmethod: bool = False) -> Callable[[F], F]: ...
"""
"""What mypy is told of mutmut's switches: a function with one has the type it had."""
REASONS = Path("tests/gateway/alarm/survivors.txt")


@dataclass(frozen=True)
class Mutant:
    """One way to break one function.

    Attributes:
        switch: mutmut's name, which turns it on.
        function: mutmut's name of the function.
        place: file and function, as people write them.
        minus: the lines it takes away, joined.
        plus: those it puts there.
        lines: where its function stands in the module with switches, first and last.
        key: the same after a change elsewhere.
    """

    switch: str
    function: str
    place: str
    minus: str
    plus: str
    lines: tuple[int, int]
    key: str


@dataclass
class Verdict:
    """What became of a mutant.

    Attributes:
        killer: the test that saw it, ``TYPES``, "time" where it never ended; "" for none.
        judged: digest of the code and tests it was judged with.
    """

    killer: str
    judged: str


@dataclass
class Verdicts:
    """All of them, kept in a file."""

    path: Path
    by_key: dict[str, Verdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            kept = json.loads(self.path.read_text("utf-8"))
            self.by_key = {key: Verdict(*one) for key, one in kept.items()}

    def save(self) -> None:
        """To the file, whole or not at all."""
        lines = {key: [one.killer, one.judged] for key, one in self.by_key.items()}
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(lines, ensure_ascii=False, indent=0), "utf-8")
        beside.replace(self.path)


def main(tool: Path, here: Path) -> int:
    """Copy, break, run, count."""
    reasons = read_reasons(REASONS)
    chosen = os.environ.get("MODULES", "").split()
    tree = here / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in COPIED:
        source = Path(name)
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tree / name)
    digest = digest_of(tree)
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.mutmut]\nsource_paths = ["gateway"]\n')
    here = here.resolve()
    verdicts = Verdicts(here / "verdicts.json")
    sys.path.insert(0, str(tree.resolve()))
    sys.path.append(str(tool.resolve()))
    os.chdir(tree)
    mutants = [one for path in mutated_files(chosen) for one in broken(path)]

    import pytest  # noqa: PLC0415 - mutmut must come from its folder, pytest from the house

    runner = Runner(mutants, verdicts, digest, misfits(mutants, here))
    code = pytest.main(
        [*TESTS, "-k", LEFT_OUT, "-s", "-q", "--tb=native", "-p", "no:cacheprovider", "-p", "no:xdist"],
        plugins=[runner],
    )
    if code or not runner.ran:
        print("the tests must be green before mutants say anything")
        return 1
    return report(mutants, verdicts, reasons, whole=not chosen)


def digest_of(tree: Path) -> str:
    """Of all code and tests that are read."""
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        if path.suffix in {".py", ".txt", ".toml"}:
            digest.update(str(path.relative_to(tree)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def mutated_files(chosen: Iterable[str]) -> list[Path]:
    """The modules, those chosen or all."""
    paths = [path for pattern in MUTATED for path in sorted(Path().glob(pattern))]
    return [path for path in paths if path.stem in chosen] if chosen else paths


def broken(path: Path) -> Iterator[Mutant]:
    """Every mutant of one module; the module in the copy becomes the one with switches."""
    from mutmut.mutation.file_mutation import mutate_file_contents  # noqa: PLC0415
    from mutmut.utils.format_utils import (  # noqa: PLC0415
        get_mutant_name,
        mangled_name_from_mutant_name,
        orig_function_and_class_names_from_key,
    )

    made = mutate_file_contents(str(path), path.read_text("utf-8"))
    path.write_text(made.code, "utf-8")
    lines = made.code.splitlines()
    seen: Counter[str] = Counter()

    def body(name: str) -> list[str]:
        span = made.line_span_by_function_name[name]
        return [
            line.split("# type: ignore # mutmut generated")[0].rstrip()
            for line in lines[span.start - 1 : span.end]
        ]

    for name in made.mutant_names:
        switch = get_mutant_name(path, name)
        function = mangled_name_from_mutant_name(switch)
        said, inside = orig_function_and_class_names_from_key(switch)
        place = f"{path} {inside + '.' if inside else ''}{said}"
        original = mangled_name_from_mutant_name(name) + "__mutmut_orig"
        before = [line.replace(original, said) for line in body(original)]
        after = [line.replace(name, said) for line in body(name)]
        minus, plus = changed_lines(before, after)
        key = f"{place}\n{minus}\n{plus}"
        seen[key] += 1
        span = made.line_span_by_function_name[name]
        yield Mutant(switch, function, place, minus, plus, (span.start, span.end), f"{key}\n{seen[key]}")


def misfits(mutants: list[Mutant], here: Path) -> set[str]:
    """The switches of those that mypy does not let pass.

    Code that is never reached is none of its business here, nor that a constructor and its mutants declare the same.
    """
    stub = here / "stubs/mutmut/mutation/trampoline.pyi"
    stub.parent.mkdir(parents=True, exist_ok=True)
    stub.write_text(SWITCHES, "utf-8")
    for package in stub.parents[:2]:
        (package / "__init__.pyi").touch()
    owner = {
        (one.place.split()[0], line): one.switch
        for one in mutants
        for line in range(one.lines[0], one.lines[1] + 1)
    }
    files = sorted({file for file, _ in owner})
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "mypy", "--no-warn-unreachable", "--cache-dir", str(here / "mypy"), *files],
        env=os.environ | {"MYPYPATH": str(here / "stubs")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = (line.split(":", 3) for line in done.stdout.splitlines())
    errors = (
        (one[0], int(one[1]))
        for one in said
        if len(one) == 4 and one[2] == " error" and "[no-redef]" not in one[3]
    )
    return {owner[place] for place in errors if place in owner}


def changed_lines(before: list[str], after: list[str]) -> tuple[str, str]:
    """What a mutant takes away and puts there, without the indentation."""
    minus: list[str] = []
    plus: list[str] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            minus += before[a:b]
            plus += after[c:d]
    return " ".join(map(str.strip, minus)), " ".join(map(str.strip, plus))


class Runner:
    """A plugin of pytest that runs mutants where pytest would run tests."""

    def __init__(self, mutants: list[Mutant], verdicts: Verdicts, digest: str, misfits: set[str]) -> None:
        self.mutants = mutants
        self.misfits = misfits
        self.verdicts = verdicts
        self.digest = digest
        self.ran = False
        self.reached: dict[str, list[Any]] = defaultdict(list)
        self.seconds: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Hypothesis: few examples, always the same, no search for the smallest."""
        from hypothesis import HealthCheck, Phase, settings  # noqa: PLC0415

        for item in items:
            given = getattr(item.obj, "_hypothesis_internal_use_settings", None)
            if given is not None:
                item.obj._hypothesis_internal_use_settings = settings(  # noqa: SLF001
                    given,
                    max_examples=min(given.max_examples, EXAMPLES),
                    derandomize=True,
                    database=None,
                    deadline=None,
                    phases=(Phase.explicit, Phase.generate),
                    suppress_health_check=list(HealthCheck),
                )

    def pytest_runtestloop(self, session: Any) -> bool:
        """All tests once, then all mutants."""
        items = session.items
        import gateway  # noqa: PLC0415

        assert str(Path(gateway.__file__).resolve()).startswith(str(Path.cwd())), "not the copy"
        if not all(self._once(item) for item in items):
            session.testsfailed = 1
            return True
        self.ran = True
        self._all()
        return True

    def _once(self, item: Any) -> bool:
        from mutmut.mutation.trampoline import set_mutant_under_test  # noqa: PLC0415
        from mutmut.state import state  # noqa: PLC0415

        set_mutant_under_test("stats")
        began = time.perf_counter()
        failure = failed(item)
        self.seconds[item.nodeid] = time.perf_counter() - began
        hit = state()._stats  # noqa: SLF001
        for function in hit:
            self.reached[function].append(item)
        hit.clear()
        if failure:
            print(failure)
        return not failure

    def _all(self) -> None:
        running: dict[int, tuple[Mutant, int]] = {}
        children = int(os.environ.get("CHILDREN", "2"))
        kills: dict[str, Counter[str]] = defaultdict(Counter)
        saved, module = time.monotonic(), ""
        for one in self.mutants:
            known = self.verdicts.by_key.get(one.key)
            if known and known.killer:
                kills[one.function][known.killer] += 1
        for number, one in enumerate(self.mutants, 1):
            if (file := one.place.split()[0]) != module:
                module = file
                print(f"from {number} of {len(self.mutants)}: {module}", flush=True)
            known = self.verdicts.by_key.get(one.key)
            if known and known.judged == self.digest:
                continue
            last = known.killer if known else ""
            typed = TYPES if one.switch in self.misfits else ""
            if one.function not in self.reached or (typed and last == TYPES):
                self.verdicts.by_key[one.key] = Verdict(typed, self.digest)
                continue
            order = sorted(
                self.reached[one.function],
                key=lambda item: (
                    item.nodeid != last,
                    -kills[one.function][item.nodeid],
                    self.seconds[item.nodeid],
                ),
            )
            while len(running) >= children:
                self._reap(running, kills)
            self._start(one, order, running)
            if time.monotonic() - saved > 10:
                self.verdicts.save()
                saved = time.monotonic()
        while running:
            self._reap(running, kills)
        self.verdicts.save()

    def _start(self, one: Mutant, order: list[Any], running: dict[int, tuple[Mutant, int]]) -> None:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writer)
            running[pid] = (one, reader)
            return
        from mutmut.mutation.trampoline import set_mutant_under_test  # noqa: PLC0415

        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_B, MEMORY_B))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(WALL_S)
            set_mutant_under_test(one.switch)
            for item in order:
                if failed(item):
                    os.write(writer, item.nodeid.encode())
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(2)

    def _reap(self, running: dict[int, tuple[Mutant, int]], kills: dict[str, Counter[str]]) -> None:
        pid, status = os.wait()
        one, reader = running.pop(pid)
        killer = os.read(reader, 4096).decode()
        os.close(reader)
        if not killer:
            killer = "time" if status else TYPES if one.switch in self.misfits else ""
        else:
            kills[one.function][killer] += 1
        self.verdicts.by_key[one.key] = Verdict(killer, self.digest)


def failed(item: Any) -> str:
    """Run one test; how it failed, "" if it did not."""
    from _pytest.runner import runtestprotocol  # noqa: PLC0415

    for one in runtestprotocol(item, log=False, nextitem=None):
        if one.failed:
            return f"{one.nodeid}\n{one.longreprtext}"
    return ""


def read_reasons(path: Path) -> dict[tuple[str, str, str], str]:
    """Of each survivor that is known why it survives: (place, minus, plus) -> reason.

    A block names the place; below it pairs of ``- line`` and ``+ line``, and below one or several pairs ``= reason``.
    """
    reasons: dict[tuple[str, str, str], str] = {}
    place, minus, pairs = "", "", []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        sign, _, text = line.partition(" ")
        if not line or sign == "#":
            continue
        if sign == "-":
            minus = text.strip()
        elif sign == "+":
            pairs.append((place, minus, text.strip()))
        elif sign == "=":
            assert pairs, f"{path}:{number}: a reason for nothing"
            reasons |= dict.fromkeys(pairs, text)
            pairs = []
        else:
            assert not pairs, f"{path}:{number}: no reason above"
            place = line
    assert not pairs, f"{path}: no reason at the end"
    return reasons


def report(
    mutants: list[Mutant],
    verdicts: Verdicts,
    reasons: dict[tuple[str, str, str], str],
    *,
    whole: bool,
) -> int:
    """One line per module, then what survives without a reason; whether all is well as an exit code."""
    by_module: dict[str, list[Mutant]] = defaultdict(list)
    for one in mutants:
        by_module[one.place.split()[0]].append(one)
    alive = [one for one in mutants if not verdicts.by_key[one.key].killer]
    for module, of_it in by_module.items():
        killers = [verdicts.by_key[one.key].killer for one in of_it]
        dead = len(killers) - killers.count("")
        print(f"{module}: {dead}/{len(of_it)} killed, {killers.count(TYPES)} of them by types only")
    named = {(one.place, one.minus, one.plus) for one in alive}
    unnamed = [one for one in alive if (one.place, one.minus, one.plus) not in reasons]
    place = ""
    for one in unnamed:
        if one.place != place:
            place = one.place
            print(f"\n{place}")
        print(f"- {one.minus}\n+ {one.plus}")
    for gone in sorted(set(reasons) - named) if whole else ():
        print("has a reason and does not survive:", *gone, sep="\n  ")
    share = 1 - len(alive) / len(mutants)
    print(
        f"\n{len(mutants) - len(alive)} of {len(mutants)} killed, {share:.1%}; "
        f"{len(alive) - len(unnamed)} survive with a reason, {len(unnamed)} without"
    )
    return int(share < WANTED or bool(unnamed))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
