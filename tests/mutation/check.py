#!/usr/bin/env python3
"""Mutation check: do the tests notice when a line of the numerical core is wrong?

    python3 tests/mutation/check.py                    # 60 sampled mutants of seed 1, and the known ones
    python3 tests/mutation/check.py --seed 7 --sample 100
    python3 tests/mutation/check.py --list             # what would be made, without building
    python3 tests/mutation/check.py --only known       # the hand-written ones alone
    python3 tests/mutation/check.py --only zero-up     # one of them (or a number) by its id

Python's standard library and cargo are all it needs. The exit code is 0 if at least 90 % of the sampled mutants that are
not equivalent and all known ones are caught; 1 if not; 2 if a known mutant no longer fits the sources or the tests fail
without a mutant.

How it works
  1. Sampling. The sources named in CORE are scanned outside of comments, texts and `#[cfg(test)]`; every operator below
     proposes its changes inside function bodies. A draw takes an operator, then one of its changes, from
     `random.Random(seed)`; so the sample depends on the seed and the sources alone.
  2. One build. A copy of the crate is made in a temporary directory (`--work` names another one, which is used again).
     A function that mutants change becomes `if mutant::active(7) { changed body } else { body }`, and `active` compares
     its argument with the environment variable CURVKIT_MUTANT. Mutants that do not compile are found by the lines of the
     compiler's errors, dropped, and replaced by the next ones of the sample.
  3. Running. Each mutant meets the unit tests of its file, those of its folder, and then the integration tests that
     TESTS names for its folder, quickest first, until one fails. A run that takes much longer than without a mutant
     counts as caught.

A mutant of a constant `const NAME: f64 = …` is put where functions of that file use NAME.

Operators: arithmetic (+ − * / and their assignments, a dropped minus), comparison (< to <= or >, and so on), constant
(0.5 to 1.0, others doubled, 0 to 1), condition (negated), logic (and, or, true, false), extremum (min, max), statement
(dropped).

`known.txt` holds hand-written mutants: faults that tests have missed before. `equivalent.txt` holds mutants that no test
can catch, each with the reason.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What is sampled from, as glob patterns under src.
CORE = [
    "second_order/**/*.rs",
    "linalg/krylov/*.rs",
    "linalg/operator/*.rs",
    "curvature/*.rs",
    "fit/finish.rs",
    "fit/statistics.rs",
    "fit/profile.rs",
    "fit/robust.rs",
    "fit/glm/statistics.rs",
    "fit/glm/information.rs",
    "problem/bounds.rs",
    "spectrum/lanczos.rs",
    "stochastic/rule/adam.rs",
    "stochastic/rule/lion.rs",
    "stochastic/rule/momentum.rs",
    "stochastic/rule/sophia.rs",
]

# Which integration tests look at a folder or file under src; every row whose path is a prefix counts.
TESTS = {
    "second_order": ["methods", "triples", "solvers"],
    "second_order/bounded.rs": ["bounds"],
    "second_order/certificate.rs": ["bounds", "large_problems", "failing_functions"],
    "second_order/escape.rs": ["bounds", "large_problems"],
    "second_order/evaluation.rs": ["failing_functions", "argmin_integration"],
    "second_order/minimizer": ["failing_functions", "argmin_integration", "bounds"],
    "second_order/nonlinear_cg": ["nonlinear_cg", "failing_functions"],
    "second_order/state.rs": ["failing_functions", "argmin_integration"],
    "second_order/stopping.rs": ["failing_functions", "argmin_integration"],
    "second_order/subproblem": ["subproblems", "krylov_subproblems", "least_squares"],
    "second_order/subproblem/damped_sparse.rs": ["sparse_least_squares"],
    "second_order/subproblem/jacobian_scale.rs": ["sparse_least_squares", "nist"],
    "second_order/subproblem/more_hebden.rs": ["nist"],
    "linalg/krylov": ["krylov_subproblems", "subproblems", "spectrum", "sparse_least_squares", "methods"],
    "linalg/operator": ["curvature", "subproblems", "least_squares", "sparse_least_squares", "spectrum", "running", "bounds"],
    "spectrum": ["spectrum"],
    "curvature": ["curvature", "running", "rows", "methods", "hybrid", "triples"],
    "curvature/absolute.rs": ["solvers"],
    "curvature/bfgs.rs": ["solvers"],
    "curvature/lbfgs.rs": ["solvers"],
    "curvature/sr1.rs": ["solvers"],
    "curvature/hutchinson.rs": ["stochastic", "rules"],
    "fit": ["nist", "robust", "constraints", "separable", "glm", "glm_cases"],
    "problem/bounds.rs": ["bounds", "constraints"],
    "stochastic": ["rules", "rule_invariants", "stochastic"],
}

FEATURES = ["--all-features"]

# Programs without the crate's debug information are small and quickly linked.
PROFILE = """
[profile.dev.package.curvkit]
debug = false
"""

SWITCH = '''//! Which mutant is switched on.

use std::sync::OnceLock;

static ACTIVE: OnceLock<u32> = OnceLock::new();

/// Whether CURVKIT_MUTANT is this number.
pub fn active(number: u32) -> bool {
    let chosen = || std::env::var("CURVKIT_MUTANT").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    *ACTIVE.get_or_init(chosen) == number
}
'''


# --- Reading Rust ---------------------------------------------------------------------------------------------------


def masked(text):
    """The text with comments, literals of characters and strings blanked out, byte for byte as long."""
    token = re.compile(
        r"//[^\n]*|(?P<block>/\*)|(?P<raw>b?r(?P<hashes>#*)\")|b?\"(?:\\.|[^\"\\])*\"|b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])'",
        re.S,
    )
    out, at = [], 0
    while match := token.search(text, at):
        end = match.end()
        if match["block"]:
            depth = 1
            while depth and (step := re.compile(r"/\*|\*/").search(text, end)):
                depth += 1 if step[0] == "/*" else -1
                end = step.end()
        elif match["raw"] is not None:
            end = text.index('"' + match["hashes"], end) + 1 + len(match["hashes"])
        out.append(text[at : match.start()])
        out.append(re.sub(r"[^\n]", " ", text[match.start() : end]))
        at = end
    return "".join(out) + text[at:]


def closing(mask, at):
    """The position after the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(mask)):
        if mask[i] in "([{":
            depth += 1
        elif mask[i] in ")]}":
            depth -= 1
            if depth == 0:
                return i + 1
    raise ValueError("unbalanced brackets")


