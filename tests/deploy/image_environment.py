"""The image without a container: its files, its variables, and no package but those of the extra `server`."""

import importlib.metadata
import json
import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from tests.deploy.dockerfile import ROOT, Stage, ignored, read_dockerfile

_RUN = '''"""Runs `shortlist` from this folder; any package that the image does not have is missing here too."""
import importlib.abc
import json
import sys

folder, allowed = sys.argv[1], set(json.loads(sys.argv[2])) | sys.stdlib_module_names


class NotInTheImage(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and not top.startswith("_sysconfigdata"):  # Python's own, named by the platform
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)


sys.path.insert(0, folder)
sys.meta_path.insert(0, NotInTheImage())
sys.argv = ["shortlist", *sys.argv[3:]]
from shortlist.command import main
import cli
assert cli.__file__.startswith(folder), cli.__file__
sys.exit(main())
'''


@dataclass(frozen=True)
class ImageEnvironment:
    """What a container of the image would see.

    Attributes:
        stage: the Dockerfile's last stage.
        prefix: the command line before the arguments of `shortlist`.
        environment: complete.
    """

    stage: Stage
    prefix: tuple[str, ...]
    environment: dict[str, str]


def make_image_environment(folder: Path) -> ImageEnvironment:
    """Copies what the Dockerfile copies into `folder`."""
    stages = read_dockerfile()
    app = folder / "app"
    app.mkdir()
    for sources, target, stage in (copy for one in stages for copy in one.copies()):
        for source in sources if stage is None else []:
            assert not ignored(source), f"{source} is kept out by .dockerignore"
            place = app / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    (folder / "run.py").write_text(_RUN)
    allowed = sorted(modules_of_the_server() | {path.name for path in app.iterdir() if path.is_dir()})
    prefix = (sys.executable, str(folder / "run.py"), str(app), json.dumps(allowed))
    kept = {"HOME": "/nonexistent", "LANG": "C.UTF-8", "COLUMNS": "160"}
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return ImageEnvironment(stages[-1], prefix, {**kept, **stages[-1].environment, **path})


def modules_of_the_server() -> set[str]:
    """Names of the top-level modules that the wheel's dependencies and the extra `server` bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    names: set[str] = set()
    while wanted:
        name = _plain(Requirement(wanted.pop()).name)
        if name not in names:
            names.add(name)
            requirements = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
            wanted += [str(one) for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    modules = importlib.metadata.packages_distributions()
    return {module for module, owners in modules.items() if names & {_plain(owner) for owner in owners}}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
