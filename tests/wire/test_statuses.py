"""The two lists come in the order clients know."""

import orjson

from milepost.wire.statuses import v2_list, v3_list


def test_v2_is_a_bare_array() -> None:
    listed = orjson.loads(v2_list())
    assert len(listed) == 35
    assert listed[0] == {"id": 6, "message": "Not sorted"}
    assert listed[-1] == {"id": 94, "message": "Parcel cancellation failed."}


def test_v3_stands_under_data() -> None:
    listed = orjson.loads(v3_list())["data"]
    assert len(listed) == 35
    assert listed[0] == {"code": "READY_TO_SEND", "message": "Ready to send"}
    assert listed[-1] == {"code": "ADDRESS_INVALID", "message": "Address invalid"}
