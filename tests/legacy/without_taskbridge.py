"""Run a module as a program where TaskBridge cannot be imported: `python without_taskbridge.py MODULE [ARGUMENT...]`.

The module is looked for in the working directory first. Forked children refuse TaskBridge too.
"""

import runpy
import sys


class Refusal:
    """Stands before every other finder."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0].startswith("taskbridge"):
            raise ModuleNotFoundError(f"{name}: this application knows nothing of TaskBridge", name=name)


sys.meta_path.insert(0, Refusal)
sys.path[0] = ""
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
