#!/usr/bin/python3
"""relay test: the specs of policies in the binary: as busted counts them, and what it says when something is wrong."""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as xml

from support.server import BINARY, ROOT, need
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

LUA = os.path.join(ROOT, "lua")
POINT = re.compile(r"(not )?ok \d+ - (.*?)(?: *# *SKIP.*)?$", re.M)

POLICY = """local P = relay.params("deny", {who = {default = "eve"}})

local function never()
  return nil
end

return {
  authorize = function(req)
    if req.user == P.who then return relay.deny(403, "denied") end
    if req.user == "nobody" then
      never()
    end
  end,
}
"""

SPEC = """local T = require "relay.testing"
describe("deny.lua", function()
  local s, seen = nil, {}
  setup(function() seen[1] = "setup" end)
  before_each(function()
    s = T.new{policy = "deny.lua", users = {eve = "p", ann = "q"}}
    seen[#seen + 1] = "before"
  end)
  after_each(function() seen[#seen + 1] = "after" end)
  it("denies eve", function()
    assert.equal(403, s:allocate{username = "eve", password = "p"}.code)
    assert.same({"setup", "before"}, seen)
    finally(function() seen[#seen + 1] = "finally" end)
  end)
  it("admits ann", function()
    assert.is_true(s:allocate{username = "ann", password = "q"}.ok, "ann")
    assert.same({"setup", "before", "finally", "after", "before"}, seen)
  end)
end)
"""

WORDS = """
describe("words", function()
  context("in a context", function()
    it("say yes", function()
      assert.equal(1, 1) assert.equals(1, 1) assert.same({a = {1}}, {a = {1}}) assert.are.same({1}, {1}) assert.is_nil(nil)
      assert.is_true(true) assert.is_false(false) assert.truthy(1) assert.is_truthy(1) assert.falsy(nil) assert.is.falsy(false)
      assert.near(1, 1.05, 0.1) assert.matches("b+", "abbc") assert.match("a.c", "a.c", 1, true) assert.is_string("") assert.is_number(1)
      assert.is_table({}) assert.is_function(print) assert.is_boolean(false) assert.unique({1, 2})
      assert.has_error(function() error("boom") end) assert.has_error(function() error("boom") end, "boom")
      assert.error(function() error({1}) end, {1}) assert.error_matches(function() error("boom") end, "bo+m")
      assert.has_no.errors(function() end) assert.has_no_error(function() end) assert.is_not.equal(1, 2) assert.are_not.same({1}, {2})
      assert.not_nil(1) assert.is_not_nil(1) assert.is_not_true(1) assert.not_near(1, 2, 0.1) assert.not_match("a", "b")
      assert(1 == 1, "fine")
      assert.equal("x", (assert("x")))
    end)
    for name, bad in pairs {
      equal = function() assert.equal(1, 2) end, equal_types = function() assert.equal(1, "1") end, same = function() assert.same({1}, {1, 2}) end,
      is_true = function() assert.is_true(1) end, is_false = function() assert.is_false(nil) end, is_nil = function() assert.is_nil(false) end,
      truthy = function() assert.truthy(nil) end, falsy = function() assert.falsy(0) end, near = function() assert.near(1, 2, 0.5) end,
      matches = function() assert.matches("^b", "ab") end, has_error = function() assert.has_error(function() end) end,
      other_error = function() assert.has_error(function() error("a") end, "b") end, is_string = function() assert.is_string(1) end,
      error_matches = function() assert.error_matches(function() error("a") end, "b") end,
      no_error_matches = function() assert.error_matches(function() end, "b") end,
      has_no_errors = function() assert.has_no.errors(function() error("a") end) end, is_not = function() assert.is_not.equal(1, 1) end,
      are_not = function() assert.are_not.same({1}, {1}) end, bare = function() assert(false, "no") end, unknown = function() assert.eqal(1, 1) end,
      raised = function() error("raised") end, thrown = function() error({}) end, too_few = function() assert.equal(1) end,
    } do
      it("say no: " .. name, bad)
    end
    it("is to come")
    pending("is pending", function() error("never runs") end)
    it("becomes pending", function() pending("not today") end)
  end)
  describe("a failing before_each", function()
    before_each(function() error("before") end)
    it("fails the test", function() end)
  end)
  describe("a failing after_each", function()
    after_each(function() error("after") end)
    it("fails it too", function() end)
  end)
end)
"""


