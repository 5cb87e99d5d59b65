#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The style guide, as far as a program can judge it (docs/STYLE.md).

Usage: tidy.py ROOT [CC]. Prints "file:line: reason [rule]" for each fault; exit 1 if there is one.

A rule is a function marked @rule(name). It gets a Tree and yields (path, line, reason). A fault is
excused by a comment "tidy: RULE - why" on its line or on the line above. tidy_test.py feeds each
rule something it must complain about; a rule without such a case fails there.
"""
import os
import re
import subprocess
import sys

import limits

LINES_FUNCTION_MAX = 70
LINES_FILE_MAX = 800
COLUMNS_MAX = 100

RULES = {}


def rule(name):
    def register(function):
        RULES[name] = function
        return function
    return register


# ---- sources ----

COMMENT_OR_LITERAL = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blanked(match):
    """Comments and the insides of literals become blanks; line feeds and columns stay."""
    text = match.group(0)
    inside = re.sub(r"[^\n]", " ", text)
    return inside if text[0] == "/" else text[0] + inside[1:-1] + text[-1]


class Source:
    """One file: its text, its lines, and its code (comments and literals blanked)."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        if self.lines[-1] == "":
            self.lines.pop()
        self.is_c = path.endswith((".c", ".h"))
        self.code = COMMENT_OR_LITERAL.sub(blanked, text) if self.is_c else text
        self.code_lines = self.code.split("\n")

    def is_under(self, *prefixes):
        return self.path.startswith(prefixes)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def is_excused(self, line, name):
        mark = re.compile(r"tidy: %s - \S.{3,}" % re.escape(name))
        near = self.lines[max(0, line - 2):line]
        return any(mark.search(text) for text in near)

    def find(self, pattern):
        """(line, match) for each match of a regular expression in the code."""
        for match in re.finditer(pattern, self.code, re.M):
            yield self.line_of(match.start()), match


class Tree:
    """All files that rules look at, by path from the root."""

    def __init__(self, files, root=None, compiler="gcc"):
        self.sources = {path: Source(path, text) for path, text in sorted(files.items())}
        self.root = root
        self.compiler = compiler

    def c_files(self, *prefixes):
        for source in self.sources.values():
            if source.is_c and source.is_under(*(prefixes or ("src/", "include/"))):
                yield source

    def text_of(self, path):
        source = self.sources.get(path)
        return source.text if source else ""


C_FOLDERS = ("src/", "include/", "bench/", "tests/")
LIMITS_PATH = "docs/LIMITS.md"
LOOKED_AT = (".c", ".h", ".def", ".py", ".sh", ".txt", "meson.build")


def tree_load(root, compiler):
    files = {}
    for folder in ("src", "include", "bench", "tests", "dpdk-config"):
        for at, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = [name for name in folders if name not in ("__pycache__", "node_modules",
                                                                   "corpus")]
            for name in names:
                if name.endswith(LOOKED_AT):
                    path = os.path.join(at, name)
                    with open(path, encoding="utf-8", errors="replace") as file:
                        files[os.path.relpath(path, root)] = file.read()
    for at, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name in ("docs", "decisions", "dpdk-config")]
        for name in names:
            if name.endswith(".md"):
                path = os.path.join(at, name)
                with open(path, encoding="utf-8") as file:
                    files[os.path.relpath(path, root)] = file.read()
    return Tree(files, root, compiler)


# ---- form ----

@rule("spdx")
def spdx(tree):
    for source in tree.sources.values():
        head = "\n".join(source.lines[:2])
        first = source.lines[0] if source.lines else ""
        if source.is_c or source.path.endswith(".def"):
            if not first.startswith("/* SPDX-License-Identifier: Apache-2.0"):
                yield source.path, 1, "the first line is not the SPDX line"
        elif source.path.endswith((".py", ".sh")) and \
                "# SPDX-License-Identifier: Apache-2.0" not in head:
            yield source.path, 1, "no SPDX line at the top"


@rule("columns")
def columns(tree):
    for source in tree.c_files(*C_FOLDERS):
        for number, text in enumerate(source.lines, 1):
            if len(text) > COLUMNS_MAX:
                yield source.path, number, "%d columns, %d allowed" % (len(text), COLUMNS_MAX)


