"""Test cases of Python tests, printed as cmocka prints them, so that tests/run counts them.

    cases = Cases()
    cases.run("a_sentence_that_names_the_case", function)      # the function raises what is wrong
    sys.exit(cases.end())
"""
import traceback


class Cases:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def run(self, name, function, *arguments):
        print(f"[ RUN      ] {name}", flush=True)
        try:
            function(*arguments)
        except Exception as error:  # a case may fail in any way; the others still run
            if not isinstance(error, AssertionError):
                traceback.print_exc()
            print(error)
            print(f"[  FAILED  ] {name}", flush=True)
            self.failed += 1
        else:
            print(f"[       OK ] {name}", flush=True)
            self.passed += 1

    def skip(self, name, why):
        print(f"{why}\n[  SKIPPED ] {name}", flush=True)
        self.skipped += 1

    def end(self):
        """Prints the count and gives the exit status."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 0 if self.passed + self.skipped > 0 and self.failed == 0 else 1
