#!/usr/bin/python3
"""newcomer: what the README shows, run as it stands: `make run` with the proof that it prints, the policy, and the commands."""
import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import urllib.request

from support.server import BINARY, POLICIES, ROOT, Server, free_port, need, run_relay
from support.tap import check, check_equal, main, test, wait_for

PATIENT = True


def readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read()


def commands(text):
    """The indented command lines of a page, without comments."""
    lines = re.findall(r"^    ((?:build/relay|make) .*)$", text, re.M)
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def is_open(host, port):
    with socket.socket() as tcp:
        return tcp.connect_ex((host, port)) == 0


class Run:
    """examples/run in a directory for temporary files of its own, on free ports."""

    def __init__(self, directory):
        self.host, self.port = "127.0.0.1", free_port()
        environment = dict(os.environ, RELAY=BINARY, RELAY_IP=self.host, RELAY_PORT=str(self.port), RELAY_TLS_PORT=str(free_port()),
                           RELAY_ADMIN_PORT=str(free_port()), TMPDIR=directory)
        self.process = subprocess.Popen([os.path.join(ROOT, "examples", "run")], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.lines = []

    def __enter__(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "until Ctrl-C" in line:
                return self
        raise AssertionError("it ended instead of serving:\n" + "".join(self.lines))

    def said(self, label):
        return re.search(rf"^  {label} +(.*)$", "".join(self.lines), re.M)[1]

    def interrupt(self):
        """Ctrl-C reaches the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.stdout.read()
        return self.process.wait(10)

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()


@test
def make_run_serves_and_the_proof_that_it_prints_works():
    need("turnutils_uclient")
    with tempfile.TemporaryDirectory(prefix="relay-e2e-") as directory, Run(directory) as run:
        check(run.said("URL").startswith(f"turn:127.0.0.1:{run.port}?transport=udp"), run.said("URL"))
        check_equal(run.said("username"), "player", "the username")
        for page, words in (("test page", "relay test"), ("dashboard", "<title>relay</title>")):
            with urllib.request.urlopen(run.said(page).split("#")[0], timeout=5) as answer:
                check(words in answer.read().decode(), f"{run.said(page)} is not the {page}")
        key = run.said("dashboard").split("#key=")[1]
        asked = urllib.request.Request(run.said("dashboard").split("#")[0] + "v1/tenants", headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            check_equal([tenant["name"] for tenant in json.load(answer)["tenants"]], ["relay.example"], "the tenants that the key shows")
        done = subprocess.run(["timeout", "40", *shlex.split(run.said("proof"))], capture_output=True, text=True, errors="replace")
        check("tot_send_msgs=200, tot_recv_msgs=200" in done.stdout, done.stdout[-2000:])


@test
def control_c_leaves_nothing_behind():
    with tempfile.TemporaryDirectory(prefix="relay-e2e-") as directory, Run(directory) as run:
        check(is_open(run.host, run.port), "it does not listen")
        check(os.listdir(directory), "it keeps its files elsewhere")
        check_equal(run.interrupt(), 0, "the exit code")
        check_equal(os.listdir(directory), [], "what is left")
        check(not is_open(run.host, run.port), "something still listens")


@test
def make_run_says_so_when_the_port_is_taken():
    with tempfile.TemporaryDirectory(prefix="relay-e2e-") as directory, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = dict(os.environ, RELAY=BINARY, RELAY_IP="127.0.0.1", RELAY_PORT=str(taken.getsockname()[1]), RELAY_TLS_PORT=str(free_port()),
                           RELAY_ADMIN_PORT=str(free_port()), TMPDIR=directory)
        done = subprocess.run([os.path.join(ROOT, "examples", "run")], env=environment, capture_output=True, text=True, timeout=20)
        check_equal(done.returncode, 1, "the exit code")
        check("listening-port: cannot listen on" in done.stderr, done.stderr)
        check_equal(os.listdir(directory), [], "what is left")


@test
def the_policy_of_the_readme_decides():
    policy = re.search(r"```lua\n(.*?)```", readme(), re.S)[1]
    check(len(re.findall(r"^\s*[^\s-]", policy, re.M)) <= 11, "the policy of the README has more than ten lines")
    server = Server("user=guest7:pw", files={"evening.lua": policy}, policies=["evening.lua"])
    with server, contextlib.ExitStack() as stack:
        with server.client(username="guest7", password="pw") as guest:
            check_equal(guest.allocate().code, 403, "the guest's code")
        members = [stack.enter_context(server.client()) for _ in range(9)]
        check_equal([member.allocate().code for member in members], [0] * 8 + [486], "the codes of nine members")


@test
def every_command_of_the_readme_runs():
    ran = 0
    server = Server("userdb=relay.db", "admin-socket=admin", "mint-secret-file=mint.secret")
    directory = server.directory
    check_equal(run_relay("secret", "new", "mint.secret", cwd=directory)[0], 0, "a master secret")
    with server:
        os.link(server.config, server.path("relay.conf"))
        server.write("password.txt", "hunter2\n")
        for command in commands(readme()):
            if command.startswith("make ") or "/etc/turnserver.conf" in command:
                continue            # make run: above; the configuration: below
            shell = command.replace("build/relay", shlex.quote(BINARY))
            done = subprocess.run(shell, shell=True, cwd=directory, capture_output=True, text=True, timeout=20)
            check_equal(done.returncode, 0, f"the exit code of {command} ({done.stderr.strip()})")
            ran += 1
    check(ran >= 3, f"only {ran} commands were run")


@test
def a_turnserver_conf_runs_as_the_readme_says():
    server = Server(policies=[os.path.join(POLICIES, "quota.lua")])
    lines = [command for command in commands(readme()) if "/etc/turnserver.conf" in command]
    check_equal(len(lines), 2, "the commands with a turnserver.conf")
    checked = shlex.split(lines[0].replace("/etc/turnserver.conf", server.config))[1:]
    code, output, errors = run_relay(*checked, cwd=server.directory)
    check_equal(code, 0, f"the exit code ({errors.strip()})")
    check(str(server.port) in output, output)
    server = Server(arguments=[word for word in shlex.split(lines[1])[3:]])
    os.symlink(POLICIES, server.path("policies"))
    with server, server.client() as client:
        check_equal([client.allocate().code, wait_for(lambda: "policies=1" in server.log())], [0, True], "an Allocate under the policy")


if __name__ == "__main__":
    main()
