"""`shortlist events consume`: events of a Kafka topic to a gateway, at least once; event ids make it once in effect.

The position in the topic is committed only after the gateway has acknowledged the events. Who is killed in between
reads them again, and they are kept already: an event without an id gets that of its place in the topic. What is
acknowledged is durable, except on a Redis that the operator allowed although it may lose events: then this says so.
"""

import argparse
import json
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.events.ids import fitting_id
from cli.flags.call import WrongArgument, call_gateway
from domain.errors import ShortlistError

if TYPE_CHECKING:
    from shortlist import Client, Event

_BATCH = 1_000
_POLL_S = 0.5
_FIELDS = ("comment", "item_title", "event_id", "text", "request_id", "attribution_token")


class BrokerUnavailable(ShortlistError):
    """Failure to read from a broker. The message says what to do."""


class BadMessage(ShortlistError):
    """A message that is not an event. It names the place in the topic, never its content."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist events consume` takes."""
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT,...", help="the brokers")
    parser.add_argument("--topic", required=True, metavar="NAME", help="the topic of events, JSON objects")
    parser.add_argument("--group", default="shortlist", metavar="NAME", help="the consumer group (%(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of librdkafka, as security.protocol=SSL",
    )
    parser.add_argument("--until-end", action="store_true", help="stop where the topic ends")


def run(args: argparse.Namespace) -> int:
    """Consumes until it is stopped; prints what was stored."""
    counts = call_gateway(args, lambda client: consume(client, args))
    print(f"{counts[0]:,} events stored, {counts[1]:,} kept already, {counts[2]:,} messages that are not events")
    return 0


def consume(client: "Client", args: argparse.Namespace) -> tuple[int, int, int]:
    """Stores a topic's events; returns how many were stored, were kept already, and were not events.

    Raises:
        BrokerUnavailable: the broker refuses.
        ShortlistCallError: the gateway does; what was read is read again next time.
    """
    consumer = _consumer(args)
    stopped = _StopFlag()
    stored = kept = bad = 0
    told = False
    try:
        consumer.subscribe([args.topic])
        ended: set[int] = set()
        while not stopped.set:
            messages = consumer.consume(_BATCH, _POLL_S)
            pairs: list[tuple[str, Event]] = []
            for message in messages:
                if message.error() is not None:
                    if not _is_end(message):
                        raise BrokerUnavailable(f"--kafka {args.kafka}: {message.error().str()}")
                    ended.add(message.partition())
                    continue
                ended.discard(message.partition())
                try:
                    pairs.append(read_message(message))
                except BadMessage as error:
                    print(f"passed over: {error}", flush=True)
                    bad += 1
            if pairs:
                new, old, refused, durable = _store(client, sorted(pairs, key=lambda pair: pair[0]), args.deadline)
                stored, kept, bad = stored + new, kept + old, bad + refused
                if not durable and not told:
                    print("not durable: this gateway's store may lose what it acknowledged", flush=True)
                    told = True
            if any(message.error() is None for message in messages):
                consumer.commit(asynchronous=False)
            if args.until_end and ended and ended >= {one.partition for one in consumer.assignment()}:
                break
    finally:
        consumer.close()
    return stored, kept, bad


def _store(client: "Client", pairs: "Sequence[tuple[str, Event]]", deadline_s: float) -> tuple[int, int, int, bool]:
    """Stores events; returns how many were stored, kept already, and refused for what they say; whether for good."""
    from shortlist import EventConflict, InvalidRequest

    try:
        done = client.record_events_stream(pairs, deadline_s=deadline_s)
        return done.recorded_count, done.duplicate_count, 0, done.durable
    except (InvalidRequest, EventConflict):
        # One of them is bad: the others must not wait for it for ever.
        stored = kept = bad = 0
        durable = True
        for user, event in pairs:
            try:
                one = client.record_events([event], user_id=user, deadline_s=deadline_s)
                stored, kept = stored + one.recorded_count, kept + one.duplicate_count
                durable &= one.durable
            except (InvalidRequest, EventConflict) as error:
                print(f"passed over: {error.reason.name}", flush=True)
                bad += 1
        return stored, kept, bad, durable


def read_message(message: Any) -> "tuple[str, Event]":  # noqa: ANN401 -- the client library has no types
    """Returns the user and the event of a message: a JSON object with user_id, kind, item_id and fields of Event.

    Raises:
        BadMessage: it is not one.
    """
    from shortlist import Event, EventKind
    from shortlist.event_messages import record_message

    where = f"{message.topic()}[{message.partition()}] at {message.offset()}"
    try:
        fields = json.loads(message.value())
        user, kind = str(fields["user_id"]), EventKind[str(fields["kind"]).upper()]
        texts: dict[str, Any] = {name: str(fields[name]) for name in _FIELDS if fields.get(name)}
        texts.setdefault("event_id", fitting_id(f"kafka-{message.topic()}-{message.partition()}-{message.offset()}"))
        numbers: dict[str, Any] = {
            name: float(fields[name]) for name in ("weight", "rating", "dwell_s") if fields.get(name) is not None
        }
        event = Event(
            str(fields.get("item_id", "")),
            kind,
            time=_time(fields),
            rank=int(fields.get("rank") or 0),
            **texts,
            **numbers,
        )
        record_message(user, None, [event])  # refuses what no message can hold
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise BadMessage(
            f"{where} is not an event ({type(error).__name__}); expected user_id, kind, item_id"
        ) from error
    return user, event


def _time(fields: Mapping[str, Any]) -> datetime | None:
    moment = fields.get("timestamp")
    if moment is None:
        return None
    if isinstance(moment, str):
        read = datetime.fromisoformat(moment)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(moment), UTC)


def _consumer(args: argparse.Namespace) -> Any:  # noqa: ANN401 -- the client library has no types
    try:
        from confluent_kafka import Consumer, KafkaException
    except ImportError as error:
        raise BrokerUnavailable("confluent-kafka is not installed; `pip install confluent-kafka` has it") from error
    settings = _settings(args.set) | {
        "bootstrap.servers": args.kafka,
        "group.id": args.group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    try:
        return Consumer(settings)
    except KafkaException as error:
        raise WrongArgument(f"--set: {error.args[0].str()}") from error


def _settings(words: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise WrongArgument(f"--set {word}: expected NAME=VALUE")
        found[name] = value
    return found


def _is_end(message: Any) -> bool:  # noqa: ANN401 -- the client library has no types
    from confluent_kafka import KafkaError

    return bool(message.error().code() == KafkaError._PARTITION_EOF)


class _StopFlag:
    """Set by SIGTERM and SIGINT: the batch under way is stored and committed first."""

    def __init__(self) -> None:
        self.set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self.set = True
