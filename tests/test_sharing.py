from pathlib import Path

from tests.sharing import SHARED, scope_of

ROOT = Path(__file__).parents[1]


def test_a_file_stays_together_and_so_do_files_with_one_server() -> None:
    assert scope_of("tests/api/test_health.py::test_ready[1]") == "tests/api/test_health.py"
    assert scope_of("tests/mcp/test_tools.py::test_pages") == "tests/mcp"
    assert scope_of("tests/contract/test_access.py::test_a") == "tests/contract"


def test_the_shared_folders_are_those_with_a_server() -> None:
    with_server = {
        str(one.parent.relative_to(ROOT))
        for one in ROOT.glob("tests/*/conftest.py")
        if "running()" in one.read_text()
    }
    assert with_server == SHARED
