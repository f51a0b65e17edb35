#!/usr/bin/env python3
"""Checks what the eye should not have to: budgets, arrows between folders, doors of libraries,
the co_await rule, words that say "unfinished". Prints one line per finding and the tail of the
function lengths; exit status 1 if there is a finding.
"""

import ast
import fnmatch
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy_cpp  # noqa: E402  (the directory of this file is not a package)

FUNCTION_LINES = 70
PARAMETERS = 6
LINE_COLUMNS = 100
FILE_LINES = {"header": 300, "source": 500, "test": 700}

# Longer functions that are better read in one piece: (file, function) -> why.
LONG_FUNCTIONS = {}

# folder -> folders whose headers it may include (besides its own).
ARROWS = {
    "rpc/base": [],
    "rpc": ["rpc/base"],
    "cache": ["rpc/base"],
    "proxy": ["rpc/base", "rpc", "cache"],
    "tools": ["rpc/base", "rpc", "cache", "proxy"],
    "tests": ["rpc/base", "rpc", "cache", "proxy", "tools"],
}

# (include pattern, files that may have it, what the library is for)
DOORS = [
    (r"<boost/beast/", ["proxy/admin_http*"], "Beast frames the admin interface"),
    (r"<boost/(?!beast/)", ["rpc/asio*", "proxy/admin_*"], "Asio comes through rpc/asio.h"),
    (r'"rpc/asio\.h"', ["rpc/*", "proxy/*", "tools/*", "tests/*"], "only the process knows Asio"),
    (r"<rpc/|<tirpc/", ["rpc/rpcbind.cc", "tests/*"], "libtirpc is the way to rpcbind"),
    (r"<nfsc/", ["tools/*", "tests/*"], "libnfs is the independent client"),
    (r"<openssl/", ["cache/digest.cc", "proxy/handle.cc", "rpc/tls*", "tests/*"], "OpenSSL"),
    (r"<xxhash\.h>", ["cache/*", "rpc/reply_cache.cc", "tests/*"],
     "xxHash guards what is on disk, and tells calls apart"),
    (r"<zstd\.h>", ["cache/*", "tests/*"], "zstd packs what is on disk"),
    (r"<CLI/", ["tools/*", "proxy/config*.cc"], "CLI11 reads the command line"),
    (r"<toml", ["proxy/config*.cc"], "toml++ reads the configuration file"),
    (r"<nlohmann/", ["proxy/json*", "tools/*", "tests/*"], "JSON is for people and scripts"),
    (r"<systemd/", ["proxy/*", "tools/*"], "systemd is met by the process"),
    (r"<catch2/", ["tests/*"], "tests only"),
    (r"<(thread|mutex|condition_variable|shared_mutex|future)>",
     ["rpc/*", "proxy/*", "tools/*", "tests/*"], "cache/ has no threads and no locks"),
]

# Made by rpcgen beside the test that includes it.
GENERATED = ["nfs3_oracle.h"]

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|W" r"IP)\b")
MACHINE_PATH = re.compile(r"(?<!\w)/wo" r"rk/")
SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".cache", "subprojects"}


class Report:
    def __init__(self):
        self.findings = []
        self.lengths = []
        self.exempted = set()

    def add(self, path, line, message):
        self.findings.append((path, line, message))


def kind_of(path):
    if path.endswith((".cc", ".h")):
        if path.startswith("tests/"):
            return "test"
        return "header" if path.endswith(".h") else "source"
    if path.endswith(".py"):
        return "test" if path.startswith("tests/") else "source"
    return None


def folder_of(path):
    return "rpc/base" if path.startswith("rpc/base/") else path.split("/", 1)[0]


def check_text(path, text, report):
    """What holds for every text file."""
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_COLUMNS and not path.endswith(".md"):
            report.add(path, number, f"{len(line)} columns, the limit is {LINE_COLUMNS}")
        if line != line.rstrip() and not path.endswith(".md"):
            report.add(path, number, "white space at the end of the line")
        if UNFINISHED.search(line):
            report.add(path, number, "a word that says the work is unfinished")
        if MACHINE_PATH.search(line):
            report.add(path, number, "a path of somebody's machine")
    if text and not text.endswith("\n"):
        report.add(path, len(lines), "no newline at the end of the file")
    limit = FILE_LINES.get(kind_of(path))
    if limit and len(lines) - 1 > limit:
        report.add(path, 1, f"{len(lines) - 1} lines, the limit is {limit}")