def item_end(mask, at):
    """Where the item that begins at `at` ends: after its braces or its semicolon."""
    depth = 0
    for i in range(at, len(mask)):
        c = mask[i]
        if c == "{" and depth == 0:
            return closing(mask, i)
        if c == ";" and depth == 0:
            return i + 1
        depth += (c in "([") - (c in ")]")
    return len(mask)


class Source:
    """A file of the crate and what in it may change."""

    def __init__(self, path):
        self.path = path
        self.text = (ROOT / path).read_text()
        self.mask = masked(self.text)
        blocked = []
        for match in re.finditer(r"#\[cfg\((?:all\()?test\b[^\]]*\]|\bmacro_rules!", self.mask):
            blocked.append((match.start(), item_end(self.mask, match.end())))
        self.functions = []
        for match in re.finditer(r"\bfn\s+\w+", self.mask):
            at = match.start()
            inside = lambda ranges: any(a <= at < b for a, b in ranges)
            if inside(blocked) or inside(self.functions) or re.search(r"\bconst\s+(?:unsafe\s+)?$", self.mask[:at]):
                continue
            end = item_end(self.mask, match.end())
            if self.mask[end - 1] == "}":
                opening = self.opening(match.end())
                self.functions.append((opening, end))
        self.blocked = blocked

    def opening(self, at):
        depth = 0
        while not (self.mask[at] == "{" and depth == 0):
            depth += (self.mask[at] in "([") - (self.mask[at] in ")]")
            at += 1
        return at

    def function(self, at):
        return next((f for f in self.functions if f[0] < at < f[1]), None)

    def line(self, at):
        return self.text.count("\n", 0, at) + 1


# --- Mutants --------------------------------------------------------------------------------------------------------


class Mutant:
    """Changes of one file: `edits` are (start, end, replacement) inside function bodies."""

    def __init__(self, source, edits, operator, name=None, shown=None):
        self.source, self.edits, self.operator, self.name = source, sorted(edits), operator, name
        start, end, new = self.edits[0]
        self.line = source.line(start)
        self.shown = shown or self.describe(start, end, new)
        self.number = 0
        self.verdict = None

    def describe(self, start, end, new):
        """The line before and after; of lines that occur several times, which one."""
        text = self.source.text
        a, b = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        flat = lambda s: " ".join(s.split())
        before = flat(text[a:b])
        twins = [line for line in map(flat, text[:b].splitlines()) if line == before]
        later = sum(line == before for line in map(flat, text[b:].splitlines()))
        which = f" [{len(twins)} of {len(twins) + later}]" if len(twins) + later > 1 else ""
        return before + which, flat(text[a:start] + new + text[end:b])

    def functions(self):
        return sorted({self.source.function(start) for start, _, _ in self.edits})

    def body(self, function):
        """The changed body of one function."""
        a, b = function
        out, at = [], a
        for start, end, new in self.edits:
            if a <= start < b:
                out += [self.source.text[at:start], new]
                at = end
        return "".join(out) + self.source.text[at:b]

    @property
    def key(self):
        return (self.source.path, *self.shown)

    @property
    def title(self):
        return self.name or str(self.number)


