"""Releases of a running gateway, by the socket in its state folder; and what two releases differ in."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cli.flags.call import CallFailed
from domain.release_folder import ITEMS, ReleaseFolder

if TYPE_CHECKING:
    from shortlist.v1 import release_pb2 as pb
    from shortlist.v1.release_pb2_grpc import ReleaseServiceStub

_Reply = TypeVar("_Reply")
_TIMEOUT_S = 3_600.0
_IDS_SHOWN = 10


def call_operator(state: Path, call: "Callable[[ReleaseServiceStub], _Reply]") -> "_Reply | None":
    """Returns what the gateway of a state folder answers; None where none runs.

    Raises:
        CallFailed: it refuses.
    """
    import grpc

    from server.rpc.release import SOCKET
    from server.rpc.status import DETAILS_KEY
    from shortlist.v1.release_pb2_grpc import ReleaseServiceStub

    path = (state / SOCKET).resolve()
    if not path.exists():
        return None
    with grpc.insecure_channel(f"unix:{path}") as channel:
        try:
            return call(ReleaseServiceStub(channel))
        except grpc.RpcError as error:
            told = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
            # A gateway that was killed leaves its socket; one that refuses tells why.
            if error.code() is grpc.StatusCode.UNAVAILABLE and not told:
                return None
            raise CallFailed(f"{error.details()} [{error.code().name}]") from error


def switched_live(args: argparse.Namespace, release_id: str | None) -> str | None:
    """Has a running gateway over the same folder switch; None where there is no such gateway.

    Args:
        args: with `state` and `out`.
        release_id: the release; None for the one before.

    Raises:
        CallFailed: the gateway refuses; it goes on as before.
    """
    from shortlist.v1 import release_pb2 as pb

    def switch(stub: "ReleaseServiceStub") -> str | None:
        listed = stub.ListReleases(pb.ListReleasesRequest(), timeout=10.0)
        if Path(listed.folder) != args.out.resolve():
            return None
        if release_id is None:
            back = stub.RollbackRelease(pb.RollbackReleaseRequest(), timeout=_TIMEOUT_S)
            return _switched(back)
        done = stub.PromoteRelease(pb.PromoteReleaseRequest(release_id=release_id), timeout=_TIMEOUT_S)
        return _switched(done)

    return call_operator(args.state, switch)


def _switched(done: "pb.PromoteReleaseResponse | pb.RollbackReleaseResponse") -> str:
    ended = "".join(f"\nthe trial of {release_id} ended" for release_id in done.ended_trial_release_ids)
    return f"{done.release_id} is live and current, was {done.previous_release_id}{ended}"


def differences(before: ReleaseFolder, after: ReleaseFolder) -> Iterator[str]:
    """Yields what two releases differ in, as lines."""
    old, new = _items(before), _items(after)
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    changed = {item_id for item_id in old.keys() & new.keys() if old[item_id] != new[item_id]}
    for word, ids in (("added", added), ("removed", removed), ("changed", changed)):
        shown = ", ".join(sorted(ids)[:_IDS_SHOWN]) + (" ..." if len(ids) > _IDS_SHOWN else "")
        yield f"items {word}: {len(ids):,}" + (f" ({shown})" if ids else "")
    one, two = before.manifest, after.manifest
    for name, a, b in (
        ("encoder", one.encoder.name, two.encoder.name),
        ("encoder's digest", one.encoder.source_sha256[:12], two.encoder.source_sha256[:12]),
        ("precision", one.encoder.precision, two.encoder.precision),
        ("text attributes", ", ".join(one.template.item_attributes), ", ".join(two.template.item_attributes)),
        ("models", ", ".join(sorted(one.models)), ", ".join(sorted(two.models))),
        ("recall@10 of the graph", f"{one.graph.recall_at_10:.4f}", f"{two.graph.recall_at_10:.4f}"),
    ):
        if a != b:
            yield f"{name}: {a or 'none'} -> {b or 'none'}"
    files = {name for name in one.files.keys() | two.files.keys() if one.files.get(name) != two.files.get(name)}
    yield f"files that differ: {', '.join(sorted(files)) or 'none'}"


def _items(release: ReleaseFolder) -> dict[str, str]:
    with (release.path / ITEMS).open(encoding="utf-8") as stream:
        return {str(json.loads(line)["id"]): line for line in stream}
