"""The files in .deploy/ name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stenoflow.flows.cli.app import _COMMANDS

_FILES = Path(__file__).parents[1] / ".deploy"


@pytest.fixture
def services() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((_FILES / "compose.yaml").read_text("utf-8"))
    return dict(composed["services"])


def test_services_wait_for_others_that_can_say_that_they_are_ready(services: dict[str, Any]) -> None:
    assert {"postgres", "s3", "prefect", "setup", "worker"} == set(services)
    for service in services.values():
        assert "image" in service
        for name, waits in service.get("depends_on", {}).items():
            ready = "healthcheck" in services[name] or waits["condition"] == "service_completed_successfully"
            assert ready, name


def test_every_variable_is_in_the_example_and_every_command_exists() -> None:
    composed = (_FILES / "compose.yaml").read_text("utf-8")
    named = set(re.findall(r"\$\{([A-Z_0-9]+)", composed))
    given = set(re.findall(r"^([A-Z_0-9]+)=$", (_FILES / "env.example").read_text("utf-8"), re.MULTILINE))
    assert named == given
    for file in _FILES.iterdir():
        for command in re.findall(
            r"(?:^|bin/|run --rm worker )stenoflow ([a-z]+)", file.read_text("utf-8"), re.MULTILINE
        ):
            assert command in {*_COMMANDS, "db"}, file


def test_the_image_copies_what_there_is() -> None:
    lines = (_FILES / "Dockerfile").read_text("utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    sent = (_FILES / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for name in (name for names in copied for name in names):
        assert (_FILES.parent / name).exists()
        assert f"!{name}" in sent
    assert "USER stenoflow" in lines


_ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(_ANALYZE is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", ["stenoflow-serve.service", "stenoflow-worker.service"])
def test_systemd_takes_the_units(unit: str, tmp_path: Path) -> None:
    programs = str(Path(sys.executable).parent)
    text = (_FILES / unit).read_text("utf-8").replace("/opt/stenoflow/bin", programs)
    (tmp_path / unit).write_text(text)
    checked = subprocess.run(
        [str(_ANALYZE), "verify", "--recursive-errors=no", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit in line]) == (0, [])
