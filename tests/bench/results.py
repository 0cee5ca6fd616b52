"""results: the rounds of each load, as files of their own, and what is worked out of them."""
import json
import os
import statistics

from loads import FORWARDER, LOADS
from machine import BUILD

DIRECTORY = os.path.join(BUILD, "bench", "results")


def read(name):
    """What a load's last run has left; None if there is nothing."""
    path = os.path.join(DIRECTORY, f"{name}.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(name, result):
    os.makedirs(DIRECTORY, exist_ok=True)
    path = os.path.join(DIRECTORY, f"{name}.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    os.replace(path + ".new", path)


def values(rounds, cell, figure):
    return [one[cell][figure] for one in rounds if cell in one and one[cell].get(figure) is not None]


def middle(rounds, cell, figure):
    found = values(rounds, cell, figure)
    return statistics.median(found) if found else float("nan")


def cheapest_forwarder(rounds, figure):
    """The way of the bare forwarder whose median is the least; None if there is none."""
    ways = [cell for cell in rounds[0] if cell.startswith("forwarder")]
    return min(ways, key=lambda cell: middle(rounds, cell, figure), default=None)


class Ratio:
    """The median of what a goal asks for, over the rounds, and its range."""

    def __init__(self, goal, result):
        rounds, figure = result["rounds"], goal.figure or LOADS[goal.load].figure
        under = cheapest_forwarder(rounds, figure) if goal.under == FORWARDER else goal.under
        pairs = [(one.get(goal.over, {}).get(figure), one.get(under, {}).get(figure) if under else 1) for one in rounds]
        every = [over / below for over, below in pairs if over is not None and below]
        self.under, self.is_there = under, bool(every)
        if every:
            self.median, self.least, self.most = statistics.median(every), min(every), max(every)

    def meets(self, goal):
        return self.median >= goal.at_least if goal.at_least is not None else self.median <= goal.at_most
