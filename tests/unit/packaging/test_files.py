"""The files beside the code that a package index, a container and an editor read."""

import json
import re
import tomllib

import pytest
import yaml
from runkit import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STEPS = {"FROM": r"\S+", "ARG": r"[A-Z_]+(=\S+)?", "RUN": r".+", "COPY": r"\S+ \S+", "WORKDIR": r"/\S*"}


def test_dockerfile_has_only_steps_that_parse():
    lines = [line for line in (REPOSITORY / "Dockerfile").read_text().splitlines() if line and line[0] != "#"]
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(part, str) for part in json.loads(rest))
        else:
            assert re.fullmatch(STEPS[word], rest), line
    names = re.findall(r"^ARG (\w+)", "\n".join(lines), re.MULTILINE)
    assert set(re.findall(r"\$\{(\w+)\}", "\n".join(lines))) == set(names)


def test_hooks_call_tools_of_the_extra_dev():
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    tools = {re.match(r"[\w-]+", need)[0] for need in PROJECT["optional-dependencies"]["dev"]}
    assert {hook["entry"].split()[0] for hook in hooks} <= tools


def test_every_dependency_has_its_license_named():
    notice = (REPOSITORY / "NOTICE.md").read_text(encoding="utf-8")
    needs = [re.match(r"[\w-]+", need)[0] for need in PROJECT["dependencies"]]
    assert [name for name in needs if name not in notice] == []


@pytest.mark.parametrize("page", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "NOTICE.md"])
def test_links_of_pages_beside_the_readme_exist(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_messages_name_the_distribution_that_is_installed():
    sources = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "traiNNer").rglob("*.py"))
    named = set(re.findall(r"pip install '([\w-]+)\[(\w+)\]'", sources))
    assert {name for name, _ in named} == {PROJECT["name"]}
    assert {extra for _, extra in named} <= set(PROJECT["optional-dependencies"])
