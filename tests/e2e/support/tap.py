"""tap: a test is a function named as a sentence; a file is a list of them; the output is TAP.

    @test
    def a_refresh_of_zero_releases(): ...

    if __name__ == "__main__":
        main()

The command line of a file: `--smoke` runs only the tests marked @smoke, `--measuring` only those marked @measuring, `--patient` only the others; any
other argument only those whose name contains it.
"""
import signal
import sys
import time
import traceback

TESTS, MEASURING = [], set()


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Failure(AssertionError):
    """What check() raises."""


def test(function):
    TESTS.append((function, False))
    return function


def smoke(function):
    """A test that is also run with the sanitized binaries."""
    TESTS.append((function, True))
    return function


def measuring(function):
    """A test that measures time, in a file that is PATIENT otherwise: it runs alone."""
    MEASURING.add(function)
    return function


def skip(why):
    raise Skip(why)


def check(condition, *said):
    if not condition:
        raise Failure(" ".join(str(part) for part in said) or "the condition does not hold")


def check_equal(got, want, what="it"):
    check(got == want, f"{what} is {got!r}, not {want!r}")


def wait_for(condition, limit_s=5.0, what="the condition"):
    """Polls until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + limit_s
    while True:
        if found := condition():
            return found
        check(time.monotonic() < deadline, f"{what} did not come true in {limit_s} s")
        time.sleep(0.01)


def _too_long(_signal, _frame):
    raise Failure("the test ran into its time limit")


def run_one(function, limit_s):
    """"ok", or ("SKIP", why), or ("FAIL", text)."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(limit_s)
    try:
        function()
        return "ok", ""
    except Skip as why:
        return "SKIP", str(why)
    except Exception:
        return "FAIL", traceback.format_exc()
    finally:
        signal.alarm(0)


def main(limit_s=60):
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    unwanted = {"--smoke": lambda function, is_smoke: not is_smoke, "--measuring": lambda function, _: function not in MEASURING,
                "--patient": lambda function, _: function in MEASURING}
    chosen = [function for function, is_smoke in TESTS if all(argument in function.__name__ for argument in arguments)
              and not any(unwanted[switch](function, is_smoke) for switch in sys.argv if switch.startswith("--"))]
    print(f"1..{len(chosen)}", flush=True)
    bad = 0
    for number, function in enumerate(chosen, 1):
        start = time.monotonic()
        outcome, text = run_one(function, limit_s)
        bad += outcome == "FAIL"
        note = f" # SKIP {text}" if outcome == "SKIP" else ""
        print(f"{'not ok' if outcome == 'FAIL' else 'ok'} {number} - {function.__name__}{note}")
        if outcome == "FAIL":
            print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        print(f"# {time.monotonic() - start:.2f} s", flush=True)
    sys.exit(1 if bad else 0)
