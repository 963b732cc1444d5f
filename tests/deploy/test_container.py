"""The container file, as far as it can be judged without an engine."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "container" / "Dockerfile"
KNOWN = {
    "FROM",
    "WORKDIR",
    "COPY",
    "RUN",
    "USER",
    "ENV",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", FILE.read_text())
    text = text.replace("CMD \n    [", "CMD [")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def test_instructions_are_known_and_what_is_copied_exists_and_is_sent() -> None:
    sent = {
        line[1:]
        for line in (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for name, rest in instructions():
        assert name in KNOWN, name
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source in sent, source


def test_it_installs_what_is_locked_and_does_not_run_as_root() -> None:
    told = instructions()
    (installs,) = [rest for name, rest in told if name == "RUN" and "pip install" in rest]
    assert "--require-hashes --no-deps -r requirements.lock" in installs
    assert installs.count("pip install") == installs.count("--no-deps")
    last_stage = told[max(place for place, (name, _) in enumerate(told) if name == "FROM") :]
    users = [rest for name, rest in last_stage if name == "USER"]
    assert users == ["10001:10001"]
    assert not any("latest" in rest for name, rest in told if name == "FROM")