class Directory:
    """A directory with files, where `relay test` runs."""

    def __init__(self, **files):
        self.files = files

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="relay-e2e-")
        for name, text in self.files.items():
            self.write(name, text)
        return self

    def write(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *arguments):
        """The exit code, and all that was said."""
        done = subprocess.run([BINARY, "test", "--lua-dir", LUA, *arguments], cwd=self.path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stdout + done.stderr

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def new(**files):
    """Names with `__` for `/`; `.lua` is behind each."""
    return Directory(**{name.replace("__", "/") + ".lua": text for name, text in files.items()})


def points(text):
    """Of TAP: name and whether it is ok, in order of names."""
    return sorted((match[2].strip(), not match[1]) for match in POINT.finditer(text) if match[2].strip())


def busted(paths, cwd):
    need("busted")
    done = subprocess.run(["busted", "--lua=lua5.4", "-o", "TAP", *paths], cwd=cwd, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LUA_PATH": f"{LUA}/?.lua;{LUA}/?/init.lua;;"})
    check(done.stdout.count("ok ") > 0, "busted said", done.stdout, done.stderr)
    return points(done.stdout)


def points_of(*arguments, cwd=ROOT, backend="fake"):
    done = subprocess.run([BINARY, "test", "--lua-dir", LUA, "--format", "tap", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "RELAY_BACKEND": backend})
    return points(done.stdout)


@test
def all_specs_of_the_project_have_the_same_results_under_busted_and_in_the_real_core():
    specs = sorted(os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "tests", "spec", "*_spec.lua")))
    theirs = busted(specs, ROOT)
    check(len(theirs) > 120 and all(passed for _, passed in theirs), f"{len(theirs)} tests")
    check_equal(points_of(*specs), theirs, "what relay test says")
    check_equal(points_of(*specs, "--live", backend="core"), theirs, "what relay test --live says")


@smoke
def policies_run_in_the_real_core():
    for spec in ("quota", "tenants", "waiting", "library"):
        found = points_of(f"tests/spec/{spec}_spec.lua", "--live", backend="core")
        check(len(found) > 5 and all(passed for _, passed in found), f"{spec}: {found}")
    evil = 'return {authorize = function(req) return string.find(("a"):rep(513), ".-.-.-b") end}'
    spec = """
    local T = require "relay.testing"
    it("stops an evil pattern", function()
      local s = T.new{policy = "evil.lua", users = {ann = "p"}}
      assert.equal(500, s:allocate{username = "ann", password = "p"}.code)
      local why = s.errors[1].message
      assert.is_truthy(why:find("steps") or why:find("out of time")) -- the latter on a machine that is slow, or under a sanitizer
    end)"""
    with new(evil=evil, evil_spec=spec) as at:
        code, said = at.run("--live")
        check_equal((code, "1 passed, 0 failed" in said), (0, True), f"of a policy that the fake core cannot stop: {said}")
        check_equal(at.run("--live", "--coverage")[0], 2, "the exit code with --coverage")


