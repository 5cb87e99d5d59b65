#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tidy.py: each rule complains about what it is for, at the right line, and keeps quiet
about what looks like it. A rule that cannot fail is a defect, so a rule without a case fails."""
import os
import sys
import tempfile
import unittest

import tidy

SPDX = "/* SPDX-License-Identifier: Apache-2.0\n *\n * A story. Any thread. */\n"
FLOORS = ("0 base bytes\n1 core pool\n2 nic nic\n2 xml xml\n3 net net\n3 xmpp jid\n7 server\n"
          "8 main\n")


def c(path, *lines):
    """A tree of one C file: the opening comment (lines 1 to 3), then the lines from line 4 on."""
    return {path: SPDX + "\n".join(lines) + "\n"}


def function(name, count):
    """A function of that many lines."""
    return ["void %s(void)" % name, "{"] + ["    step();"] * (count - 3) + ["}"]


# (rule, files, [(path, line), ...]): exactly these places are complained about.
CASES = [
    ("spdx", {"src/net/a.c": "int a;\n", "include/stentor/a.def": "\n/* SPDX */\n",
              "tests/run.sh": "#!/bin/sh\ntrue\n"},
     [("include/stentor/a.def", 1), ("src/net/a.c", 1), ("tests/run.sh", 1)]),
    ("columns", c("src/net/a.c", "x" * 100, "\u00e4" * 101), [("src/net/a.c", 5)]),
    ("columns", c("tests/net/a_test.c", "x" * 101), [("tests/net/a_test.c", 4)]),
    ("space", c("src/net/a.c", "int a; ", "\tint b;", "int c;"),
     [("src/net/a.c", 4), ("src/net/a.c", 5)]),
    ("space", {"tests/meson.build": "x \n\ty\n"}, [("tests/meson.build", 1)]),
    ("long", c("src/net/a.c", *function("fits", 70)), []),
    ("long", c("src/net/a.c", *function("fits", 70), "", *function("is_long", 71)),
     [("src/net/a.c", 75)]),
    ("long", c("src/net/a.c", "static int two(int a,", "               int b)", "{",
               *["    step();"] * 67, "}"), [("src/net/a.c", 4)]),
    ("long", c("src/net/a.c", "/* tidy: long - a table of 71 rows */", *function("f", 71)), []),
    ("long", c("src/net/a.c", *["int a;"] * 798), [("src/net/a.c", 1)]),
    ("long", c("src/net/a.c", *["int a;"] * 797), []),
    ("long", c("src/net/a.c", "/* tidy: long - generated */", *["int a;"] * 798), []),
    ("story", {"src/net/a.c": "/* SPDX-License-Identifier: Apache-2.0 */\nint a;\n"},
     [("src/net/a.c", 1)]),
    ("story", {"include/stentor/a.h": "/* SPDX\n *\n * A story. */\n/* owner */\n"},
     [("include/stentor/a.h", 1)]),
    ("story", {"include/stentor/a.h": "/* SPDX\n *\n * Owner: one worker. */\n"}, []),
    ("dead-code", c("src/net/a.c", "#if 0", "int a;", "#endif", "# if 0", "#endif"),
     [("src/net/a.c", 4), ("src/net/a.c", 7)]),
    ("dead-code", c("src/net/a.c", "/* #if 0", "#if 0", "*/", "#if 01"), []),
    ("todo", c("src/net/a.c", "/* TODO later */", "/* TODO(#12) later */", "/* FIXME */",
               "/* TODO #3 */", "int todo;"), [("src/net/a.c", 4), ("src/net/a.c", 6)]),
    ("alloc", c("src/net/a.c", "    tidy: alloc - no comment"), []),
    ("alloc", c("src/net/a.c", "/* free(x) */", "x->free(y);", "heap_free(y);", 's = "free(";',
                "free(y); /* tidy: alloc - the library's own block */",
                "/* tidy: alloc - the library's own block */", "free(y);"), []),
    ("alloc", c("src/net/a.c", "free(y); /* tidy: clock - another rule */"),
     [("src/net/a.c", 4)]),
    ("clock", c("src/net/a.c", "rate_time(x);", "int time = 0;"), []),
    ("random", c("src/net/a.c", "struct random *random;", "random_next(random);"), []),
    ("print", c("src/net/a.c", 'snprintf(a, 1, "b");'), []),
    ("print", c("src/server/a.c", 'printf("b");'), []),
    ("unsafe", c("src/net/a.c", "strncmp(a, b, 1);", "my_sprintf(a);"), []),
    ("library", c("src/net/a.c", "#include <rte_mbuf.h>", "rte_free(x);", "RTE_MIN(1, 2);"),
     [("src/net/a.c", 4), ("src/net/a.c", 5), ("src/net/a.c", 6)]),
    ("library", c("src/net/a.c", "#include <openssl/evp.h>", "#include <intel-ipsec-mb.h>",
                  "#include <lmdb.h>", "#include <microhttpd.h>", "#include <jansson.h>",
                  "#include <curl/curl.h>", "#include <unicode/ubrk.h>", "#include <yaml.h>",
                  "#include <ck_ring.h>", "#include <expat.h>", '#include "mimalloc.h"'),
     [("src/net/a.c", line) for line in range(4, 15)]),
    ("library", {**c("src/nic/a.c", "#include <rte_mbuf.h>", "rte_free(x);"),
                 **c("src/tls/a.c", "#include <openssl/evp.h>"),
                 **c("src/store/a.c", "#include <lmdb.h>"),
                 **c("src/admin/a.c", "#include <microhttpd.h>", "/* rte_free */"),
                 **c("src/ctl/a.c", "#include <curl/curl.h>", "#include <jansson.h>"),
                 **c("tests/xml/a_test.c", "#include <expat.h>")}, []),
    ("word", c("src/net/a.c", "struct info {", "    int user_data;", "};", "#define MISC_MAX 1",
               "enum kind {", "    KIND_PROCESS,", "};", "void manager_run(struct a *context);",
               "static int update(int datagram)", "{", "    MDB_val util = {0};"),
     [("src/net/a.c", line) for line in (4, 5, 7, 9, 11, 14)]),
    ("word", c("src/net/a.c", "use(request->data, info);", "return data;", "library_info(a);",
               "int database;", "int processor;", "x.info = 1;", "else data = 2;",
               "/* int data; */", "    LOG_LEVEL_INFO,", "char server_data_dir[2];",
               "enum error data_folder_prepare(void)", "{"), []),
    ("word", c("src/net/a.c", "int data_dir_info;"), [("src/net/a.c", 4)]),
    ("word", {"include/stentor/a.def": "METRIC(TCP_DATA, COUNTER)\nMETRIC(TCP_IN, COUNTER)\n"},
     [("include/stentor/a.def", 1)]),
    ("handle-verb", c("src/net/a.c", "void handle_packet(int a)", "{", "}", "",
                      "struct handle handle_of(int a)", "{", "}", "", "void packet_handle(void)",
                      "{", "}"), [("src/net/a.c", 4)]),
    ("typedef", c("src/net/a.c", "typedef struct a b;", "typedef struct {", "    int a;", "} c;",
                  "typedef uint32_t id_t;", "typedef int (*step)(struct a *a);"),
     [("src/net/a.c", 4), ("src/net/a.c", 5), ("src/net/a.c", 8)]),
    ("global", c("src/net/a.c", "int count;", "static struct a *first = NULL;",
                 "static uint8_t bits[3][4] = {", "};", "void f(void)", "{",
                 "    static int calls;", "}"),
     [("src/net/a.c", line) for line in (4, 5, 6, 10)]),
    ("global", c("src/net/a.c", "static const int a = 1;", "struct a;", "static int f(int a);",
                 "const char *const names[] = {", "};", "struct b {", "    int c;", "};",
                 "static int g(int a,", "             int b)", "{", "    int d;",
                 "    static const int e = 1;", "}"), []),
    ("floor", {"tests/tidy/floors.txt": FLOORS,
               **c("src/net/a.c", '#include "stentor/bytes.h"', '#include "stentor/nic.h"',
                   '#include "stentor/net.h"', '#include "stentor/jid.h"'),
               **c("src/nic/a.c", '#include "stentor/xml.h"', '#include "stentor/net.h"',
                   '#include "stentor/pool.h"'),
               **c("src/server/a.c", '#include "stentor/net.h"', '#include "stentor/jid.h"'),
               **c("src/main.c", '#include "stentor/jid.h"'),
               **c("include/stentor/bytes.h", '#include "stentor/pool.h"'),
               **c("include/stentor/odd.h", "")},
     [("include/stentor/bytes.h", 4), ("include/stentor/odd.h", 1), ("src/net/a.c", 7),
      ("src/nic/a.c", 4), ("src/nic/a.c", 5)]),
    ("private", c("src/net/a.c", '#include "../nic/nic_port.h"', '#include "tcp_row.h"'),
     [("src/net/a.c", 4)]),
    ("twin", {**c("src/net/a.c", "int a;"), **c("src/net/b.c", "int b;"),
              **c("tests/net/b_test.c", "/* assert_true(1) */"),
              **c("tests/net/c_test.c", "assert_true(a);"),
              "src/net/meson.build": "files('a.c')", "tests/net/meson.build": "['b']"},
     [("src/net/a.c", 1), ("src/net/b.c", 1), ("tests/net/b_test.c", 1),
      ("tests/net/c_test.c", 1)]),
    ("dead-row", {"include/stentor/metrics.def": "/* METRIC(X) */\nMETRIC(A, 1)\nMETRIC(B, 1)\n"
                                                 "METRIC(C_D, 1)\nMETRIC(E, 1)\n",
                  "include/stentor/error.def": "ERROR(A)\n",
                  **c("src/core/metrics.c", "METRIC_B", "METRIC_##kind"),
                  **c("src/net/a.c", "count(METRIC_A); /* METRIC_E */", "METRIC_C_##name")},
     [("include/stentor/error.def", 1), ("include/stentor/metrics.def", 3),
      ("include/stentor/metrics.def", 5)]),
    ("limits", {**c("include/stentor/a.h", "#define A_MAX 5u /* of a */", "#define B_MAX 6u"),
                "docs/LIMITS.md": "<!-- fixed: begin -->\n| limit | value | where | note |\n"
                                  "|---|---|---|---|\n| `A_MAX` | `5` | a.h | of a |\n"
                                  "<!-- fixed: end -->\n"}, [("docs/LIMITS.md", 1)]),
    ("limits", {**c("include/stentor/a.h", "#define A_MAX 5u /* of a */", "#define B_LEAST 6u",
                    "#define C_MAX(x) (x)"),
                "docs/LIMITS.md": "<!-- fixed: begin -->\n| limit | value | where | note |\n"
                                  "|---|---|---|---|\n| `A_MAX` | `5` | a.h | of a |\n"
                                  "<!-- fixed: end -->\n"}, []),
    ("twin", {**c("src/net/a.c", "int a;"), **c("src/net/b.c", "int b;"),
              "tests/net/ab_test.c": "/* SPDX\n * Twin of: a,\n * b. */\n#include \"play.h\"\n",
              **c("tests/net/play.c", "assert_true(a);"),
              "src/net/meson.build": "files('a.c', 'b.c')", "tests/net/meson.build": "['ab']"},
     []),
    ("twin", {**c("src/net/a.c", "int a;"), **c("src/net/b.c", "int b;"),
              "tests/sim/world.c": "/* SPDX\n *\n * Twin of: net/a, b. */\nassert_true(a);\n",
              "src/net/meson.build": "files('a.c', 'b.c')"}, [("src/net/b.c", 1)]),
    ("twin", {**c("src/net/a.c", "int a;"), **c("tests/net/a_test.c", "assert_true(a);"),
              **c("src/main.c", "int a;"), "src/net/meson.build": "files('a.c')",
              "tests/net/meson.build": "['a']"}, []),
]


def places(name, files):
    found = tidy.complaints(tidy.Tree(files), {name})
    return sorted({(path, line) for path, line, _, _ in found})


class Tidy(unittest.TestCase):
    def test_cases(self):
        """Each case gives exactly its complaints."""
        for number, (name, files, expected) in enumerate(CASES):
            with self.subTest(rule=name, case=number):
                self.assertEqual(places(name, files), sorted(expected))

    def test_each_rule_can_fail(self):
        """No rule is without a case that it complains about."""
        failing = {name for name, _, expected in CASES if expected}
        failing |= {name for name, _, _, _ in tidy.HOMES}  # test_homes
        failing |= {"alone", "link"}                       # test_alone, test_link
        self.assertEqual(set(tidy.RULES), failing)

    def test_homes(self):
        """Each banned call is found in a floor and in a header, and is free at its home."""
        for name, pattern, homes, _ in tidy.HOMES:
            for call in pattern.split("(?:")[1].split(")")[0].split("|"):
                with self.subTest(rule=name, call=call):
                    text = "    x = %s (1);" % call
                    self.assertEqual(places(name, c("src/net/a.c", text)), [("src/net/a.c", 4)])
                    self.assertEqual(places(name, c("include/stentor/a.h", text)),
                                     [("include/stentor/a.h", 4)])
                    self.assertEqual(places(name, c("tests/net/a_test.c", text)), [])
                    for home in homes:
                        path = home if home.endswith(".c") else home + "a.c"
                        self.assertEqual(places(name, c(path, text)), [])

    def test_alone(self):
        """A header that needs another one before it is told; one that stands alone is not."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {"include/stentor/good.h": "#include <stdint.h>\nuint8_t a(void);\n",
                               "include/stentor/bad.h": "uint8_t a(void);\n"}.items():
                path = os.path.join(root, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(SPDX + text)
            tree = tidy.tree_load(root, "cc")
            found = [path for path, _, _, _ in tidy.complaints(tree, {"alone"})]
            self.assertEqual(found, ["include/stentor/bad.h"])

    def test_link(self):
        """A link to a page that is not there is told with its line; others are not."""
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "docs"))
            for path, text in {"README.md": "[a](docs/A.md)\n[b](docs/B.md) [c](https://c.d/)\n",
                               "docs/A.md": "[up](../README.md#x)\n"}.items():
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found = tidy.complaints(tidy.tree_load(root, "cc"), {"link"})
            self.assertEqual([(path, line) for path, line, _, _ in found], [("README.md", 2)])

    def test_main(self):
        """The program reports by exit status: 1 for a faulty tree, 0 for a clean one."""
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(tidy.main(["tidy", root]), 0)
            os.makedirs(os.path.join(root, "src"))
            with open(os.path.join(root, "src/main.c"), "w", encoding="utf-8") as file:
                file.write("int a; \n")
            sys.stdout, out = open(os.devnull, "w", encoding="utf-8"), sys.stdout
            try:
                self.assertEqual(tidy.main(["tidy", root]), 1)
            finally:
                sys.stdout.close()
                sys.stdout = out


if __name__ == "__main__":
    unittest.main()
