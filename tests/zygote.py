"""New Python processes with torch, open_clip and sklearn, whose import takes long.

A script: for each line of JSON it forks a process that runs the code in it, and prints
its exit status. What the processes import besides is their own.
"""

import json
import os
import signal
import sys


def become(code, args, folder, environment, out, error):
    """Makes this process look as if it had just been started, and runs the code."""
    signal.alarm(300)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, out), (2, error)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    more = environment.get("PYTHONPATH")
    sys.path[:0] = ["", *(more.split(os.pathsep) if more else [])]
    sys.argv = ["-c", *args]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


def main():
    """Forks until there is no line any more; a child leaves the loop and ends."""
    del sys.path[0]  # the folder of this script
    import open_clip  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            return become(*json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    main()
