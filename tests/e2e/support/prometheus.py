"""prometheus: reads the text format 0.0.4 as strictly as it is written down, and what changes between two readings."""
import re

from support.door import ask
from support.tap import check, check_equal

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SERIES = re.compile(rf'({NAME})(?:\{{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Scrape:
    """types and helps by name; values by (name, frozenset of labels)."""

    def __init__(self, text):
        self.types, self.helps, self.values = {}, {}, {}
        check(text.endswith("\n"), "the last line has an end")
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                _, _, family, self.helps[family] = line.split(" ", 3)
                check(family not in self.types, f"{family} is told twice")
            elif line.startswith("# TYPE "):
                _, _, name, self.types[name] = line.split(" ")
                check_equal(name, family, "the name of a type")
            else:
                match = SERIES.fullmatch(line)
                check(match, f"no series: {line}")
                name, labels, value = match.groups()
                check(family and name in {family + suffix for suffix in SUFFIXES[self.types[family]]}, f"{name} stands below {family}")
                pairs = LABEL.findall(labels or "")
                check_equal(len({label for label, _ in pairs}), len(pairs), f"the labels of {line}")
                key = name, frozenset(pairs)
                check(key not in self.values, f"{line} is told twice")
                self.values[key] = float(value)
        for name, kind in self.types.items():
            check(kind != "counter" or name.endswith("_total"), f"the name of the counter {name}")
            if kind == "histogram":
                self.check_histogram(name)

    def check_histogram(self, name):
        buckets = {}
        for (each, labels), value in self.values.items():
            if each == name + "_bucket":
                rest = frozenset(pair for pair in labels if pair[0] != "le")
                buckets.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        for labels, pairs in buckets.items():
            pairs.sort()
            check_equal(pairs[-1][0], float("inf"), f"the last bucket of {name}")
            check([value for _, value in pairs] == sorted(value for _, value in pairs), f"the buckets of {name} are cumulative")
            check_equal(pairs[-1][1], self.values[name + "_count", labels], f"the count of {name}")

    def __call__(self, name, **labels):
        """The sum of the series with these labels, of which there must be one at least."""
        found = [value for (each, pairs), value in self.values.items() if each == name and labels.items() <= dict(pairs).items()]
        check(found, f"no series {name} {labels}")
        return sum(found)

    def family(self, name):
        """All values of a name, those of a histogram included."""
        return {key: value for key, value in self.values.items() if key[0] in {name + suffix for suffix in SUFFIXES[self.types[name]]}}


def scrape(server):
    status, text, kind = ask(server, "/metrics")
    check_equal((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"), "the status and the type")
    return Scrape(text)
