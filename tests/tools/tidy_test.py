"""tidy.py finds what it is there to find, and leaves the innocent alone."""

import os
import sys
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
import tidy  # noqa: E402
import tidy_cpp  # noqa: E402


def findings(path, text):
    report = tidy.Report()
    tidy.check_file(path, text, report)
    return [f"{line}: {message}" for _, line, message in report.findings]


def function_of(lines, signature="int f(int a)"):
    return signature + " {\n" + "  ++a;\n" * (lines - 2) + "}\n"


class Budgets(unittest.TestCase):
    def test_a_function_of_the_limit_passes_and_one_line_more_does_not(self):
        self.assertEqual(findings("rpc/a.cc", function_of(70)), [])
        self.assertEqual(findings("rpc/a.cc", function_of(71)),
                         ["1: f has 71 lines, the limit is 70"])

    def test_a_long_constructor_with_a_braced_initialiser_list_is_seen(self):
        text = function_of(80, "Thing::Thing(int a) : a_{a}, b_(2)")
        self.assertEqual(findings("rpc/a.cc", text), ["1: Thing::Thing has 80 lines, the limit "
                                                      "is 70"])

    def test_a_long_member_inside_a_class_inside_a_namespace_is_seen(self):
        text = "namespace x {\nclass A {\n public:\n" + function_of(71) + "};\n}  // namespace x\n"
        self.assertEqual(findings("rpc/a.cc", text), ["4: f has 71 lines, the limit is 70"])

    def test_a_long_test_is_named_by_its_sentence(self):
        text = function_of(71, 'TEST_CASE("a sentence, with (brackets) in it")')
        self.assertEqual(findings("tests/a.cc", text),
                         ["1: a sentence, with (brackets) in it has 71 lines, the limit is 70"])

    def test_braces_in_strings_characters_and_comments_do_not_count(self):
        text = 'int f() {\n  g("}", \'}\', R"(}})");  // }\n  /* } */\n  return 1;\n}\n'
        self.assertEqual([f.lines for f in tidy_cpp.functions(text)], [5])

    def test_a_table_of_values_is_not_a_function(self):
        text = "constexpr int kTable[] = {\n" + "  1,\n" * 100 + "};\n"
        self.assertEqual(tidy_cpp.functions(text), [])

    def test_an_exempted_function_passes_and_a_needless_exemption_does_not_stay_unseen(self):
        tidy.LONG_FUNCTIONS[("rpc/a.cc", "f")] = "a table"
        try:
            self.assertEqual(findings("rpc/a.cc", function_of(71)), [])
            self.assertIn(("rpc/a.cc", 1, "the exemption of f is not needed"),
                          tidy.check_tree(TOP).findings)
        finally:
            del tidy.LONG_FUNCTIONS[("rpc/a.cc", "f")]

    def test_seven_parameters_are_one_too_many_and_template_commas_are_not_parameters(self):
        self.assertEqual(findings("rpc/a.cc", "int f(int a, int b, int c, int d, int e, int g,\n"
                                              "      int h) {\n}\n"),
                         ["1: f has 7 parameters, the limit is 6"])
        six = "int f(A<1, 2, 3> a, B<4, 5> b, int c, int d, int e, int g = h(1, 2)) {\n}\n"
        self.assertEqual(findings("rpc/a.cc", six), [])

    def test_files_and_lines_have_their_limits(self):
        header = "#pragma once\n" + "int a;\n" * 300
        self.assertEqual(findings("rpc/a.h", header), ["1: 301 lines, the limit is 300"])
        self.assertEqual(findings("rpc/a.cc", "int a;\n" * 501), ["1: 501 lines, the limit is 500"])
        self.assertEqual(findings("tests/a.cc", "int a;\n" * 700), [])
        self.assertEqual(findings("rpc/a.cc", "//" + "x" * 99 + "\n"),
                         ["1: 101 columns, the limit is 100"])

    def test_python_functions_are_measured_too(self):
        text = "def f():\n" + "    g()\n" * 70
        self.assertEqual(findings("tools/a.py", text), ["1: f has 71 lines, the limit is 70"])