SWAPPED = {"+": "-", "-": "+", "*": "/", "/": "*"}
COMPARED = {"<": ("<=", ">"), "<=": ("<", ">="), ">": (">=", "<"), ">=": (">", "<="), "==": ("!=",), "!=": ("==",)}


def changed_float(text):
    value = float(text.replace("_", "").removesuffix("f64"))
    if value == 0.0:
        return "1.0"
    new = 2.0 * value
    return f"{new!r}" if "e" in repr(new) or "." in repr(new) else f"{new}.0"


def proposals(source):
    """Every change, as operator -> [edit]."""
    found = {name: [] for name in ("arithmetic", "comparison", "constant", "condition", "logic", "extremum", "statement")}
    mask = source.mask
    for a, b in source.functions:
        body = mask[a:b]

        def each(pattern, operator, replace):
            for match in re.finditer(pattern, body):
                span = match.span(1)
                new = replace(match)
                for one in new if isinstance(new, tuple) else (new,):
                    found[operator].append((a + span[0], a + span[1], one))

        each(r"(?<=[\w)\]?}] )([-+*/])(?= [^=])", "arithmetic", lambda m: SWAPPED[m[1]])
        each(r" ([-+*/])(?== )", "arithmetic", lambda m: SWAPPED[m[1]])
        each(r"(?:(?<=[(\[,=*/+<>] )|(?<=[(\[])|(?<=return ))(-)(?=[\w(])", "arithmetic", lambda m: "")
        each(r"(?<= )(<=|>=|==|!=|<|>)(?= )", "comparison", lambda m: COMPARED[m[1]])
        each(r"(?<![\w.])(\d[\d_]*\.\d+(?:e-?\d+)?|\d+e-?\d+)(?![\w.])", "constant", lambda m: changed_float(m[1]))
        each(r"(?<![\w.])([0-9])(?![\w.])", "constant", lambda m: "1" if m[1] == "0" else str(int(m[1]) + 1))
        each(r"(?<=[\w)\]?}>] )(&&|\|\|) ", "logic", lambda m: "||" if m[1] == "&&" else "&&")
        each(r"\b(true|false)\b", "logic", lambda m: "false" if m[1] == "true" else "true")
        each(r"\.(min|max)\(", "extremum", lambda m: "max" if m[1] == "min" else "min")
        each(
            r"(?<=[;{}])\n( *(?!let\b|return\b|break\b|continue\b|use\b|const\b|for\b|if\b|while\b|#)[a-zA-Z_(*][^;{}\n]*;)(?=\n)",
            "statement",
            lambda m: "",
        )
        for match in re.finditer(r"\bif (?!let\b)([^{};]+?) \{", body):
            condition = source.text[a + match.start(1) : a + match.end(1)]
            if " let " not in condition:
                found["condition"].append((a + match.start(1), a + match.end(1), f"!({condition})"))
    return found


def core():
    """The sources to sample from, without files of tests."""
    paths = {p for pattern in CORE for p in (ROOT / "src").glob(pattern)}
    tests = {"tests.rs", "testing.rs"}
    return [Source(p.relative_to(ROOT).as_posix()) for p in sorted(paths) if p.name not in tests]


def draws(seed):
    """Endless different sampled mutants, the operators with equal odds."""
    generator = random.Random(seed)
    pool = {}
    for source in core():
        for operator, edits in proposals(source).items():
            pool.setdefault(operator, []).extend((source, edit) for edit in edits)
    while pool:
        operator = generator.choice(sorted(pool))
        source, edit = pool[operator].pop(generator.randrange(len(pool[operator])))
        if not pool[operator]:
            del pool[operator]
        yield Mutant(source, [edit], operator)


def find(source, snippet):
    """Spans of a snippet, whatever the white space."""
    pieces = re.findall(r"\w+|[^\w\s]", snippet)
    return [m.span() for m in re.finditer(r"\s*".join(map(re.escape, pieces)), source.text)]


