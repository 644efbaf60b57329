"""The lock files, environment.yml and pyproject.toml say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
#: What a default installation must never bring: gigabytes nobody asked for.
HEAVY = re.compile(r"^(torch|nvidia|triton|cuda|cu1\d|tensorflow-intel)")

LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "os_name": "posix"}
LINUX_ARM = {**LINUX, "platform_machine": "aarch64"}
MAC = {"sys_platform": "darwin", "platform_machine": "arm64", "os_name": "posix"}
WINDOWS = {"sys_platform": "win32", "platform_machine": "AMD64", "os_name": "nt"}
SYSTEMS = [
    {**system, "python_version": python, "python_full_version": f"{python}.7"}
    for system in (LINUX, LINUX_ARM, MAC, WINDOWS)
    for python in ("3.11", "3.12", "3.13")
]


def requirements(text):
    """Return the requirements of a lock file, each with the lines it stands on."""
    blocks = re.findall(r"(?m)^[A-Za-z0-9][^\n]*\n(?:[ \t]+--hash=[^\n]*\n)*", text)
    return {block.splitlines()[0].rstrip("\\ "): block for block in blocks}


def text(name):
    return (ROOT / name).read_text("utf-8")


def pins(name):
    return [Requirement(line) for line in requirements(text(name))]


def installed(names, system):
    """Return name -> version of what these lock files install on a system."""
    environment = {**default_environment(), **system}
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for name in names
        for pin in pins(name)
        if pin.marker is None or pin.marker.evaluate(environment)
    }


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name):
    found = requirements(text(name))
    assert found
    for line, block in found.items():
        assert re.match(r"^[a-z0-9-]+==[0-9][^\s*]*( ; .+)?$", line)
        hashes = block.splitlines()[1:]
        assert hashes
        assert all(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}( \\)?", h) for h in hashes)
    comments = [line for line in text(name).splitlines() if line.startswith("#")]
    kept = "".join(found.values()).splitlines()
    assert [*comments, *kept] == text(name).splitlines()  # nothing else stands in the file


@pytest.mark.parametrize("name", [*LOCKS, "environment.yml"])
def test_no_address_no_path_no_option(name):
    assert re.findall(r"://|file:|@ |--index|--find-links|/[a-z]+/", text(name)) == []


@pytest.mark.parametrize("name", LOCKS)
def test_nothing_heavy(name):
    assert [pin.name for pin in pins(name) if HEAVY.match(pin.name)] == []


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: "-".join(list(s.values())[:4:3]))
def test_lock_has_what_the_project_asks_for(system):
    environment = {**default_environment(), **system, "extra": ""}
    groups = PROJECT["dependency-groups"]
    asked = [*PROJECT["project"]["dependencies"], *groups["course"], *groups["build"]]
    asked += PROJECT["project"]["optional-dependencies"]["cpu"]
    run = installed(LOCKS[:1], system)
    everything = installed(LOCKS, system)
    for wanted, lock in [*((a, run) for a in asked), *((a, everything) for a in groups["test"])]:
        need = Requirement(wanted)
        if need.marker is None or need.marker.evaluate(environment):
            version = lock.get(canonicalize_name(need.name))
            assert version is not None, f"{wanted} is not in the lock"
            assert need.specifier.contains(version), f"{wanted} is locked at {version}"


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: "-".join(list(s.values())[:4:3]))
def test_exactly_one_tensorflow_and_one_version_of_each(system):
    environment = {**default_environment(), **system}
    names = [
        canonicalize_name(pin.name)
        for pin in pins(LOCKS[0])
        if pin.marker is None or pin.marker.evaluate(environment)
    ]
    assert len(names) == len(set(names))
    assert len({"tensorflow", "tensorflow-cpu"} & set(names)) == 1


def test_same_numerical_code_on_every_python():
    numerical = ("numpy", "scipy", "keras", "pandas", "scikit-learn", "matplotlib")
    for name in numerical:
        assert len({installed(LOCKS[:1], system)[name] for system in SYSTEMS}) == 1


def test_the_two_locks_agree():
    for system in SYSTEMS:
        run, test = installed(LOCKS[:1], system), installed(LOCKS[1:], system)
        assert {name: test[name] for name in run.keys() & test.keys()} == {
            name: run[name] for name in run.keys() & test.keys()
        }


@pytest.fixture(scope="module")
def environment_yml():
    return yaml.safe_load(text("environment.yml"))


def test_environment_has_the_pins_of_the_lock(environment_yml):
    *_, pip = environment_yml["dependencies"]
    here = [Requirement(line) for line in pip["pip"]]
    assert {str(r) for r in here} == {str(r) for r in pins(LOCKS[0]) if r.name != "medmnist"}
    assert [r.name for r in here if HEAVY.match(r.name)] == []


def test_environment_has_a_python_the_project_takes(environment_yml):
    python = next(d for d in environment_yml["dependencies"] if str(d).startswith("python="))
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["project"]["requires-python"])
    assert environment_yml["channels"] == ["conda-forge", "nodefaults"]
    assert "pip" in environment_yml["dependencies"]


def test_conda_can_read_what_it_is_asked_for(environment_yml):
    from rattler import MatchSpec

    for spec in environment_yml["dependencies"]:
        if isinstance(spec, str):
            assert MatchSpec(spec).name is not None


def test_binder_stops_at_an_error_and_leaves_torch_out():
    script = text("postBuild")
    assert script.startswith("#!/bin/sh")
    assert "set -eu" in script
    installs = [line for line in script.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all("--no-deps" in line for line in installs)
    assert "--require-hashes" in installs[0]
