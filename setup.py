"""Put the shipped `data/` folder inside the installed package; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithData(build_py):
    """Copy `data/` to `studio/data/` in a built package; an editable install reads the checkout's own."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree("data", Path(self.build_lib) / "studio" / "data", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithData})