@rule("space")
def space(tree):
    for source in tree.sources.values():
        for number, text in enumerate(source.lines, 1):
            if text != text.rstrip():
                yield source.path, number, "space at the end of the line"
            if "\t" in text and (source.is_c or source.path.endswith(".def")):
                yield source.path, number, "a tab"


def functions_of(source):
    """(first line, last line, name) of each function body: '{' and '}' alone in column 0."""
    start = None
    for number, text in enumerate(source.code_lines, 1):
        if text.rstrip() == "{" and start is None:
            start = number
        elif text.startswith("}") and start is not None:
            first = start - 1
            while first > 1 and re.match(r"\s*\w.*[^;}\s]\s*$", source.code_lines[first - 2]):
                first -= 1
            signature = " ".join(source.code_lines[first - 1:start - 1])
            name = re.search(r"(\w+)\(", signature)
            yield first, number, name.group(1) if name else "?"
            start = None


@rule("long")
def long(tree):
    for source in tree.c_files(*C_FOLDERS):
        for first, last, name in functions_of(source):
            count = last - first + 1
            if count > LINES_FUNCTION_MAX:
                yield (source.path, first,
                       "%s has %d lines, %d allowed" % (name, count, LINES_FUNCTION_MAX))
        is_excused = any(re.search(r"tidy: long - \S.{3,}", text) for text in source.lines[:40])
        if len(source.lines) > LINES_FILE_MAX and not is_excused:
            yield (source.path, 1,
                   "the file has %d lines, %d allowed" % (len(source.lines), LINES_FILE_MAX))


@rule("story")
def story(tree):
    for source in tree.c_files():
        opening = re.match(r"/\*.*?\*/", source.text, re.S)
        if not opening or opening.group(0).count("\n") < 2:
            yield source.path, 1, "no opening comment that tells the file's story"
        elif source.is_under("include/") and \
                not re.search(r"\b(thread|owner)", opening.group(0), re.I):
            yield source.path, 1, "the opening comment names neither thread nor owner"


@rule("dead-code")
def dead_code(tree):
    for source in tree.c_files(*C_FOLDERS):
        for number, _ in source.find(r"^[ \t]*#[ \t]*if[ \t]+0\b"):
            yield source.path, number, "#if 0; delete it, git remembers"


