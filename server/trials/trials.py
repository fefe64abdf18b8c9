"""The trials under way: begun and ended by an operator, kept over a restart, ended by a switch of the live release."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from core.retrieval.trending import Trends
from domain import durable
from domain.errors import Overloaded, ReleaseRejected, ShortlistError
from server.catalogue.store import CatalogueStore
from server.observability.logs import message_of
from server.release.following import FollowingRelease
from server.release.live_release import LiveRelease
from server.release.loaded import LoadedReleases
from server.release.switch import known_release
from server.trials.running import RunningTrial
from server.trials.trial import LIVE_BUCKET, MOST_TRIALS, TrialKind, TrialPlan, chosen_split

FILE_NAME = "trials.json"


@dataclass(frozen=True)
class TrialParts:
    """Parts of the gateway that trials need.

    Attributes:
        releases: folder of releases.
        loaded: the releases that are loaded.
        live_id: returns the id of the live release.
        store: returns the changes of the catalogue; None for a fixed one.
        trends: returns what is trending; None where no events are kept.
        changed: called after a trial began or ended, with the releases under trial.
    """

    releases: Path
    loaded: LoadedReleases
    live_id: Callable[[], str]
    store: Callable[[], CatalogueStore | None]
    trends: Callable[[], Trends | None]
    changed: Callable[[tuple[FollowingRelease, ...]], None]


class Trials:
    """Releases that are tried beside the live one. Belongs to one event loop."""

    def __init__(self, parts: TrialParts, path: Path) -> None:
        """Begins nothing.

        Args:
            parts: of the gateway.
            path: file that keeps the trials over a restart.
        """
        self._parts = parts
        self._path = path
        self._log = structlog.get_logger("trial")
        self._pending: tuple[TrialPlan, ...] = ()
        self._writing = asyncio.Lock()
        self.running: tuple[RunningTrial, ...] = ()

    def shadow(self) -> RunningTrial | None:
        """Returns the trial that is given copies of queries; None where there is none."""
        return next((one for one in self.running if one.plan.kind is TrialKind.SHADOW), None)

    def answering(self, caller: str, page_release_id: str | None = None) -> tuple[LiveRelease | None, str]:
        """Returns the release that answers a caller, None for the live one, and the name of the caller's bucket.

        Args:
            caller: the user's or session's id, or the request's where there is neither.
            page_release_id: of the list that the request continues: its release goes on with it.
        """
        splits = [one for one in self.running if one.plan.kind is TrialKind.SPLIT]
        if not splits:
            return None, ""
        for trial in splits:
            if trial.plan.release_id == page_release_id:
                return trial.view(), trial.plan.bucket
        if page_release_id is not None:
            return None, LIVE_BUCKET
        chosen = chosen_split([one.plan for one in splits], caller)
        for trial in splits:
            if trial.plan is chosen:
                return trial.view(), trial.plan.bucket
        return None, LIVE_BUCKET

    async def start(self, plan: TrialPlan) -> RunningTrial:
        """Loads a release and begins its trial.

        Raises:
            InvalidRequest: the plan is out of range.
            ReleaseRejected: there is no such release, it is live or tried already, or it cannot be loaded.
            Overloaded: another release is being loaded, or enough are tried.
        """
        if plan.kind is TrialKind.SPLIT and not plan.bucket:
            plan = replace(plan, bucket=plan.release_id[:64])
        async with self._parts.loaded.alone():
            self._check(plan)
            release = await self._parts.loaded.load(
                await asyncio.to_thread(known_release, self._parts.releases, plan.release_id)
            )
            serving = FollowingRelease(release, self._parts.loaded.loader.unreadable_limit)
            try:
                await serving.open(self._parts.store())
            except BaseException:
                await serving.aclose()
                await self._parts.loaded.drop(release)
                raise
            trial = RunningTrial(plan, serving, self._parts.trends)
            await self._now_running((*self.running, trial))
        self._log.info("trial began", release_id=plan.release_id, kind=plan.kind.value, share=plan.share)
        return trial

    async def stop(self, release_id: str) -> RunningTrial:
        """Ends the trial of a release, which is dropped after its last request.

        Raises:
            ReleaseRejected: it is not tried.
        """
        for trial in self.running:
            if trial.plan.release_id == release_id:
                await self._now_running(tuple(one for one in self.running if one is not trial))
                await self._end(trial)
                return trial
        raise ReleaseRejected(
            f'release "{release_id[:64]}" is not tried; `shortlist release trials` lists those that are'
        )

    async def stop_all(self) -> list[str]:
        """Ends every trial, and returns their releases: they were compared with a release that is no longer live."""
        has_file = await asyncio.to_thread(self._path.exists)
        ended, self._pending = self.running, ()
        if ended or has_file:
            await self._now_running(())
        for trial in ended:
            await self._end(trial)
        return [trial.plan.release_id for trial in ended]

    async def restore(self) -> None:
        """Begins again the trials that a gateway of this state folder had; one that cannot be is logged."""
        self._pending = tuple(await asyncio.to_thread(_read, self._path))
        while self._pending:
            plan, *rest = self._pending
            self._pending = tuple(rest)
            try:
                await self.start(plan)
            except ShortlistError as error:
                self._log.warning("trial not resumed", release_id=plan.release_id, error=message_of(error))

    async def aclose(self) -> None:
        """Takes no more changes; the trials go on after a restart."""
        for trial in self.running:
            await trial.serving.aclose()

    def _check(self, plan: TrialPlan) -> None:
        if len(self.running) >= MOST_TRIALS:
            raise Overloaded(f"{MOST_TRIALS} releases are tried already; end a trial with `shortlist release end`")
        if plan.release_id == self._parts.live_id():
            raise ReleaseRejected(f"release {plan.release_id} is live; try another one")
        plan.check([one.plan for one in self.running])

    async def _end(self, trial: RunningTrial) -> None:
        await trial.serving.aclose()
        self._parts.loaded.drop_after_use(trial.serving.release)
        self._log.info("trial ended", release_id=trial.plan.release_id)

    async def _now_running(self, trials: tuple[RunningTrial, ...]) -> None:
        self.running = trials
        self._parts.changed(tuple(one.serving for one in trials))
        async with self._writing:
            # Those that are to begin again yet are not forgotten where the gateway ends before.
            kept = (*(one.plan for one in self.running), *self._pending)
            plans = [{**asdict(plan), "kind": plan.kind.value} for plan in kept]
            try:
                await asyncio.to_thread(durable.write_atomic, self._path, json.dumps(plans, indent=1) + "\n")
            except OSError as error:
                self._log.warning("trials are not kept over a restart", error=str(error))


def _read(path: Path) -> list[TrialPlan]:
    try:
        kept = json.loads(path.read_text("utf-8"))
        return [TrialPlan(**{**one, "kind": TrialKind(one["kind"])}) for one in kept]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        structlog.get_logger("trial").warning("the file of trials cannot be read", file=str(path), error=str(error))
        return []
