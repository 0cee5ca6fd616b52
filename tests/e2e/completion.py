"""Completion, by real shells: bash with what it is given to complete, zsh at a terminal."""
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

from support.server import BINARY, ROOT, run_relay
from support.tap import check, check_equal, main, skip, smoke, test

PATIENT = True

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_relay 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script_of(shell, directory):
    code, text, errors = run_relay("completion", shell)
    check_equal((code, errors), (0, ""), f"relay completion {shell}")
    path = os.path.join(directory, "relay." + shell)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def complete(script, *words, cwd=None):
    """What bash offers for the last word."""
    done = subprocess.run(["bash", "--norc", "-c", ASK, "bash", script, "relay", *words], capture_output=True, text=True, cwd=cwd, timeout=20)
    check_equal((done.returncode, done.stderr), (0, ""), f"bash, of {words}")
    return sorted(line.strip() for line in done.stdout.splitlines() if line)


@smoke
def bash_completes_verbs_flags_and_files():
    with tempfile.TemporaryDirectory() as directory:
        script = script_of("bash", directory)
        for name in ("one.db", "two words.conf"):
            with open(os.path.join(directory, name), "w", encoding="ascii"):
                pass
        check_equal(complete(script, "ten"), ["tenant"], "a noun")
        check_equal(complete(script, "tenant", ""), ["add", "list", "remove", "set", "show"], "verbs")
        check_equal(complete(script, "tenant", "s"), ["set", "show"], "some verbs")
        check_equal(complete(script, "tenant", "remove", "acme", "--f"), ["--force"], "a flag behind a word")
        check_equal(complete(script, "user", "add", "--pass"), ["--password-file", "--password-stdin"], "flags")
        check_equal(complete(script, "user", "list", "--force"), [], "a flag of another verb")
        check_equal(complete(script, "user", "list", "--tenant", ""), [], "a value that is no file")
        check_equal(complete(script, "usage", "--userdb", "o", cwd=directory), ["one.db"], "a file")
        check_equal(complete(script, "check", "two", cwd=directory), ["two words.conf"], "a file with a blank in its name")
        check_equal(complete(script, "audit", "--js"), ["--json"], "of a noun without verbs")
        check("--listening-port" in complete(script, "--listening-"), "an option of the server")
        check_equal(complete(script, "-c", "o", cwd=directory), ["one.db"], "the server's configuration")
        check("--total-quota" in complete(script, "-c", "one.db", "--tot"), "an option behind a value")
        check_equal(complete(script, "--userdb", "o", cwd=directory), ["one.db"], "an option's file")


@test
def all_that_help_has_is_completed():
    with tempfile.TemporaryDirectory() as directory:
        script = script_of("bash", directory)
        nouns = complete(script, "")
        with open(os.path.join(ROOT, "core", "server", "command.c"), encoding="utf-8") as file:
            table = file.read().partition("static const struct command table[]")[2].partition("};")[0]
        names = re.findall(r'^    \{"([a-z-]+(?: [a-z]+)?)",', table, re.M)
        check(len(names) > 30, f"the verbs are {names}")
        for name in names:
            noun, _, verb = name.partition(" ")
            check(noun in nouns, f"{noun} is not completed")
            check(not verb or verb in complete(script, noun, verb), f"{name} is not completed")
            usage = run_relay(*name.split(), "--help")[1].splitlines()[0]
            for flag in set(re.findall(r"(?<![\w-])--[a-z-]+", usage)):
                check(flag in complete(script, *name.split(), flag), f"{flag} of {name} is not completed: {usage}")


class Terminal:
    """zsh -f at a terminal of its own."""

    def __init__(self, directory):
        self.child, self.file = pty.fork()
        if self.child == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {"PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"], "TERM": "dumb", "HOME": directory, "PS1": "> "})
        self.said = ""

    def type(self, text, until, limit_s=10.0):
        """Types; waits until that is said; what was said since."""
        os.write(self.file, text.encode())
        self.said, end = "", time.monotonic() + limit_s
        while until not in self.said:
            check(time.monotonic() < end, f"zsh, of {text!r}, says {self.said!r}, not {until!r}")
            if select.select([self.file], [], [], 0.1)[0]:
                self.said += os.read(self.file, 65536).decode(errors="replace")
        return self.said

    def close(self):
        os.close(self.file)
        os.waitpid(self.child, 0)


@test
def zsh_completes_too():
    if not shutil.which("zsh"):
        skip("there is no zsh: completion of zsh is not tested")
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(os.path.join(directory, "functions"))
        os.rename(script_of("zsh", directory), os.path.join(directory, "functions", "_relay"))
        with open(os.path.join(directory, "one.db"), "w", encoding="ascii"):
            pass
        terminal = Terminal(directory)
        try:
            terminal.type("fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D; echo rea''dy\n", "ready")
            for typed, completed in (("relay tena\t", "relay tenant "), ("relay tenant sho\t", "relay tenant show "), ("relay user add --password-s\t", "--password-stdin "),
                                     ("relay usage --userdb on\t", "one.db "), ("relay --total-q\t", "--total-quota ")):
                terminal.type(typed, completed)
                terminal.type("\x15echo no''w\n", "now")
        finally:
            terminal.close()


@test
def what_is_no_shell_of_ours_is_refused():
    code, _, errors = run_relay("completion", "fish")
    check(code == 2 and "bash or zsh" in errors, errors)


@test
def make_install_puts_the_scripts_where_shells_look():
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(["make", "-s", "-o", "all", "install", f"DESTDIR={directory}", "PREFIX=/usr", f"B={os.path.dirname(BINARY)}"], cwd=ROOT, capture_output=True, text=True, timeout=120)
        check_equal(done.returncode, 0, f"make install ({done.stderr})")
        for shell, where in (("bash", "bash-completion/completions/relay"), ("zsh", "zsh/site-functions/_relay")):
            with open(os.path.join(directory, "usr/share", where), encoding="utf-8") as file:
                check_equal(file.read(), run_relay("completion", shell)[1], f"the script of {shell}")


main()
