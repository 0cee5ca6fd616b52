"""examples/monitoring: every metric that the alerts and the dashboard name exists, with the labels that they name; promtool takes the rules, and its tests pass."""
import json
import os
import re
import subprocess
import tempfile

from support.server import ROOT, need, run_relay
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

HERE = os.path.join(ROOT, "examples", "monitoring")
OTHERS = {"up"}
SUFFIXES = ("_bucket", "_sum", "_count")
OF_PROMETHEUS = {"job", "instance", "le"}


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def described():
    """name: labels, of all that the binary has."""
    _, text, _ = run_relay("metrics", "--describe")
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in re.findall(r"^\| `(\w+)` \| \w+ \|(.*?)\|", text, re.M)}


def dashboard_expressions():
    board = json.loads(read("dashboard.json"))
    texts = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    texts += [item["expr"] for item in board["annotations"]["list"]]
    return texts + [variable["definition"] for variable in board["templating"]["list"] if variable["type"] == "query"]


def rule_expressions():
    return re.findall(r"^ +expr: (.*)$", read("alerts.yml"), re.M)


def whole(name):
    return next((name[:-len(suffix)] for suffix in SUFFIXES if name.endswith(suffix)), name)


@smoke
def every_metric_and_label_that_they_name_exists():
    metrics = described()
    check(len(metrics) > 40, "what the binary has")
    for text in dashboard_expressions() + rule_expressions():
        names = set(re.findall(r"\b((?:relay_|up\b)\w*)(?=[{ )\[,]|$)", text)) - {"relay"}
        check(names, f"a metric in {text}")
        for name in names - OTHERS:
            check(whole(name) in metrics, f"{name} of {text} is no metric")
        known = set().union(OF_PROMETHEUS, *(metrics[whole(name)] for name in names - OTHERS))
        for label in re.findall(r"[{,] ?(\w+)(?:=~?|!=)\"", text) + [word for words in re.findall(r"\bby \(([^)]*)\)", text) for word in re.split(r", *", words)]:
            check(label in known, f"{label} of {text} is no label of {names}")


@test
def promtool_takes_the_rules_and_their_tests_pass():
    need("promtool")
    for arguments in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
        done = subprocess.run(["promtool", *arguments], cwd=HERE, capture_output=True, text=True, timeout=30)
        check_equal(done.returncode, 0, f"promtool {arguments}: {done.stdout}{done.stderr}")
    tested = set(re.findall(r"alertname: (\w+)", read("alerts_test.yml")))
    check_equal(set(re.findall(r"alert: (\w+)", read("alerts.yml"))), tested, "the alerts that are tested")


@test
def the_dashboard_is_whole_and_its_expressions_are_prometheus():
    need("promtool")
    board = json.loads(read("dashboard.json"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    check_equal(len({panel["id"] for panel in board["panels"]}), len(board["panels"]), "ids of panels")
    places = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        check(not cells & places and at["x"] + at["w"] <= 24, f"{panel['title']} lies on another")
        places |= cells
        check(panel["title"] and panel["description"] and panel["targets"], f"{panel}")
    queries = [target["expr"] for panel in panels for target in panel["targets"]] + [item["expr"] for item in board["annotations"]["list"]]
    plain = [re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(job|instance|tenant)", "x", query)) for query in queries]
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "queries.yml")
        with open(path, "w", encoding="utf-8") as file:
            rules = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(plain)]
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)  # JSON is YAML
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, timeout=30)
        check_equal(done.returncode, 0, f"promtool: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
