"""Messages and results about stored events: from a caller's values to protobuf, and from replies to results."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timezone
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration

from shortlist.condition_messages import several
from shortlist.enums import EventKind
from shortlist.messages import event_message
from shortlist.requests import Event
from shortlist.results import ElicitedItem, Merged, Recorded, RecordedStream, StoredUser
from shortlist.v1 import event_pb2


def record_message(
    user_id: str | None, session_id: str | None, events: Iterable[Event]
) -> event_pb2.RecordEventsRequest:
    """Builds the message of events to keep. Those without an id get one: a repeat of the message stores nothing twice.

    Raises:
        ValueError: not exactly one of user and session, a time without zone, or a value outside its type's range.
    """
    return event_pb2.RecordEventsRequest(
        user_id=_one(user_id, session_id),
        session_id=session_id,
        events=[event_message(with_id(event)) for event in events],
    )


def with_id(event: Event) -> Event:
    """Returns the event with an id."""
    return event if event.event_id else replace(event, event_id=uuid4().hex)


def get_message(user_id: str | None, session_id: str | None) -> event_pb2.GetUserRequest:
    """Builds the message of a question for what is kept. Raises as `record_message`."""
    return event_pb2.GetUserRequest(user_id=_one(user_id, session_id), session_id=session_id)


def delete_message(user_id: str | None, session_id: str | None) -> event_pb2.DeleteUserRequest:
    """Builds the message of a wish to be forgotten. Raises as `record_message`."""
    return event_pb2.DeleteUserRequest(user_id=_one(user_id, session_id), session_id=session_id)


def merge_message(session_id: str, user_id: str) -> event_pb2.MergeSessionRequest:
    """Builds the message of a login."""
    return event_pb2.MergeSessionRequest(session_id=session_id, user_id=user_id)


def elicit_message(
    user_id: str | None, session_id: str | None, events: Iterable[Event], exclude_item_ids: Sequence[str], k: int
) -> event_pb2.ElicitRequest:
    """Builds the message of a question for a question. Raises as `record_message`, but needs no caller."""
    if user_id is not None and session_id is not None:
        raise ValueError("give user_id or session_id, not both")
    return event_pb2.ElicitRequest(
        user_id=user_id,
        session_id=session_id,
        events=[event_message(event) for event in events],
        exclude_item_ids=several("exclude_item_ids", exclude_item_ids),
        k=k,
    )


def read_recorded(message: event_pb2.RecordEventsResponse) -> Recorded:
    """Reads an acknowledgement."""
    return Recorded(
        recorded_count=message.recorded_count,
        duplicate_count=message.duplicate_count,
        event_token=message.event_token,
        durable=message.durable,
        expired_count=message.expired_count,
        unknown_item_ids=tuple(message.unknown_item_ids),
    )


def read_merged(message: event_pb2.MergeSessionResponse) -> Merged:
    """Reads the acknowledgement of a login."""
    return Merged(message.merged_count, message.event_token)


def read_recorded_stream(message: event_pb2.RecordEventsStreamResponse) -> RecordedStream:
    """Reads the acknowledgement of a stream."""
    return RecordedStream(
        recorded_count=message.recorded_count,
        duplicate_count=message.duplicate_count,
        request_count=message.request_count,
        event_token=message.event_token,
        durable=message.durable,
        expired_count=message.expired_count,
    )


def read_user(message: event_pb2.GetUserResponse) -> StoredUser:
    """Reads what is kept of a user."""
    return StoredUser(
        events=tuple(_event(event) for event in message.events),
        found=message.found,
        shown_count=message.shown_count,
        updated=message.update_time.ToDatetime(timezone.utc) if message.HasField("update_time") else None,
    )


def read_elicited(message: event_pb2.ElicitResponse) -> tuple[ElicitedItem, ...]:
    """Reads what to ask."""
    return tuple(ElicitedItem(one.id, one.title, one.expected_gain) for one in message.items)


def _one(user_id: str | None, session_id: str | None) -> str | None:
    if (user_id is None) == (session_id is None):
        raise ValueError("give either user_id or session_id")
    return user_id


def _event(message: event_pb2.Event) -> Event:
    return Event(
        message.item_id,
        EventKind(event_pb2.EventKind.Name(message.kind)),
        time=message.time.ToDatetime(timezone.utc) if message.HasField("time") else None,
        comment=message.comment,
        item_title=message.item_title,
        event_id=message.event_id,
        weight=message.weight if message.HasField("weight") else None,
        text=message.text,
        request_id=message.request_id,
        rank=message.rank,
        dwell_s=_seconds(message.dwell_time) if message.HasField("dwell_time") else None,
        rating=message.rating if message.HasField("rating") else None,
        attribution_token=message.attribution_token,
    )


def _seconds(duration: Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)
