"""The ranker: match probability over the candidates that recall returns, and the whole pipeline as one Scorer."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.events import EventSequence
from core.ranking.features import FEATURE_NAMES, FeatureScaler
from core.ranking.match_calibration import MatchCalibration
from domain.progress import Progress, SilentProgress
from networks.ranker import RankerNetwork, RankerShape
from training.ranking.blend import BlendScorer
from training.ranking.calibration import fit_calibration
from training.ranking.candidates import CandidateRules, Described, candidates_of
from training.ranking.examples import Examples


@dataclass(frozen=True)
class RankerSettings:
    """Settings of the ranker's training.

    Attributes:
        hidden: widths of its hidden layers.
        members: networks in the ensemble.
        epochs: most passes over the questions.
        patience: passes without a better figure on held-out questions before it stops.
        batch_size: questions in a step.
        negatives: candidates of a question, besides what was chosen, that a step looks at.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        dropout: in the hidden layers.
        held_out: share of the users whose questions choose the epoch and calibrate the probabilities.
        candidate_limit: most candidates that are ranked.
    """

    hidden: tuple[int, ...] = (64, 32)
    members: int = 3
    epochs: int = 25
    patience: int = 4
    batch_size: int = 16
    negatives: int = 100
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.2
    held_out: float = 0.15
    candidate_limit: int = 400


@dataclass(frozen=True)
class RankModel:
    """A trained network with what goes around it.

    Attributes:
        network: scaled features to logits.
        scaler: of the features.
        calibration: logit to the probability that a candidate is chosen.
        feature_names: of its features, in their order.
    """

    network: RankerNetwork
    scaler: FeatureScaler
    calibration: MatchCalibration
    feature_names: tuple[str, ...] = FEATURE_NAMES

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Maps float32[..., F] features as `rank_features` gives them to float32[...]."""
        with torch.inference_mode():
            found: np.ndarray = self.network(torch.from_numpy(self.scaler.apply(features))).numpy()
        return found

    def save(self, folder: Path) -> None:
        """Writes `model.safetensors`, `settings.json` (feature names, shape) and `scaler.json` (with calibration)."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.network.state_dict(), folder / "model.safetensors")
        settings = {"feature_names": list(self.feature_names), "shape": asdict(self.network.shape)}
        scaler = {
            "mean": self.scaler.mean.tolist(),
            "scale": self.scaler.scale.tolist(),
            **self.calibration.to_json(),
        }
        for name, content in (("settings.json", settings), ("scaler.json", scaler)):
            (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, feature_names: tuple[str, ...] = FEATURE_NAMES) -> "RankModel":
        """Reads what `save` wrote.

        Args:
            folder: of the model.
            feature_names: that this program makes.

        Raises:
            ValueError: it was trained on other features than this program makes.
        """
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        if tuple(settings["feature_names"]) != feature_names:
            raise ValueError(f"{folder} was trained on other features than this program makes; train the ranker again")
        shape = settings["shape"]
        network = RankerNetwork(RankerShape(shape["feature_count"], tuple(shape["hidden"]), shape["members"]))
        network.load_state_dict(load_file(folder / "model.safetensors"))
        raw = json.loads((folder / "scaler.json").read_text(encoding="utf-8"))
        mean, scale = (np.asarray(raw[name], np.float32) for name in ("mean", "scale"))
        return cls(network.eval(), FeatureScaler(mean, scale), MatchCalibration.from_json(raw), feature_names)


@dataclass(frozen=True)
class Ranker:
    """The method "hybrid + ranker": recall, features, match probability; below them the rest in the blend's order.

    Attributes:
        blend: orders what is not ranked.
        model: orders what is.
        candidate_limit: most candidates that are ranked.
    """

    blend: BlendScorer
    model: RankModel
    candidate_limit: int = RankerSettings.candidate_limit

    def among(self, allowed: np.ndarray) -> "Ranker":
        """Returns the same recalling only among these rows, bool[n], as a request with a condition does."""
        return replace(self, blend=self.blend.among(allowed))

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]: match logits of the candidates, below them every other row in the blend's order."""
        scores = self.blend.scores(histories)
        for row, described in zip(scores, self.candidates(histories), strict=True):
            if len(described.rows):
                logits = self.model.logits(described.features)
                row[:] += logits.min() - 1 - row.max()
                row[described.rows] = logits
        return scores

    def probabilities(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float64[B, n], how likely each candidate is to be chosen; NaN for what is not ranked."""
        probabilities = np.full((len(histories), self.blend.fitted.facts.count), np.nan)
        for row, described in zip(probabilities, self.candidates(histories), strict=True):
            row[described.rows] = self.model.calibration.probabilities(self.model.logits(described.features))
        return probabilities

    def candidates(self, histories: Sequence[EventSequence]) -> list[Described]:
        """Recalls and describes the candidates of each history."""
        fitted, allowed = self.blend.fitted, self.blend.allowed
        everything = np.ones(fitted.facts.count, bool)
        rules = CandidateRules(everything if allowed is None else allowed, self.candidate_limit)
        return candidates_of(fitted, histories, rules)


def train_ranker(
    examples: Examples, settings: RankerSettings | None = None, seed: int = 42, progress: Progress | None = None
) -> RankModel:
    """Trains the ensemble; each member stops where its held-out questions are answered best.

    The loss of a question is the mean of -log softmax(logits) over the candidates that were chosen. Afterwards slope
    and intercept are fitted on the held-out questions, so that sigmoid(slope * logit + intercept) is a probability.

    Raises:
        ValueError: no question has a candidate that was chosen.
    """
    settings, progress = settings or RankerSettings(), progress or SilentProgress()
    answered = examples.chosen.any(axis=1)
    if not answered.any():
        raise ValueError("recall found none of the training targets; the ranker has nothing to learn from")
    scaler = FeatureScaler.fitted(examples.features[examples.mask])
    held = held_out(examples, settings, seed)
    data = _Data(scaler, examples, settings, seed)
    train = np.flatnonzero(answered & ~held)
    judged = np.flatnonzero(answered & held) if held.any() else train
    shape = RankerShape(examples.features.shape[2], settings.hidden, settings.members)
    network = RankerNetwork(shape, settings.dropout)
    with progress.track("ranker", settings.members * settings.epochs, "epochs") as advance:

        def log(epoch: int, loss: float) -> None:
            progress.metric("ranker/held_out_loss", epoch, loss)
            advance(1)

        for place in range(settings.members):
            torch.manual_seed(seed + place)
            member = RankerNetwork(replace(shape, members=1), settings.dropout)
            network.members[place] = _trained_member(member, data, train, judged, log)
    network.eval()
    every = np.flatnonzero(held) if held.any() else np.arange(len(examples.group))
    with torch.inference_mode():
        logits = network(data.features(every)).numpy()
    mask = examples.mask[every]
    calibration = fit_calibration(logits[mask], examples.chosen[every][mask])
    return RankModel(network, scaler, calibration)


def held_out(examples: Examples, settings: RankerSettings, seed: int = 42) -> np.ndarray:
    """Returns bool[B], the questions that `train_ranker` does not learn from; none where there are too few users.

    Those of groups below 0, which a gateway served, are not among them.
    """
    answered = examples.chosen.any(axis=1)
    users = np.random.default_rng(seed).permutation(np.unique(examples.group[examples.group >= 0]))
    held: np.ndarray = np.isin(examples.group, users[: max(1, int(settings.held_out * len(users)))])
    return held if (answered & held).any() and (answered & ~held).any() else np.zeros_like(held)


class _Data:
    """Examples as tensors, a batch at a time."""

    def __init__(self, scaler: FeatureScaler, examples: Examples, settings: RankerSettings, seed: int) -> None:
        self._features = scaler.apply(examples.features)
        self._examples = examples
        self._rng = np.random.default_rng(seed)
        self.settings = settings

    def features(self, places: np.ndarray) -> Tensor:
        """Returns float32[len(places), C, F], scaled."""
        return torch.from_numpy(self._features[places])

    def sampled_loss(self, network: RankerNetwork, places: np.ndarray) -> Tensor:
        """Returns the loss over what was chosen and a few other candidates, drawn anew each time."""
        mask, chosen = self._examples.mask[places], self._examples.chosen[places]
        count = min(mask.shape[1], int(chosen.sum(axis=1).max()) + self.settings.negatives)
        keys = np.where(mask, self._rng.random(mask.shape, dtype=np.float32) + 2 * chosen, -1)
        kept = np.argpartition(-keys, count - 1, axis=1)[:, :count]
        taken = self._features[places[:, None], kept]
        return self._loss(network, taken, *(np.take_along_axis(part, kept, axis=1) for part in (mask, chosen)))

    def loss(self, network: RankerNetwork, places: np.ndarray) -> Tensor:
        """Returns the mean over questions of the listwise cross-entropy over all candidates."""
        return self._loss(network, self._features[places], self._examples.mask[places], self._examples.chosen[places])

    @staticmethod
    def _loss(network: RankerNetwork, features: np.ndarray, mask: np.ndarray, chosen_places: np.ndarray) -> Tensor:
        logits = network(torch.from_numpy(features)).masked_fill(torch.from_numpy(~mask), -torch.inf)
        chosen = torch.from_numpy(chosen_places)
        shares = torch.where(chosen, logits.log_softmax(dim=1), 0.0)
        return -(shares.sum(dim=1) / chosen.sum(dim=1)).mean()


def _trained_member(
    network: RankerNetwork,
    data: _Data,
    train: np.ndarray,
    judged: np.ndarray,
    log: Callable[[int, float], None],
) -> torch.nn.Module:
    """Trains one network and returns its only member as it was after its best epoch."""
    settings = data.settings
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    best, best_loss, since = copy.deepcopy(network.members[0]), np.inf, 0
    for epoch in range(settings.epochs):
        network.train()
        order = torch.randperm(len(train)).numpy()
        for start in range(0, len(order), settings.batch_size):
            optimiser.zero_grad()
            loss = data.sampled_loss(network, train[order[start : start + settings.batch_size]])
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            figure = float(
                np.mean([float(data.loss(network, part)) for part in np.array_split(judged, len(judged) // 256 + 1)])
            )
        log(epoch, figure)
        since = 0 if figure < best_loss else since + 1
        if since == 0:
            best, best_loss = copy.deepcopy(network.members[0]), figure
        if since >= settings.patience:
            break
    return best
