#!/usr/bin/env python3
"""The demo of Holdfast: three replicas over robust TCP, one of them cut off for real, and nothing lost.

Owns      the command line, signals, exit status.
Relies on the programs of a build (examples/demo builds them), network namespaces, redis-cli.
Not here  the scenes: demo_kv.py, demo_transfer.py.
"""

import argparse
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "net")]
sys.dont_write_bytecode = True

import demo_kv  # noqa: E402  the path above comes first
import demo_records  # noqa: E402
import demo_redis  # noqa: E402
import demo_screen  # noqa: E402
import demo_transfer  # noqa: E402
import netlab  # noqa: E402


def parse():
    parser = argparse.ArgumentParser(
        prog="examples/demo", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Starts three replicas of a key-value store in three network namespaces, loads half of a file,\n"
                    "cuts one replica off, loads the rest, heals the cut, and checks that the replica got every\n"
                    "missed command once, in order, through channels that never broke: no view changed, no state\n"
                    "moved.",
        epilog="Exit status: 0 only if every check held; 1 when one did not; 2 for a wrong command line.")
    parser.add_argument("--input", metavar="FILE", help="records, one a line (default: UnicodeData.txt of the package "
                                                        "unicode-data)")
    parser.add_argument("--cut", metavar="SECONDS", type=float, default=None,
                        help="how long the cut lasts (default 30; with --transfer 5)")
    parser.add_argument("--cut-member", metavar="N|leader", default="follower",
                        help="who is cut off (default: 3, or 2 where 3 leads)")
    parser.add_argument("--cut-kind", choices=("drop", "link"), default="drop",
                        help="drop: IP packets are lost; link: every frame is, as with the cable out (default drop)")
    parser.add_argument("--plain", action="store_true", help="lines of a log instead of the picture")
    parser.add_argument("--transfer", action="store_true",
                        help="another scene: two processes exchange a file over one stream that is cut three times")
    options = parser.parse_args()
    if options.cut is None:
        options.cut = 5.0 if options.transfer else 30.0
    if not 0 < options.cut <= 86400:
        parser.error("--cut: more than 0 and at most 86400 seconds")
    if options.cut_member not in ("1", "2", "3", "leader", "follower"):
        parser.error("--cut-member: 1, 2, 3, leader or follower")
    if options.input is not None and not os.path.isfile(options.input):
        parser.error(f"--input: no such file: {options.input}")
    return options


def choose_scene(options, screen):
    build = pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", HERE.parent / "build" / "release"))
    programs = build / "examples"
    scene = demo_transfer.TransferScene if options.transfer else demo_kv.KvScene
    program = programs / scene.PROGRAM
    if not program.exists():
        raise netlab.LabError(f"{program} is not built: run examples/demo, which builds it")
    return scene(options, screen, program)


def main():
    options = parse()
    netlab.end_on_signals()
    screen = demo_screen.Screen(options.plain)
    try:
        ok, lines = choose_scene(options, screen).run()
        screen.summary(lines)
        return 0 if ok else 1
    except KeyboardInterrupt:
        screen.summary(["stopped: by Ctrl-C; nothing is left behind"])
        return 130
    except demo_records.InputError as error:
        screen.summary([f"failed: {error}"])
        return 2
    except (AssertionError, OSError, netlab.LabError, demo_redis.ReplyError) as error:
        screen.summary([f"failed: {error}"])
        return 1
    finally:
        screen.close()


if __name__ == "__main__":
    sys.exit(main())