@test
def every_assertion_holds_and_fails_as_under_busted():
    with new(words_spec=WORDS) as at:
        ours, theirs = points_of("words_spec.lua", cwd=at.path), busted(["words_spec.lua"], at.path)
        pending = {"words in a context is to come", "words in a context is pending", "words in a context becomes pending"}  # busted prints no names
        failing = [name for name, passed in ours if name.startswith("words a failing") and not passed]  # busted names the step, not the test
        alike = lambda points: [point for point in points if point[0] not in pending and not point[0].startswith("words a failing")]
        check_equal(alike(ours), alike(theirs), "what relay test says")
        check_equal(failing, ["words a failing after_each fails it too", "words a failing before_each fails the test"], "the tests whose steps fail")
        check(pending <= {name for name, _ in ours} and "1 passed, 25 failed, 3 pending" in at.run()[1], at.run()[1])


@smoke
def specs_beside_the_policies_are_found_and_so_are_their_policies():
    for spec in ("spec__deny_spec", "deny_spec", "spec__deep__deny_spec"):
        with new(**{"deny": POLICY, spec: SPEC}) as at:
            code, said = at.run()
            if "deep" in spec:
                check("deny.lua: No such file" in said, said)
                continue
            check_equal((code, said.splitlines()[-1].startswith("2 passed, 0 failed, 0 pending")), (0, True), f"with {spec}: {said}")
    with new(policies__deny=POLICY, policies__spec__deny_spec=SPEC) as at:
        check_equal(at.run()[0], 0, "from above the policies")
        check_equal(at.run("policies")[0], 0, "by the name of the directory")
        check_equal(at.run("policies/spec/deny_spec.lua")[0], 0, "by the name of the file")


@test
def what_fails_is_told_with_its_line_and_both_values():
    spec = SPEC.replace("assert.equal(403,", "assert.equal(486,").replace("{ann", "{bob").replace('"q"}.ok', '"x"}.ok')
    with new(deny=POLICY, deny_spec=spec) as at:
        code, said = at.run()
        check_equal(code, 1, "the exit code")
        for text in ("FAILED deny_spec.lua:11: deny.lua denies eve\n    expected: 486\n      actual: 403\n",
                     "FAILED deny_spec.lua:16: deny.lua admits ann\n    ann\n    expected: true\n      actual: false\n", "0 passed, 2 failed, 0 pending"):
            check(text in said, f"{text!r} is not in {said}")
        check("::error file=deny_spec.lua,line=11::deny.lua denies eve%0Aexpected: 486" in at.run("--format", "github")[1], "as GitHub reads it")


@test
def nothing_is_swallowed():
    broken = {
        "empty": ("", "no tests in it"),
        "syntax": ('it("x", function(', "near <eof>"),
        "top": ('error("at the top")', "at the top"),
        "describe": ('describe("d", function() it("t", function() end) error("in it") end)', "in it"),
        "exit": ("os.exit(0)", "os.exit: not in a spec"),
        "exit_in_a_test": ('it("t", function() os.exit(true) end)', "os.exit"),
        "stack": ('it("t", function() local function f() return f() + 1 end f() end)', "overflow"),
        "setup": ('setup(function() error("s") end) it("t", function() end)', "setup: "),
        "teardown": ('teardown(function() error("s") end) it("t", function() end)', "teardown: "),
        "nested": ('it("t", function() it("u", function() end) end)', "not inside"),
        "null": ('it("t", function() error() end)', "nil"),
        "finally": ('it("t", function() finally(function() error("f") end) end)', "finally: "),
    }
    for name, (text, why) in broken.items():
        with new(**{f"{name}_spec": text}, fine_spec='it("t", function() end)') as at:
            code, said = at.run()
            check_equal(code, 1, f"the exit code of {name}: {said}")
            check(why in said and f"{name}_spec.lua:" in said and re.search("[12] passed, 1 failed, 0 pending", said), f"of {name}: {said}")
    with new(fine_spec='it("t", function() end)') as at:
        for arguments, why in {("none",): "none: No such file or directory", ("--filter", "zzz"): 'no test matches "zzz"',
                               ("--junit", "no/where.xml"): "--junit: no/where.xml", ("--coverage",): "no policy file was loaded"}.items():
            code, said = at.run(*arguments)
            check_equal((code, why in said), (1, True), f"{arguments} said {said}")
        for arguments in (("--format", "xml"), ("--coverage-min", "x"), ("--coverage-min", "101"), ("--livee",)):
            check_equal(at.run(*arguments)[0], 2, f"the exit code of {arguments}")
    with new() as at:
        check("no specs found" in at.run()[1] and at.run()[0] == 1, "without specs")