def known():
    """The hand-written mutants; a list of those whose snippets are gone beside."""
    mutants, missing, sources = [], [], {}
    blocks = re.split(r"^\[(.+)\]$", (HERE / "known.txt").read_text(), flags=re.M)[1:]
    for name, block in zip(blocks[::2], blocks[1::2]):
        path, variants = None, [[]]
        for line in block.splitlines():
            if line.startswith("file "):
                path = line[5:].strip()
                if variants[-1]:
                    variants.append([])
                variants[-1].append(path)
            elif line.strip() == "or":
                variants.append([path])
            elif line.startswith("- "):
                variants[-1].append([line[2:], ""])
            elif line.startswith("+ "):
                variants[-1][-1][1] = line[2:].strip()
        reasons = []
        for path, *changes in variants:
            if not (ROOT / path).exists():
                reasons.append(f"{path} does not exist")
                continue
            source = sources.setdefault(path, Source(path))
            edits, shown = [], (" ; ".join(c[0].strip() for c in changes), " ; ".join(c[1] or "(dropped)" for c in changes))
            for old, new in changes:
                constant = re.match(r"\s*(?:pub(?:\(\w+\))? )?const (\w+): [^=]+ =", old)
                if constant:
                    value = re.fullmatch(r".*=\s*(.+?);?", new)[1]
                    if len(find(source, old)) != 1:
                        reasons.append(f"{path}: {old.strip()}")
                        continue
                    for use in re.finditer(rf"\b{constant[1]}\b", source.mask):
                        if source.function(use.start()) and not any(a <= use.start() < b for a, b in source.blocked):
                            edits.append((*use.span(), f"({value})"))
                    continue
                spans = [s for s in find(source, old) if source.function(s[0])]
                if len(spans) != 1:
                    reasons.append(f"{path}: {old.strip()} ({len(spans)} times)")
                else:
                    edits.append((*spans[0], new))
            if edits and not reasons:
                mutants.append(Mutant(source, edits, "known", name, shown))
                break
        else:
            missing.append((name, "; ".join(reasons)))
    return mutants, missing


def equivalents():
    """(file, before, after) -> reason."""
    table, path, before, after = {}, "", "", ""
    for line in (HERE / "equivalent.txt").read_text().splitlines():
        kind, rest = line[:2], " ".join(line[2:].split())
        if line.startswith("file "):
            path = line[5:].strip()
        elif kind == "- ":
            before = rest
        elif kind in ("+ ", "+"):
            after = rest
        elif kind == "= ":
            table[path, before, after] = rest
    return table


# --- The copy -------------------------------------------------------------------------------------------------------