def check_function(path, name, line, lines, parameters, report):
    if not path.startswith("tests/"):
        report.lengths.append(lines)
    if lines > FUNCTION_LINES:
        if (path, name) in LONG_FUNCTIONS:
            report.exempted.add((path, name))
        else:
            report.add(path, line, f"{name} has {lines} lines, the limit is {FUNCTION_LINES}")
    if parameters > PARAMETERS:
        report.add(path, line, f"{name} has {parameters} parameters, the limit is {PARAMETERS}")


def check_includes(path, text, report):
    for number, line in enumerate(text.split("\n"), start=1):
        match = re.match(r'\s*#\s*include\s*(<[^>]+>|"[^"]+")', line)
        if not match:
            continue
        target = match.group(1)
        if target.startswith('"'):
            check_arrow(path, number, target.strip('"'), report)
        for pattern, allowed, why in DOORS:
            if re.match(pattern, target) and not any(fnmatch.fnmatch(path, a) for a in allowed):
                report.add(path, number, f"{target} is not for this file: {why}")


def check_arrow(path, number, target, report):
    if target in GENERATED:
        return
    if "/" not in target:
        report.add(path, number, f'"{target}": include by the path from the top')
        return
    here, there = folder_of(path), folder_of(target)
    if here != there and there not in ARROWS.get(here, []):
        report.add(path, number, f"{here}/ may not include {there}/ ({target})")


def check_await(path, clean, function, report):
    """g++ 12 destroys a braced temporary twice when the full expression holds a co_await."""
    for expression in tidy_cpp.expressions(clean, *function.body):
        if "co_await" not in expression.text:
            continue
        if "{" in expression.text:
            report.add(path, expression.line, "braces beside co_await: name the object first")
        for captures in expression.captures:
            parts = [part.strip() for part in captures.split(",") if part.strip()]
            if any(not part.startswith("&") and part != "this" for part in parts):
                report.add(path, expression.line,
                           f"lambda [{captures}] beside co_await: name it first")


def check_macros(path, text, report):
    """Macros are rare: outside the floor each stands under a comment that says why it is one."""
    if path.startswith("rpc/base/"):
        return
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if re.match(r"\s*#\s*define\s+\w", line) and number > 1:
            before, after = lines[number - 2].strip(), lines[number:number + 1]
            if after and after[0].startswith("#include"):
                continue  # the library's own switch
            if not before.startswith(("//", "*/", "#define")) and not before.endswith("\\"):
                report.add(path, number, "a macro without a comment that says why")


def check_cpp(path, text, report):
    check_includes(path, text, report)
    check_macros(path, text, report)
    if path.endswith(".h"):
        if "#pragma once" not in text:
            report.add(path, 1, "no #pragma once")
        if re.search(r"^using namespace", text, re.MULTILINE):
            report.add(path, 1, "using namespace in a header")
    clean = tidy_cpp.blank(text)
    for function in tidy_cpp.functions(text):
        check_function(path, function.name, function.line, function.lines, function.parameters,
                       report)
        check_await(path, clean, function, report)


def check_python(path, text, report):
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = node.args
            count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs)
            own = bool(arguments.args) and arguments.args[0].arg in ("self", "cls")
            check_function(path, node.name, node.lineno, node.end_lineno - node.lineno + 1,
                           count - own, report)


def check_file(path, text, report):
    check_text(path, text, report)
    if path.endswith((".cc", ".h")):
        check_cpp(path, text, report)
    elif path.endswith(".py"):
        check_python(path, text, report)


def files(top):
    """Paths below `top` of everything that people read and write here."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(f for f in folders
                            if f not in SKIPPED_FOLDERS and not f.startswith("build-"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), top)
            in_data = path.startswith(("tests/golden/", "tests/fuzz/corpus", "tests/fuzz/crashes"))
            # A work tree of its own has a file .git that names the main one.
            if name not in ("LICENSE", ".git") and not in_data and not name.endswith(".pyc"):
                yield path


def check_tree(top):
    report = Report()
    for path in files(top):
        with open(os.path.join(top, path), "rb") as data:
            raw = data.read()
        if b"\0" in raw:
            continue
        check_file(path, raw.decode("utf-8", "replace"), report)
    for path, name in sorted(set(LONG_FUNCTIONS) - report.exempted):
        report.add(path, 1, f"the exemption of {name} is not needed")
    return report


def main():
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    report = check_tree(top)
    for path, line, message in report.findings:
        print(f"{path}:{line}: {message}")
    lengths = sorted(report.lengths)
    if lengths:
        print(f"tidy: {len(lengths)} functions, half of them under "
              f"{lengths[len(lengths) // 2] + 1} lines, nine of ten under "
              f"{lengths[len(lengths) * 9 // 10] + 1}, the longest {lengths[-1]}")
    print(f"tidy: {len(report.findings)} findings")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