@test
def one_spec_does_not_touch_the_next():
    first = 'leaked = 1 string.mine = 1 package.loaded.mine = 1 _G.deep = 1 it("t", function() end)'
    with new(a_spec=first, b_spec='it("t", function() assert.same({}, {leaked, rawget(_G, "deep"), package.loaded.mine}) end)') as at:
        check_equal(at.run()[0], 0, at.run()[1])


@test
def coverage_names_the_lines_that_did_not_run():
    with new(deny=POLICY, deny_spec=SPEC) as at:
        code, said = at.run("--coverage")
        check_equal(code, 0, "the exit code")
        check(" 66.7 %  deny.lua  missed 4 11\n 66.7 %  of 6 lines of 1 policy files ran\n" in said, said)
        check_equal(at.run("--coverage-min", "66")[0], 0, "at the least")
        code, said = at.run("--coverage-min", "67")
        check_equal((code, "coverage: 66.7 % is less than 67 %" in said), (1, True), said)
        coverage = json.loads(at.run("--coverage", "--json")[1])["coverage"]
        check_equal((coverage["lines"], coverage["ran"], coverage["files"][0]["missed"]), (6, 4, "4 11"), "as JSON")


@test
def junit_is_what_ci_systems_read():
    strange = ('it("a < b & \\"c\\" \\1", function() assert.equal("<\\0\\xff>", "&") end)\n'
               'it("to come")\nit("t", function() error("e") end) it("u", function() end)')
    with new(strange_spec=strange, deny=POLICY, deny_spec=SPEC) as at:
        check_equal(at.run("--junit", "out.xml")[0], 1, "the exit code")
        root = xml.parse(os.path.join(at.path, "out.xml")).getroot()
        check_equal((root.tag, [root.get(name) for name in ("tests", "failures", "errors", "skipped")]), ("testsuites", ["6", "1", "1", "1"]), "the head")
        suites = {suite.get("name"): suite for suite in root}
        check_equal(sorted(suites), ["deny_spec.lua", "strange_spec.lua"], "the suites")
        check_equal([suites["strange_spec.lua"].get(name) for name in ("tests", "failures", "errors", "skipped")], ["4", "1", "1", "1"], "of one suite")
        cases = {case.get("name"): case for case in root.iter("testcase")}
        check_equal({case.get("classname") for case in cases.values()}, {"deny_spec", "strange_spec"}, "the classes")
        check(all(float(case.get("time")) >= 0 and int(case.get("line")) > 0 and case.get("file") for case in cases.values()), "time, line, file")
        failure = cases['a < b & "c" ?'].find("failure")
        check_equal(failure.get("message"), 'expected: "<\\0\\xff>"\n  actual: "&"', "the message")
        check("strange_spec.lua:1" in failure.text, failure.text)
        check_equal([child.tag for child in cases["to come"]], ["skipped"], "what is pending")
        check("strange_spec.lua:3: e" in cases["t"].find("error").get("message"), "what was raised")
        check_equal(list(cases["u"]) + list(cases["deny.lua denies eve"]), [], "of what passed")


@test
def a_filter_runs_what_matches_alone():
    with new(deny=POLICY, deny_spec=SPEC) as at:
        said = json.loads(at.run("--json", "--filter", "eve$")[1])
        check_equal([(each["name"], each["status"], each["line"]) for each in said["results"]], [("deny.lua denies eve", "passed", 10)], "the results")
        check_equal((said["passed"], said["failed"], said["pending"]), (1, 0, 0), "the counts")


if __name__ == "__main__":
    main()