@rule("todo")
def todo(tree):
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?! ?\(?#\d+)")
    for source in tree.c_files(*C_FOLDERS):
        for number, text in enumerate(source.lines, 1):
            match = words.search(text)
            if match:
                yield source.path, number, "%s without an issue number (#n)" % match.group(1)


# ---- calls that belong to one folder, or to none ----

def calls(names):
    return r"(?<![\w.>])(?:%s)\s*\(" % "|".join(names.split())


HOMES = [
    ("alloc", calls("malloc calloc realloc reallocarray free strdup strndup aligned_alloc "
                    "posix_memalign asprintf vasprintf"),
     ("src/core/heap.c",), "memory comes from heap_take and goes by heap_give"),
    ("clock", calls("clock_gettime gettimeofday time clock nanosleep usleep sleep "
                    "clock_nanosleep localtime gmtime __rdtsc"),
     ("src/core/clock.c",), "time comes in as now_ns; only clock.c reads one"),
    ("random", calls("rand random srand srandom rand_r drand48 lrand48 getrandom getentropy "
                     "arc4random"),
     ("src/core/random.c",), "randomness comes in as struct random"),
    ("print", calls("printf fprintf vprintf vfprintf puts fputs putchar fputc putc perror dprintf"),
     ("src/main.c", "src/server/", "src/ctl/"), "floors do not print; the log does"),
    ("unsafe", calls("strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets strtok strtok_r "
                     "atoi atol atoll atof scanf sscanf fscanf alloca setjmp longjmp"),
     (), "banned; use the views, writers and parsers of base"),
]


def register_home(name, pattern, homes, reason):
    @rule(name)
    def check(tree):
        for source in tree.c_files():
            if homes and source.is_under(*homes):
                continue
            for number, match in source.find(pattern):
                call = match.group(0).rstrip("( \n")
                yield source.path, number, "%s: %s" % (call, reason)


for home in HOMES:
    register_home(*home)


# ---- libraries that belong to one folder ----

LIBRARIES = [
    (r"rte_\w*\.h|ethdev\w*\.h", ("src/nic/",)),
    (r"openssl/.*|.*ipsec-mb.*", ("src/tls/",)),
    (r"lmdb\.h", ("src/store/",)),
    (r"microhttpd\.h|jansson\.h", ("src/admin/", "src/ctl/")),
    (r"curl/.*", ("src/ctl/",)),
    (r"unicode/.*", ("src/xmpp/",)),
    (r"yaml\.h", ("src/core/",)),
    (r"ck_\w+\.h", ("src/core/",)),
    (r"mimalloc.*\.h", ("src/core/heap.c",)),
    (r"expat\.h|cyaml.*", ("nowhere",)),
]


@rule("library")
def library(tree):
    for source in tree.c_files():
        for number, text in enumerate(source.lines, 1):
            include = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', text)
            for pattern, homes in LIBRARIES if include else ():
                if re.fullmatch(pattern, include.group(1)) and not source.is_under(*homes):
                    yield (source.path, number,
                           "%s belongs to %s" % (include.group(1), " and ".join(homes)))
        if source.is_under("src/nic/"):
            continue
        for number, match in source.find(r"\b(?:rte|RTE)_\w+"):
            yield source.path, number, "%s outside src/nic" % match.group(0)


# ---- names ----

EMPTY_WORDS = {"context", "manager", "data", "info", "process", "util", "utils", "misc"}
# Phrases that are the outside world's: a log level, TCP's data, an operator's data folder,
# namespaces (jabber:x:data, disco#info), the contextual rules of PRECIS (RFC 8264 section 9.3).
PHRASES_ALLOWED = re.compile(r"LOG_LEVEL_INFO|NET_DATA|DATA_FORM|data_(?:dir|folder)|DISCO_INFO|"
                             r"disco_answer_info|VERDICT_CONTEXT|context_is_right")
NOT_A_TYPE = {"return", "else", "goto", "case", "sizeof", "if", "while", "for", "do", "switch",
              "define", "undef", "ifdef", "ifndef", "include"}
HANDLE_NOUNS = {"handle_of", "handle_worker", "handle_index", "handle_generation",
                "handle_is_none"}
DECLARATIONS = [
    r"\b(?:struct|enum|union)\s+(?P<name>\w+)\s*\{",
    r"^[ \t]*#[ \t]*define[ \t]+(?P<name>\w+)",
    r"\b(?P<type>[A-Za-z_]\w*)[ \t]+(?:\*|const |restrict )*(?P<name>[A-Za-z_]\w*)\s*(?=[;,)=\[:])",
    r"^(?P<type>[A-Za-z_]\w*)[\w \t\*]*?\b(?P<name>\w+)\([^;{}]*\)\s*(?:__attribute__.*?)?[;{]",
    r"^[ \t]+(?P<name>[A-Z][A-Z0-9_]*)[ \t]*(?:=[^=;\n]*)?,?[ \t]*$",
]


def declared(source):
    """(line, name) of what this file declares: tags, macros, functions, variables, fields,
    parameters and enumerators. Names it merely uses, a library's, do not match."""
    for pattern in DECLARATIONS:
        for number, match in source.find(pattern):
            if match.groupdict().get("type") not in NOT_A_TYPE:
                yield number, match.group("name")
    if source.path.endswith(".def"):
        for number, match in source.find(r"^[A-Z_]+\((\w+)"):
            yield number, match.group(1)


@rule("word")
def word(tree):
    tables = [source for source in tree.sources.values() if source.path.endswith(".def")]
    for source in list(tree.c_files("src/", "include/", "bench/")) + tables:
        for number, name in sorted(set(declared(source))):
            rest = PHRASES_ALLOWED.sub("", name)
            empty = EMPTY_WORDS.intersection(rest.lower().split("_"))
            if empty:
                yield (source.path, number,
                       '%s: "%s" says nothing; name the thing' % (name, empty.pop()))


@rule("handle-verb")
def handle_verb(tree):
    for source in tree.c_files("src/", "include/", "bench/"):
        for first, _, name in functions_of(source):
            if name.startswith("handle_") and name not in HANDLE_NOUNS:
                yield source.path, first, "%s: say what it does instead of handle_" % name


@rule("typedef")
def typedef(tree):
    for source in tree.c_files():
        for number, match in source.find(r"\btypedef\b[^;{(]*[;{]"):
            if re.search(r"\b(?:struct|union|enum)\b", match.group(0)):
                yield source.path, number, "typedef hides a struct, union or enum"
        for number, _ in source.find(r"\btypedef\b[^;]*\b\w+_t\s*;"):
            yield source.path, number, "a type of ours ending in _t, which is POSIX's"


@rule("global")
def global_(tree):
    variable = re.compile(r"(?!(?:struct|enum|union) \w+;)(?:static |extern )?(?:_Thread_local )?"
                          r"(?:struct \w+|enum \w+|[a-z_]\w*)(?: \w+)* \**\w+(?:\[[^\]]*\])*"
                          r"\s*(?:=.*|;|__attribute__.*[;={])$")
    for source in tree.c_files():
        if source.is_under("src/main.c", "src/ctl/"):
            continue  # a program's root may keep its buffers out of the stack
        depth = 0
        for number, text in enumerate(source.code_lines, 1):
            at = text.strip()
            is_outside = depth == 0 and variable.match(text) and not at.startswith("typedef")
            is_static = depth > 0 and re.match(r"static\s+(?!const\b|_Thread_local const\b)"
                                               r"[\w \*]+[\w\]\[]+\s*(?:=|;|\[)", at)
            if (is_outside or is_static) and "const" not in text.split("=")[0]:
                yield source.path, number, "a global that is not a const table"
            depth += text.count("{") - text.count("}")


# ---- floors ----

FLOORS_PATH = "tests/tidy/floors.txt"


def floors_read(tree):
    """Height of each floor, and floor of each public header."""
    heights, owners = {}, {}
    for text in tree.text_of(FLOORS_PATH).split("\n"):
        fields = text.split()
        if fields and not text.startswith("#"):
            heights[fields[1]] = int(fields[0])
            owners.update({header: fields[1] for header in fields[2:]})
    return heights, owners


def floor_of(path, owners):
    parts = path.split("/")
    if parts[0] == "include":
        return owners.get(re.sub(r"\.(h|def)$", "", parts[-1]))
    return "main" if path == "src/main.c" else parts[1]


@rule("floor")
def floor(tree):
    heights, owners = floors_read(tree)
    for path in tree.sources:
        if path.startswith("include/stentor/") and floor_of(path, owners) is None:
            yield path, 1, "no floor in %s" % FLOORS_PATH
    for source in tree.c_files():
        own = floor_of(source.path, owners)
        for number, text in enumerate(source.lines, 1):
            include = re.match(r'\s*#\s*include\s*[<"]stentor/(\w+)\.(?:h|def)[>"]', text)
            other = owners.get(include.group(1)) if include else None
            if None in (own, other) or other == own:
                continue
            if heights[other] >= heights.get(own, 0):
                yield source.path, number, "%s may not see %s" % (own, other)


@rule("private")
def private(tree):
    for source in tree.c_files(*C_FOLDERS):
        for number, text in enumerate(source.lines, 1):
            if re.match(r'\s*#\s*include\s*"\.\./', text):
                yield source.path, number, "another folder's private header"


def asserts(tree, test):
    """The test file, or a helper of its folder that it includes, asserts something."""
    folder = os.path.dirname(test.path)
    texts = [test.code]
    for header in re.findall(r'^#include "([\w.]+)\.h"', test.text, re.M):
        texts += [tree.sources[path].code for path in ("%s/%s.h" % (folder, header),
                                                       "%s/%s.c" % (folder, header))
                  if path in tree.sources]
    return any(re.search(r"\bassert_\w|\bfail", text) for text in texts)


def twins_named(tree):
    """Modules ("floor/name") that tests name in their opening comment: "Twin of: a, b." means the
    test's own floor; elsewhere, as in tests/sim, "Twin of: server/worker." names the floor."""
    named = set()
    for source in tree.c_files("tests/"):
        opening = re.match(r"/\*.*?\*/", source.text, re.S)
        for words in re.findall(r"Twin of:([\w\s,*/]+)", opening.group(0) if opening else ""):
            for name in re.findall(r"[\w/]*\w", words):
                named.add(name if "/" in name else "%s/%s" % (source.path.split("/")[1], name))
    return named


@rule("twin")
def twin(tree):
    named = twins_named(tree)
    for source in tree.c_files("src/"):
        parts = source.path.split("/")
        if len(parts) != 3 or not source.path.endswith(".c"):
            continue
        name = parts[2][:-2]
        test = "tests/%s/%s_test.c" % (parts[1], name)
        if test not in tree.sources and "%s/%s" % (parts[1], name) not in named:
            yield source.path, 1, "no test twin %s" % test
        if "'%s.c'" % name not in tree.text_of("src/%s/meson.build" % parts[1]):
            yield source.path, 1, "not built by src/%s/meson.build" % parts[1]
    for source in tree.c_files("tests/"):
        parts = source.path.split("/")
        if not source.path.endswith("_test.c") or len(parts) != 3:
            continue
        name = parts[-1][:-len("_test.c")]
        if not asserts(tree, source):
            yield source.path, 1, "a test that asserts nothing cannot fail"
        if not re.search(r"'%s(_test(\.c)?)?'" % name,
                         tree.text_of("tests/%s/meson.build" % parts[1])):
            yield source.path, 1, "not run by tests/%s/meson.build" % parts[1]


@rule("alone")
def alone(tree):
    """Each header compiles by itself: one compiler run a folder, the guilty one by one after."""
    if tree.root is None:
        return
    headers = [source for source in tree.c_files() if source.path.endswith(".h")]
    for source in headers:
        folder = os.path.dirname(source.path)
        command = [tree.compiler, "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c",
                   "-Werror", "-Wall", "-Wno-unused-function", "-I", "include"]
        command += library_flags(folder) + ["-include", source.path, "/dev/null"]
        run = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            first = next((text for text in run.stderr.split("\n") if "error" in text),
                         run.stderr[:200])
            yield source.path, 1, "does not compile alone: %s" % first


def library_flags(folder, flags={}):  # the default is a cache, a pkg-config run each
    package = {"src/nic": "libdpdk"}.get(folder)
    if package is not None and package not in flags:
        run = subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True,
                             check=False)
        flags[package] = run.stdout.split()
    return flags.get(package, [])


