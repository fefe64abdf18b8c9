"""The rendered reference is the contract's own words."""

from server.rpc.check import RequestLimits
from shortlist.v1 import recommender_pb2
from tools.contract_reference import PAGE, page


def test_the_page_is_rendered_from_the_protos_as_they_are():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make proto`"


def test_every_kind_of_member_is_on_it():
    text = PAGE.read_text(encoding="utf-8")
    for field in recommender_pb2.RecommendRequest.DESCRIPTOR.fields:
        assert f"| `{field.name}` = {field.number} |" in text
    assert "| `similarity` = 4 | optional double |" in text
    assert "| `user_id` = 1 | string, one of `caller` |" in text
    assert "| `attributes` = 5 | map of string to [AttributeValue](#attributevalue) |" in text
    assert "**RecommendStream**(stream of [RecommendStreamRequest](#recommendstreamrequest))" in text


def test_every_limit_of_a_request_is_on_it():
    text = PAGE.read_text(encoding="utf-8").partition("## Limits")[2]
    for name in RequestLimits.__dataclass_fields__:
        assert f"| `{name}` | " in text
    assert "| `max_message_bytes` | 4,194,304 | largest message either way, bytes |" in text
    assert "| `Arrangement.pins` | at most 100, on places 1 to 1,000 |" in text
    assert "| `stream_window` | 32 | " in text