class Arrows(unittest.TestCase):
    def test_rpc_and_cache_do_not_know_each_other(self):
        self.assertEqual(findings("rpc/a.cc", '#include "cache/store.h"\n'),
                         ["1: rpc/ may not include cache/ (cache/store.h)"])
        self.assertEqual(findings("cache/a.cc", '#include "rpc/nfs3.h"\n'),
                         ["1: cache/ may not include rpc/ (rpc/nfs3.h)"])
        self.assertEqual(findings("cache/a.cc", '#include "rpc/base/task.h"\n'), [])
        self.assertEqual(findings("proxy/a.cc", '#include "cache/store.h"\n'), [])

    def test_the_floor_knows_nobody_and_nobody_knows_the_tests(self):
        self.assertEqual(findings("rpc/base/a.cc", '#include "rpc/nfs3.h"\n'),
                         ["1: rpc/base/ may not include rpc/ (rpc/nfs3.h)"])
        self.assertEqual(findings("tools/a.cc", '#include "tests/support/catch.h"\n'),
                         ["1: tools/ may not include tests/ (tests/support/catch.h)"])

    def test_a_library_has_its_door(self):
        self.assertEqual(findings("proxy/a.cc", "#include <nfsc/libnfs.h>\n"),
                         ["1: <nfsc/libnfs.h> is not for this file: libnfs is the independent "
                          "client"])
        self.assertEqual(findings("tools/doctor.cc", "#include <nfsc/libnfs.h>\n"), [])
        self.assertEqual(len(findings("cache/a.cc", "#include <mutex>\n")), 1)
        self.assertEqual(len(findings("cache/a.cc", "#include <boost/asio.hpp>\n")), 1)


def awaits(statement):
    text = "Task<void> f() {\n  " + statement + "\n}\n"
    return [finding.split(": ", 1)[1] for finding in findings("proxy/a.cc", text)]


BRACES = "braces beside co_await: name the object first"


class CoAwait(unittest.TestCase):
    def test_a_braced_temporary_in_the_same_expression_is_found(self):
        for statement in ["co_await f(A{1});", "auto r = co_await f({a, 3});",
                          "co_return co_await f(A{.s = t});", "if (co_await f(A{1})) { g(); }",
                          "x(\n    co_await f(\n        A{1}));"]:
            self.assertEqual(awaits(statement), [BRACES], statement)

    def test_a_capturing_lambda_in_the_same_expression_is_found(self):
        self.assertEqual(awaits("co_await f([s = x]() { return s; });"),
                         ["lambda [s = x] beside co_await: name it first"])
        self.assertEqual(awaits("co_await f([=] { return 1; });"),
                         ["lambda [=] beside co_await: name it first"])
        self.assertEqual(awaits("co_await f([&, x](int a) mutable { return x; });"),
                         ["lambda [&, x] beside co_await: name it first"])

    def test_what_is_safe_passes(self):
        for statement in ["A a{1};\n  co_await f(a);", "co_await f([&] { g(A{1}); });",
                          "if (x) {\n    co_await g();\n  } else {\n    co_await h(v[1]);\n  }",
                          "for (auto& a : b) {\n    co_await g(a[0]);\n  }",
                          "auto work = [s]() { return s; };\n  co_await f(work);",
                          "while (auto r = co_await next()) {\n    use(A{1});\n  }",
                          "switch (x) {\n    case 1: {\n      co_await g();\n    }\n  }",
                          'LOG("co_await {}", A{1});']:
            self.assertEqual(awaits(statement), [], statement)

    def test_an_await_inside_a_lambda_is_judged_there(self):
        self.assertEqual(awaits("run([&]() -> Task<void> {\n    co_await f(A{1});\n  });"),
                         [BRACES])


class Words(unittest.TestCase):
    def test_unfinished_work_and_private_paths_are_found(self):
        self.assertEqual(findings("README.md", "TO" "DO: write\n"),
                         ["1: a word that says the work is unfinished"])
        self.assertEqual(findings("tools/x", "cd /wo" "rk/here\n"),
                         ["1: a path of somebody's machine"])
        self.assertEqual(findings("README.md", "a todo list application\n"), [])

    def test_headers_and_macros_keep_their_manners(self):
        self.assertEqual(findings("rpc/a.h", "int a;\n"), ["1: no #pragma once"])
        self.assertEqual(findings("rpc/a.cc", "int a;\n#define X 1\n"),
                         ["2: a macro without a comment that says why"])


class ThisTree(unittest.TestCase):
    def test_the_walk_sees_the_sources_and_not_what_was_built(self):
        seen = set(tidy.files(TOP))
        self.assertIn("tools/tidy.py", seen)
        self.assertIn("rpc/base/task.h", seen)
        self.assertFalse([path for path in seen if path.startswith("build")])


if __name__ == "__main__":
    program = unittest.main(exit=False)
    bad = len(program.result.failures) + len(program.result.errors)
    print(f"{program.result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad))