@rule("link")
def link(tree):
    """A page points at nothing that is not there."""
    for source in tree.sources.values():
        if tree.root is None or not source.path.endswith(".md"):
            continue
        for match in re.finditer(r"\]\(([^)\s#]+)[^)]*\)", source.text):
            target = match.group(1)
            path = os.path.join(tree.root, os.path.dirname(source.path), target)
            if "://" not in target and not os.path.exists(path):
                yield source.path, source.line_of(match.start()), "%s is not there" % target


TABLES = {"include/stentor/metrics.def": "METRIC", "include/stentor/trace.def": "TRACE",
          "include/stentor/error.def": "ERROR"}
TABLE_HOMES = ("src/core/metrics.c", "src/core/trace.c", "src/base/error.c")


@rule("dead-row")
def dead_row(tree):
    """A counter that nothing counts, an event that nothing records, a fault that nobody reports."""
    used, pasted = set(), set()
    for source in tree.c_files("src/"):
        if source.path not in TABLE_HOMES:
            used.update(re.findall(r"\b(?:METRIC|TRACE|ERROR)_\w+", source.code))
            pasted.update(re.findall(r"\b((?:METRIC|TRACE|ERROR)_\w+)##", source.code))
    for path, kind in TABLES.items():
        text = tree.text_of(path)
        for match in re.finditer(r"^%s\((\w+)" % kind, text, re.M):
            name = "%s_%s" % (kind, match.group(1))
            if name not in used and not name.startswith(tuple(pasted)):
                yield path, text.count("\n", 0, match.start()) + 1, "%s is never used" % name


@rule("limits")
def limits_page(tree):
    """docs/LIMITS.md lists the fixed limits as the headers define them."""
    page = tree.text_of(LIMITS_PATH)
    headers = {source.path: source.text for source in tree.c_files() if source.path.endswith(".h")}
    if page and limits.part_of(page, limits.FIXED) != limits.fixed_table(headers):
        yield LIMITS_PATH, 1, "not up to date; run ninja -C build limits"


# ---- all of it ----

def complaints(tree, names=None):
    """Sorted (path, line, reason, rule) of every fault that is not excused."""
    found = []
    for name, check in RULES.items():
        if names is not None and name not in names:
            continue
        for path, number, reason in check(tree):
            if not tree.sources[path].is_excused(number, name):
                found.append((path, number, reason, name))
    return sorted(set(found))


def main(arguments):
    root = arguments[1] if len(arguments) > 1 else "."
    compiler = arguments[2] if len(arguments) > 2 else "gcc"
    found = complaints(tree_load(root, compiler))
    for path, number, reason, name in found:
        print("%s:%d: %s [%s]" % (path, number, reason, name))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