class Copy:
    """The crate with all mutants in it."""

    def __init__(self, work, target):
        self.root, self.target = work / "crate", target
        self.where = {}

    def write(self, path, text):
        """Leaves what has not changed alone, so that cargo builds nothing twice."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)

    def make(self, mutants):
        kept = {"src/mutant.rs"}
        for top in ("Cargo.toml", "Cargo.lock", "README.md", "src", "tests", "benches", "examples"):
            path = ROOT / top
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                relative = file.relative_to(ROOT).as_posix()
                if file.is_file() and file.exists() and "__pycache__" not in relative:
                    kept.add(relative)
                    self.write(relative, self.changed(relative, file, mutants))
        self.write("src/mutant.rs", SWITCH.encode())
        for top in ("src", "tests", "benches", "examples"):
            for file in (self.root / top).rglob("*"):
                if file.is_file() and file.relative_to(self.root).as_posix() not in kept:
                    file.unlink()

    def changed(self, path, file, mutants):
        if path == "src/lib.rs":
            return file.read_bytes() + b"\n#[doc(hidden)]\npub mod mutant;\n"
        if path == "Cargo.toml":
            return file.read_bytes() + PROFILE.encode()
        here = [m for m in mutants if m.source.path == path]
        self.where.pop(path, None)
        if not here:
            return file.read_bytes()
        source = here[0].source
        out, at, line = [], 0, 1
        spans = []

        def put(text):
            nonlocal line
            out.append(text)
            first, line = line, line + text.count("\n")
            return first, line

        for a, b in source.functions:
            inside = [m for m in here if (a, b) in m.functions()]
            if not inside:
                continue
            _, begin = put(source.text[at:a] + "{\n")
            for m in inside:
                put(f"if crate::mutant::active({m.number}) ")
                first, last = put(m.body((a, b)))
                spans.append((first, last, [m]))
                put("\nelse ")
            put(source.text[a:b] + "\n}")
            # An error outside of every mutant of a function may stem from any of them.
            spans.append((begin, line, inside))
            at = b
        put(source.text[at:])
        self.where[path] = spans
        return "".join(out).encode()

    def cargo(self, *arguments):
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target)}
        command = ["nice", "-n", "10", *lock(), "cargo", *arguments, "--message-format=json"]
        run = subprocess.run(command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return run, [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]

    def build(self, names):
        """Builds the test programs: (name -> path, none), or (none, the mutants that do not compile)."""
        chosen = [part for name in sorted(names) for part in ("--test", name)]
        run, messages = self.cargo("test", "--no-run", "--lib", *chosen, *FEATURES)
        if run.returncode == 0:
            made = [m for m in messages if m.get("reason") == "compiler-artifact" and m.get("executable")]
            tests = [m for m in made if m["profile"]["test"]]
            return {"lib" if "lib" in m["target"]["kind"] else m["target"]["name"]: m["executable"] for m in tests}, set()
        guilty, others = set(), []
        for message in messages:
            message = message.get("message", {})
            if not isinstance(message, dict) or message.get("level") != "error":
                continue
            hit = None
            for span in sorted(message["spans"], key=lambda s: not s["is_primary"]):
                ranges = self.where.get(span["file_name"], [])
                close = [r for r in ranges if r[0] <= span["line_start"] <= r[1]]
                if close:
                    hit = min(close, key=lambda r: r[1] - r[0])
                    break
            if hit:
                guilty.update(hit[2])
            else:
                others.append(message.get("rendered", ""))
        if not guilty:
            sys.exit("the copy does not build:\n" + "\n".join(others or [run.stderr]))
        return {}, guilty


def lock():
    """A lock around builds, where the environment names one: MUTATION_LOCK."""
    path = os.environ.get("MUTATION_LOCK")
    return ["flock", path] if path else []


# --- Running --------------------------------------------------------------------------------------------------------


def trial(program, filters, number, limit, root):
    """Runs a test program to its first failure: None, or the name of the test (or what else happened)."""
    environment = {**os.environ, "CURVKIT_MUTANT": str(number), "CARGO_MANIFEST_DIR": str(root), "RUST_BACKTRACE": "0"}
    command = ["nice", "-n", "10", program, *filters]
    run = subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    )
    late = threading.Event()

    def stop():
        late.set()
        run.kill()

    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        for line in run.stdout:
            match = re.match(r"test (\S+).* \.\.\. FAILED", line)
            if match:
                run.kill()
                return match[1]
        code = run.wait()
    finally:
        timer.cancel()
        run.kill()
        run.wait()
    if late.is_set():
        return f"time limit of {limit:.0f} s"
    return None if code == 0 else f"exit code {code}"


def module(path):
    """The path of a file's module, as unit tests are named."""
    parts = Path(path).with_suffix("").parts[1:]
    return "::".join(parts[:-1] if parts[-1] == "mod" else parts)


def programs(path):
    """The integration tests of a file."""
    inside = Path(path).relative_to("src").as_posix()
    found = []
    for prefix, names in TESTS.items():
        if inside.startswith(prefix):
            found += [n for n in names if n not in found]
    return found


class Runner:
    def __init__(self, copy, executables):
        self.copy, self.executables = copy, executables
        self.seconds = {}

    def baseline(self, name, filters=()):
        """Seconds without a mutant; the tests must pass."""
        key = (name, *filters)
        if key not in self.seconds:
            began = time.monotonic()
            failed = trial(self.executables[name], list(filters), 0, 1200, self.copy.root)
            self.seconds[key] = time.monotonic() - began
            if failed:
                print(f"{' '.join(key)} fails without a mutant: {failed}", file=sys.stderr)
                sys.exit(2)
        return self.seconds[key]

    def catch(self, mutant):
        """What catches a mutant, or None."""
        own = module(mutant.source.path)
        parent = own.rpartition("::")[0]
        steps = [("lib", (own + "::",)), ("lib", (parent + "::", "--skip", own + "::"))]
        others = [(name, ()) for name in programs(mutant.source.path)]
        for name, filters in steps + sorted(others, key=lambda s: self.baseline(*s)):
            limit = 20.0 + 6.0 * self.baseline(name, filters)
            failed = trial(self.executables[name], list(filters), mutant.number, limit, self.copy.root)
            if failed:
                return f"{name}: {failed}"
        return None


