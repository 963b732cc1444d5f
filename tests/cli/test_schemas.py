"""``milepost schema``."""

import pytest
import typer
from typer.testing import CliRunner

from milepost.cli import schemas
from milepost.errors import ConfigurationError
from milepost.wire.own_schemas import COMPONENTS, file_of


def test_a_schema_is_printed_as_it_is_served() -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    schemas.add_to(app)
    for name in COMPONENTS:
        printed = CliRunner().invoke(app, ["schema", name])
        assert (printed.exit_code, printed.stdout_bytes) == (0, file_of(name))
    with pytest.raises(
        ConfigurationError, match="there are parcel, event, explanation, recognition"
    ):
        CliRunner().invoke(app, ["schema", "order"], catch_exceptions=False)
