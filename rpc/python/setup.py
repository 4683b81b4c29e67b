"""Makes xverse/_schema.py while it builds: from ../../proto/xverse.proto, the only place where messages are written."""
import os
import re
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")


def version():
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as f:
        return re.search(r"^project\(xversed VERSION (\S+)", f.read(), re.M).group(1)


class Build(build_py):
    def run(self):
        super().run()
        sys.path.insert(0, HERE)
        import generate
        generate.main(os.path.join(ROOT, "proto", "xverse.proto"), version(), os.path.join(self.build_lib, "xverse", "_schema.py"))


setup(version=version(), cmdclass={"build_py": Build})