# --- The table ------------------------------------------------------------------------------------------------------


def report(mutants, missing, seed, out):
    def row(m):
        before, after = m.shown
        return f"{m.title:>24}  {m.source.path}:{m.line}  [{m.operator}]\n{'':26}{before}\n{'':24}→ {after}\n{'':26}{m.verdict}"

    sampled = [m for m in mutants if m.name is None]
    hand = [m for m in mutants if m.name is not None]
    caught = lambda group: [m for m in group if not m.verdict.startswith(("SURVIVED", "equivalent"))]
    survived = lambda group: [m for m in group if m.verdict.startswith("SURVIVED")]
    equivalent = [m for m in sampled if m.verdict.startswith("equivalent")]
    print("\n".join(row(m) for m in mutants), file=out)
    rest = len(sampled) - len(equivalent)
    share = len(caught(sampled)) / rest if rest else 1.0
    print(
        f"\nseed {seed}: {len(sampled)} sampled, {len(caught(sampled))} caught, {len(survived(sampled))} survived, "
        f"{len(equivalent)} argued equivalent; {100 * share:.0f} % of the rest caught\n"
        f"known: {len(hand) + len(missing)} written, {len(caught(hand))} caught, {len(survived(hand))} survived, "
        f"{len(missing)} no longer fit the sources",
        file=out,
    )
    for name, reason in missing:
        print(f"NO LONGER FITS  {name}: {reason}", file=out)
    for m in survived(mutants):
        print(f"SURVIVED  {m.title}  {m.source.path}:{m.line}  {m.shown[0]}  →  {m.shown[1]}", file=out)
    if missing:
        return 2
    return 0 if share >= 0.9 and not survived(hand) else 1


def compiled(copy, wanted, sequence, hand):
    """The hand-written mutants and the first `wanted` of the sample that compile, with the test programs that hold them."""
    sampled, bad = [], set()
    number = len(hand)
    for n, mutant in enumerate(hand):
        mutant.number = n + 1
    while True:
        while len(sampled) < wanted and (mutant := next(sequence, None)):
            number += 1
            mutant.number = number
            sampled.append(mutant)
        mutants = hand + sampled
        copy.make(mutants)
        executables, broken = copy.build({name for m in mutants for name in programs(m.source.path)})
        if not broken:
            return mutants, executables
        if faulty := [m.name for m in hand if m in broken]:
            sys.exit(f"known mutants that do not compile: {', '.join(faulty)}")
        print(f"{len(broken)} mutants do not compile and are replaced", file=sys.stderr)
        sampled = [m for m in sampled if m not in broken]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=60, help="sampled mutants (60)")
    parser.add_argument("--only", help="`known`, `sampled`, or ids separated by commas")
    parser.add_argument("--list", action="store_true", help="print the mutants and build nothing")
    parser.add_argument("--work", type=Path, help="folder of the copy; a temporary one by default")
    parser.add_argument("--output", type=Path, help="write the table there as well")
    options = parser.parse_args()

    hand, missing = known()
    sequence = draws(options.seed)
    if options.only == "known":
        sequence = iter(())
    if options.only == "sampled":
        hand, missing = [], []
    if options.list:
        drawn = [m for _, m in zip(range(options.sample), sequence)]
        for m in hand + drawn:
            print(f"{m.name or '-'}  {m.source.path}:{m.line}  [{m.operator}]  {m.shown[0]}  →  {m.shown[1]}")
        for name, reason in missing:
            print(f"NO LONGER FITS  {name}: {reason}")
        return 2 if missing else 0

    work = options.work or Path(tempfile.mkdtemp(prefix="mutants-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        target = Path(os.environ.get("CARGO_TARGET_DIR", work / "target")).resolve()
        copy = Copy(work.resolve(), target)
        mutants, executables = compiled(copy, options.sample, sequence, hand)
        if options.only not in (None, "known", "sampled"):
            wanted = options.only.split(",")
            mutants = [m for m in mutants if m.title in wanted]
        runner = Runner(copy, executables)
        reasons = equivalents()
        for m in mutants:
            if m.key in reasons:
                m.verdict = f"equivalent: {reasons[m.key]}"
            else:
                caught = runner.catch(m)
                m.verdict = f"caught by {caught}" if caught else "SURVIVED"
            print(f"{m.title}: {m.verdict}", file=sys.stderr, flush=True)
        code = report(mutants, missing, options.seed, sys.stdout)
        if options.output:
            with options.output.open("w") as out:
                report(mutants, missing, options.seed, out)
        return code
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
